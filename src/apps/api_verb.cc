#include "apps/api_verb.h"

#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>

#include "apps/password_input.h"
#include "server/private_file.h"

namespace landfall::apps {
using nlohmann::json;

namespace {

// The longest that the broker takes for an answer, and some more.
constexpr std::chrono::seconds kTimeout{70};

Outcome<std::string> PasswordFrom(const std::string& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line))
    return Failing(kExitUsage, fmt::format("there is no password in {}", file));
  if (line.ends_with('\r')) line.pop_back();
  if (server::OthersMayRead(file))
    std::cerr << fmt::format("landfall: others may read {}; chmod 600 it\n", file);
  return line;
}

Outcome<std::string> PasswordOf(const ApiFlags& flags) {
  if (!flags.password_file.empty()) return PasswordFrom(flags.password_file);
  if (const char* password = std::getenv("LANDFALL_PASSWORD")) return password;
  if (flags.user == "guest") return "guest";  // as every broker has it at first
  auto asked = AskForPassword(fmt::format("Password of {}: ", Visible(flags.user)));
  if (!asked) return NotTried(asked.error());
  return *std::move(asked);
}

Outcome<void> Run(const ApiFlags& flags, const Verb& verb) {
  auto address = ParseApiUrl(flags.url);
  if (!address) return NotTried(address.error());
  auto password = PasswordOf(flags);
  if (!password) return std::unexpected(password.error());
  const auto client = ApiClient::Make(*std::move(address), {flags.user, *std::move(password)},
                                      flags.ca_file, kTimeout);
  if (!client) return NotTried(client.error());
  Api api(flags, **client);
  Outcome<void> done;
  try {
    done = verb(api);
  } catch (const json::exception& e) {
    return Failing(kExitFailed, fmt::format("the answer is not what this version of landfall "
                                            "understands: {}",
                                            e.what()));
  }
  std::cout << std::flush;
  if (done && !std::cout) return Failing(kExitFailed, "the answer could not be printed");
  return done;
}

const json* Find(const json& object, std::string_view path) {
  const json* at = &object;
  while (!path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    if (!at->is_object()) return nullptr;
    const auto found = at->find(std::string(path.substr(0, dot)));
    if (found == at->end()) return nullptr;
    at = &*found;
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

}  // namespace

void ApiFlags::AddLoginTo(CLI::App& command) {
  const auto group = "The broker";
  command.add_option("--url", url, "The HTTP API")
      ->envname("LANDFALL_URL")
      ->capture_default_str()
      ->group(group);
  command.add_option("--user", user, "Who asks")
      ->envname("LANDFALL_USER")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--password-file", password_file,
                  "A file whose first line is the password; otherwise LANDFALL_PASSWORD, or a "
                  "terminal is asked")
      ->envname("LANDFALL_PASSWORD_FILE")
      ->group(group);
  command
      .add_option("--ca", ca_file,
                  "With https://: a file of authorities (PEM) to trust; otherwise the system's")
      ->envname("LANDFALL_CA")
      ->group(group);
}

void Api::PrintJson(const json& value) {
  // A terminal gets nothing that it could take for a command.
  const bool ascii = isatty(STDOUT_FILENO) != 0;
  std::cout << value.dump(2, ' ', ascii, json::error_handler_t::replace) << '\n';
}

void Api::PrintList(const json& rows, const std::vector<Field>& fields) const {
  if (flags_.json) return PrintJson(rows);
  std::vector<Table::Column> columns;
  for (const Field& field : fields) {
    const bool numbers = !rows.empty() && std::ranges::any_of(rows, [&](const json& row) {
      const json* value = Find(row, field.path);
      return value != nullptr && value->is_number();
    });
    columns.push_back({field.heading, numbers ? Table::Align::kRight : Table::Align::kLeft});
  }
  Table table(std::move(columns));
  for (const json& row : rows) {
    std::vector<std::string> cells;
    cells.reserve(fields.size());
    for (const Field& field : fields) cells.push_back(CellOf(row, field.path));
    table.Add(cells);
  }
  std::cout << table.Text();
}

void Api::PrintOne(const json& object, const std::vector<Field>& fields) const {
  if (flags_.json) return PrintJson(object);
  size_t width = 0;
  for (const Field& field : fields) width = std::max(width, field.heading.size());
  for (const Field& field : fields) {
    const std::string value = CellOf(object, field.path);
    if (!value.empty())
      std::cout << fmt::format("{:<{}}  {}\n", field.heading, width, Visible(value));
  }
}

void Api::Say(const std::string& sentence) const {
  if (!flags_.json) std::cout << Visible(sentence) << '\n';
}

Outcome<void> Api::Confirm(const std::string& question) const {
  if (flags_.yes) return {};
  if (isatty(STDIN_FILENO) == 0)
    return Failing(kExitUsage, "nobody can be asked whether to go on: say --yes");
  std::cerr << Visible(question) << " [y/N] " << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  if (answer == "y" || answer == "yes") return {};
  return Failing(kExitCancelled, "nothing was done");
}

int RunVerb(const std::string& name, const ApiFlags& flags, const Verb& verb) {
  const auto done = Run(flags, verb);
  if (done) return kExitOk;
  std::cout << std::flush;
  std::cerr << "landfall " << name << ": " << Visible(done.error().message) << '\n';
  return done.error().exit_code;
}

void SetVerb(CLI::App& command, VerbKind kind, Verb verb) {
  const auto flags = std::make_shared<ApiFlags>();
  flags->AddLoginTo(command);
  if (kind == VerbKind::kShows) command.add_flag("--json", flags->json, "Prints JSON");
  if (kind == VerbKind::kDestroys) command.add_flag("-y,--yes", flags->yes, "Asks no question");
  std::string name = command.get_name();
  for (const CLI::App* up = command.get_parent(); up != nullptr && up->get_parent() != nullptr;
       up = up->get_parent())
    name.insert(0, up->get_name() + " ");
  command.callback([name, flags, verb = std::move(verb)] {
    const int code = RunVerb(name, *flags, verb);
    if (code != kExitOk) throw CLI::RuntimeError(code);
  });
}

std::string CellOf(const json& object, const std::string& path) {
  const json* value = Find(object, path);
  if (value == nullptr || value->is_null()) return "";
  if (value->is_string()) return *value;
  if (value->is_boolean()) return *value ? "yes" : "no";
  if (value->is_number_float()) return fmt::format("{:.1f}", value->get<double>());
  if (value->is_array() &&
      std::ranges::all_of(*value, [](const json& each) { return each.is_string(); })) {
    std::string joined;
    for (const json& each : *value)
      joined += (joined.empty() ? "" : ", ") + each.get<std::string>();
    return joined;
  }
  if (value->empty()) return "";
  return value->dump(-1, ' ', false, json::error_handler_t::replace);
}

Outcome<json> ReadSettings(const std::vector<std::string>& settings) {
  json object = json::object();
  for (const std::string& each : settings) {
    const size_t equals = each.find('=');
    if (equals == std::string::npos || equals == 0)
      return Failing(kExitUsage, fmt::format("'{}' is not of the form NAME=VALUE", each));
    const std::string text = each.substr(equals + 1);
    const json parsed = json::parse(text, nullptr, false);
    const bool plain = parsed.is_boolean() || parsed.is_number();
    object[each.substr(0, equals)] = plain ? parsed : json(text);
  }
  return object;
}

}  // namespace landfall::apps
