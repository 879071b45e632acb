#include "server/config.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <thread>
#include <utility>

#include "server/available_memory.h"
#include "server/config_options.h"
#include "server/toml_file.h"

namespace landfall::server {
namespace {

std::unexpected<Error> Refuse(std::string message) {
  return Fail(ErrorCode::kInvalidArgument, std::move(message));
}

std::string Suggestion(std::string_view name, const std::vector<std::string>& known) {
  const std::string nearest = NearestName(name, known);
  return nearest.empty() ? "landfalld --help lists what there is"
                         : fmt::format("did you mean {}?", nearest);
}

// Text as it comes from flags and variables.
Result<void> SetFromText(const ConfigOption& option, const std::string& text,
                         const std::string& origin, ConfigRequest& request) {
  const std::vector<std::string> values =
      option.kind.toml.list ? CLI::detail::split(text, ',') : std::vector{text};
  if (!option.kind.read(request.config, values))
    return Refuse(fmt::format("{} must be {}, not '{}'", origin, option.kind.expects, text));
  request.origins[option.name] = origin;
  return {};
}

// Of a list, the strings in it; nothing if the node is not what the option takes.
std::vector<std::string> ValuesOf(const toml::node& node, const TomlKinds& kinds) {
  if (const auto* v = node.as_string(); v != nullptr && kinds.text) return {v->get()};
  if (const auto* v = node.as_integer(); v != nullptr && kinds.number)
    return {std::to_string(v->get())};
  if (const auto* v = node.as_boolean(); v != nullptr && kinds.truth)
    return {v->get() ? "true" : "false"};
  std::vector<std::string> values;
  if (const auto* list = node.as_array(); list != nullptr && kinds.list) {
    for (const toml::node& item : *list) {
      if (!item.is_string()) return {};
      values.push_back(item.as_string()->get());
    }
  }
  return values;
}

Result<void> SetFromFile(const std::string& path, ConfigRequest& request) {
  const Result<toml::table> table = ReadTomlFile(path);
  if (!table) return Refuse(table.error().message);
  const auto& options = ConfigOptions();
  for (const auto& [key, node] : *table) {
    const auto option = std::ranges::find(options, key.str(), &ConfigOption::name);
    if (option == options.end()) {
      std::vector<std::string> names;
      names.reserve(options.size());
      for (const ConfigOption& o : options) names.push_back(o.name);
      return Refuse(fmt::format("{}: unknown key {}; {}", TomlPlace(path, key.source()), key.str(),
                                Suggestion(key.str(), names)));
    }
    const std::string place = TomlPlace(path, node.source());
    if (!option->kind.read(request.config, ValuesOf(node, option->kind.toml)))
      return Refuse(fmt::format("{}: {} must be {}, not {}", place, option->name,
                                option->kind.expects, TomlWords(node)));
    request.origins[option->name] = place;
  }
  return {};
}

Result<void> CheckTls(const Config& config) {
  const bool has_certificate = !config.tls_certificate.empty() && !config.tls_key.empty();
  if (!config.https_listen.host.empty() && !has_certificate)
    return Refuse("https_listen needs tls_certificate and tls_key");
  if (config.amqps_listen.host.empty()) return {};
  if (!has_certificate) return Refuse("amqps_listen needs tls_certificate and tls_key");
  if (config.tls_verify != TlsVerify::kNone && config.tls_ca.empty())
    return Refuse("tls_verify needs tls_ca: whose certificates are to be believed");
  // Nobody who names an authority expects that certificates are not looked at.
  if (config.tls_verify == TlsVerify::kNone && !config.tls_ca.empty())
    return Refuse("tls_ca is used with tls_verify optional or required only");
  return {};
}

// Fills in what follows from the machine and from other options, and checks options against each
// other.
Result<void> Complete(Config& config) {
  // No default: a broker that starts on another directory than the last time looks as if it had
  // lost everything.
  if (config.data_dir.empty())
    return Refuse("data_dir is not set: say with --data-dir DIR where the messages are kept");
  if (config.users_file.empty()) config.users_file = config.data_dir + "/users.toml";
  if (config.workers == 0) {
    const unsigned cores = std::thread::hardware_concurrency();
    config.workers = static_cast<uint16_t>(
        cores < 4 ? 1 : std::min<unsigned>(cores - 1, broker::kMaxWorkers - 1));
  }
  if (config.memory_limit == 0) config.memory_limit = ShareOfMemory(60);
  if (auto done = CheckTls(config); !done) return done;
  if (config.segment_size > config.journal_window)
    return Refuse("segment_size must not be larger than journal_window");
  return {};
}

// For a terminal of 100 columns, of which CLI11 takes 30 for the flags.
std::string Wrap(const std::string& text) {
  constexpr size_t kColumns = 68;
  std::string out;
  size_t column = 0;
  for (const std::string& word : CLI::detail::split(text, ' ')) {
    if (column + word.size() >= kColumns) {
      out += '\n';
      column = 0;
    } else if (!out.empty()) {
      out += ' ';
    }
    out += word;
    column += word.size() + 1;
  }
  return out;
}

std::string HelpOf(const ConfigOption& option) {
  std::string words = option.default_words;
  if (words.empty()) words = option.kind.show(Config{});
  if (words.front() == '"') words = words.substr(1, words.size() - 2);
  return Wrap(option.help + " Default: " + words + ".");
}

// The flags as the person gave them.
class CommandLine {
 public:
  CommandLine() : app_("The Landfall message broker.", "landfalld") {
    app_.set_version_flag("--version", "landfalld " LANDFALL_VERSION, "Print the version.");
    app_.set_help_flag("-h,--help", "Print this help.");
    config_ = Add("--config", "FILE", "Read options from this TOML file.");
    check_ = Add("--check-config", "", "Print the configuration in force and end.");
    for (const ConfigOption& option : ConfigOptions())
      options_.push_back(Add(option.flag(), option.kind.value_name, HelpOf(option)));
    app_.footer(
        "Every option can also be an environment variable (LANDFALL_AMQP_LISTEN) or a key of the "
        "file\n(amqp_listen = \"127.0.0.1:5672\"). A flag goes before a variable, a variable "
        "before the file.");
    app_.allow_extras();
  }

  Result<void> Parse(int argc, const char* const* argv, ConfigRequest& request) {
    try {
      app_.parse(argc, argv);
    } catch (const CLI::CallForHelp&) {
      request.action = ConfigAction::kShow;
      request.text = app_.help();
      return {};
    } catch (const CLI::CallForVersion& version) {
      request.action = ConfigAction::kShow;
      request.text = std::string(version.what()) + "\n";
      return {};
    } catch (const CLI::ParseError& error) {
      return Refuse(error.what());
    }
    if (!app_.remaining().empty()) return RefuseUnknown(app_.remaining().front());
    if (check_->count() > 0) request.action = ConfigAction::kCheck;
    return {};
  }

  std::string config_file() const { return config_->count() > 0 ? config_->as<std::string>() : ""; }

  Result<void> Apply(ConfigRequest& request) const {
    for (size_t i = 0; i < options_.size(); ++i) {
      if (options_[i]->count() == 0) continue;
      const ConfigOption& option = ConfigOptions()[i];
      if (auto done = SetFromText(option, options_[i]->as<std::string>(), option.flag(), request);
          !done)
        return done;
    }
    return {};
  }

 private:
  CLI::Option* Add(const std::string& flag, const std::string& value_name,
                   const std::string& help) {
    CLI::Option* option = value_name.empty()
                              ? app_.add_flag(flag, help)
                              : app_.add_option(flag, help)->type_name(value_name)->expected(1);
    // So that a script can put its own in front of a person's.
    return option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }

  Result<void> RefuseUnknown(const std::string& argument) const {
    if (!argument.starts_with('-'))
      return Refuse(fmt::format("landfalld takes flags only, not '{}'", argument));
    std::vector<std::string> flags{"--config", "--check-config", "--help", "--version"};
    for (const ConfigOption& option : ConfigOptions()) flags.push_back(option.flag());
    const std::string name = argument.substr(0, argument.find('='));
    return Refuse(fmt::format("unknown flag {}; {}", name, Suggestion(name, flags)));
  }

  CLI::App app_;
  CLI::Option* config_ = nullptr;
  CLI::Option* check_ = nullptr;
  std::vector<CLI::Option*> options_;  // in the order of ConfigOptions
};

// An empty variable counts as none, as it does for most programs. Variables that are not ours are
// no errors: Kubernetes makes some up for a service that is called landfall.
std::string Variable(const Environment& environment, const std::string& name) {
  const char* value = environment ? environment(name.c_str()) : std::getenv(name.c_str());
  return value == nullptr ? "" : value;
}

}  // namespace

Result<ConfigRequest> LoadConfig(int argc, const char* const* argv,
                                 const Environment& environment) {
  ConfigRequest request;
  CommandLine line;
  if (auto done = line.Parse(argc, argv, request); !done) return std::unexpected(done.error());
  if (request.action == ConfigAction::kShow) return request;

  std::string file = line.config_file();
  if (file.empty()) file = Variable(environment, "LANDFALL_CONFIG");
  if (!file.empty()) {
    if (auto done = SetFromFile(file, request); !done) return std::unexpected(done.error());
  }
  for (const ConfigOption& option : ConfigOptions()) {
    const std::string text = Variable(environment, option.variable());
    if (text.empty()) continue;
    if (auto done = SetFromText(option, text, option.variable(), request); !done)
      return std::unexpected(done.error());
  }
  if (auto done = line.Apply(request); !done) return std::unexpected(done.error());
  if (auto done = Complete(request.config); !done) return std::unexpected(done.error());
  return request;
}

std::string DescribeConfig(const ConfigRequest& request) {
  std::string out;
  for (const ConfigOption& option : ConfigOptions()) {
    const auto origin = request.origins.find(option.name);
    out += fmt::format("{} = {}  # {}\n", option.name, option.kind.show(request.config),
                       origin == request.origins.end() ? "default" : "from " + origin->second);
  }
  return out;
}

}  // namespace landfall::server
