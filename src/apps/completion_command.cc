// `landfall completion`: a shell's completion, from the commands that there are.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <string>

#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {

constexpr const char* kBegin =
    R"(# Completion of landfall for bash: source <(landfall completion bash)
_landfall() {
  local word=${COMP_WORDS[COMP_CWORD]} path=landfall words='' i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path ${COMP_WORDS[i]}" in
)";

constexpr const char* kMiddle = R"(    esac
  done
  case "${COMP_WORDS[COMP_CWORD - 1]}" in
    --*file | --output | FILE | DIR) return ;; # the shell's own completion of files
  esac
  case $path in
)";

constexpr const char* kEnd = R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -o default -o bashdefault -F _landfall landfall
)";

// Names of commands and flags are ours: nothing in them that a shell takes for more than a word.
void AddCommand(const CLI::App& command, const std::string& path, std::string& steps,
                std::string& words) {
  std::string here;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    if (sub->get_name().empty()) {  // a group of options
      for (const CLI::Option* option : sub->get_options())
        for (const std::string& name : option->get_lnames()) here += "--" + name + " ";
      continue;
    }
    here += sub->get_name() + " ";
    const std::string deeper = path + " " + sub->get_name();
    steps += fmt::format("      '{}') path='{}' ;;\n", deeper, deeper);
    AddCommand(*sub, deeper, steps, words);
  }
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) here += "--" + name + " ";
  if (!here.empty()) here.pop_back();
  words += fmt::format("    '{}') words='{}' ;;\n", path, here);
}

std::string BashCompletion(const CLI::App& app) {
  std::string steps;
  std::string words;
  AddCommand(app, "landfall", steps, words);
  return kBegin + steps + kMiddle + words + kEnd;
}

}  // namespace

void AddCompletionCommand(CLI::App& app) {
  CLI::App* completion = app.add_subcommand("completion", "Prints what completes it in a shell");
  const auto shell = std::make_shared<std::string>();
  completion->add_option("SHELL", *shell, "bash or zsh")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh"}));
  completion->callback([&app, shell] {
    if (*shell == "zsh") std::cout << "autoload -U +X bashcompinit && bashcompinit\n";
    std::cout << BashCompletion(app) << std::flush;
  });
}

}  // namespace landfall::apps
