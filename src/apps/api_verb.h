#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "apps/api_client.h"
#include "apps/failure.h"
#include "apps/table.h"

namespace CLI {  // NOLINT(readability-identifier-naming)
class App;
}

// What the commands over the HTTP API have in common: flags, login, output, questions.
namespace landfall::apps {

struct ApiFlags {
  std::string url = "http://127.0.0.1:15672";
  std::string user = "guest";
  std::string password_file;
  std::string ca_file;
  bool json = false;
  bool yes = false;

  void AddLoginTo(CLI::App& command);
};

// Kinds of commands: what flags they have beside the login.
enum class VerbKind { kShows, kChanges, kDestroys };

// A command that runs: whom it asks and how it answers.
class Api {
 public:
  Api(const ApiFlags& flags, ApiClient& client) : flags_(flags), client_(client) {}

  ApiClient* operator->() { return &client_; }
  bool wants_json() const { return flags_.json; }

  // A column of a list: where its cell is in each object, "message_stats.ack_details.rate".
  struct Field {
    std::string heading;
    std::string path;
  };
  // For people or, with --json, as it has come.
  void PrintList(const nlohmann::json& rows, const std::vector<Field>& fields) const;
  void PrintOne(const nlohmann::json& object, const std::vector<Field>& fields) const;
  static void PrintJson(const nlohmann::json& value);
  // What was done; nothing with --json.
  void Say(const std::string& sentence) const;
  // Before something is gone: true at once with --yes. A failure if a person says no, or if
  // nobody can be asked.
  Outcome<void> Confirm(const std::string& question) const;

 private:
  const ApiFlags& flags_;
  ApiClient& client_;
};

using Verb = std::function<Outcome<void>(Api&)>;
// Gives `command` the flags of its kind, and lets it do `verb`; a failure ends the process with its
// code.
void SetVerb(CLI::App& command, VerbKind kind, Verb verb);
// The same, for commands that decide by their flags whether they go over the API at all.
int RunVerb(const std::string& name, const ApiFlags& flags, const Verb& verb);

// A value as a cell: numbers plain, rates with one digit, true and false as yes and no.
std::string CellOf(const nlohmann::json& object, const std::string& path);
// NAME=VALUE into an object; VALUE is true, false, a number, or else a text.
Outcome<nlohmann::json> ReadSettings(const std::vector<std::string>& settings);

}  // namespace landfall::apps
