// `landfall policies`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {

struct PolicyFlags {
  std::string vhost = "/";
  std::string name;
  std::string pattern;
  std::vector<std::string> definition;
  std::string apply_to = "all";
  int priority = 0;
  bool by_operator = false;

  std::string list() const { return by_operator ? "/api/operator-policies" : "/api/policies"; }
  std::string path() const { return list() + "/" + Quoted(vhost) + "/" + Quoted(name); }
};

Outcome<void> List(Api& api, const PolicyFlags& flags) {
  const auto policies = api->GetList(flags.list());
  if (!policies) return std::unexpected(policies.error());
  api.PrintList(*policies, {{"vhost", "vhost"},
                            {"policy", "name"},
                            {"pattern", "pattern"},
                            {"apply to", "apply-to"},
                            {"priority", "priority"},
                            {"definition", "definition"}});
  return {};
}

Outcome<void> Set(Api& api, const PolicyFlags& flags) {
  const auto definition = ReadSettings(flags.definition);
  if (!definition) return std::unexpected(definition.error());
  const auto done = api->Put(flags.path(), {{"pattern", flags.pattern},
                                            {"definition", *definition},
                                            {"apply-to", flags.apply_to},
                                            {"priority", flags.priority}});
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("policy {} is in force", flags.name));
  return {};
}

Outcome<void> Delete(Api& api, const PolicyFlags& flags) {
  const auto policy = api->Get(flags.path());
  if (!policy) return std::unexpected(policy.error());
  const std::string question = fmt::format("Delete policy {} in vhost {} ({})?", flags.name,
                                           flags.vhost, CellOf(*policy, "definition"));
  if (auto ok = api.Confirm(question); !ok) return ok;
  const auto done = api->Delete(flags.path());
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("policy {} is deleted", flags.name));
  return {};
}

using PolicyVerb = Outcome<void> (*)(Api&, const PolicyFlags&);
std::pair<CLI::App*, std::shared_ptr<PolicyFlags>> Add(CLI::App& parent, const std::string& name,
                                                       const std::string& help, VerbKind kind,
                                                       PolicyVerb verb) {
  CLI::App* command = parent.add_subcommand(name, help);
  const auto flags = std::make_shared<PolicyFlags>();
  command->add_flag("--operator", flags->by_operator, "Operator policies instead");
  if (kind != VerbKind::kShows) {
    command->add_option("NAME", flags->name, "The policy's name")->required();
    command->add_option("--vhost", flags->vhost, "Its vhost")->capture_default_str();
  }
  SetVerb(*command, kind, [flags, verb](Api& api) { return verb(api, *flags); });
  return {command, flags};
}

}  // namespace

void AddPolicyCommands(CLI::App& app) {
  CLI::App* policies = app.add_subcommand("policies", "Shows and changes policies");
  policies->require_subcommand(1);
  Add(*policies, "list", "Policies of all vhosts", VerbKind::kShows, List);
  const auto [set, flags] = Add(*policies, "set", "Makes or replaces one", VerbKind::kChanges, Set);
  set->add_option("PATTERN", flags->pattern, "A regular expression for names of queues")
      ->required();
  set->add_option("KEY=VALUE", flags->definition, "Such as max-length=1000")->required();
  set->add_option("--apply-to", flags->apply_to, "What it is for")
      ->check(CLI::IsMember({"all", "queues", "classic_queues", "quorum_queues", "exchanges"}))
      ->capture_default_str();
  set->add_option("--priority", flags->priority, "The highest one that matches is in force")
      ->capture_default_str();
  Add(*policies, "delete", "Deletes one", VerbKind::kDestroys, Delete);
}

}  // namespace landfall::apps
