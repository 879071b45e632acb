// `landfall queues` and `landfall purge`.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>

#include "apps/api_verb.h"
#include "apps/operator_commands.h"

namespace landfall::apps {
namespace {
using nlohmann::json;

struct QueueFlags {
  std::string vhost = "/";
  std::string name;
  std::vector<std::string> arguments;
  bool auto_delete = false;
  bool if_empty = false;
  bool if_unused = false;

  std::string path() const { return "/api/queues/" + Quoted(vhost) + "/" + Quoted(name); }
};

struct ListFlags {
  std::string vhost;
  std::string filter;
  std::string sort;
  size_t top = SIZE_MAX;
};

const std::vector<Api::Field> kColumns{{"vhost", "vhost"},
                                       {"queue", "name"},
                                       {"ready", "messages_ready"},
                                       {"unacked", "messages_unacknowledged"},
                                       {"delayed", "messages_delayed"},
                                       {"consumers", "consumers"},
                                       {"come/s", "message_stats.publish_details.rate"},
                                       {"acked/s", "message_stats.ack_details.rate"},
                                       {"memory", "memory"},
                                       {"policy", "policy"},
                                       {"state", "state"}};

const std::map<std::string, std::string> kSorts{{"messages", "messages"},
                                                {"ready", "messages_ready"},
                                                {"unacked", "messages_unacknowledged"},
                                                {"delayed", "messages_delayed"},
                                                {"consumers", "consumers"},
                                                {"memory", "memory"},
                                                {"come", "message_stats.publish_details.rate"},
                                                {"acked", "message_stats.ack_details.rate"}};

Outcome<void> List(Api& api, const ListFlags& flags) {
  QueryFields query;
  if (!flags.filter.empty()) query.emplace_back("name", flags.filter);
  if (!flags.sort.empty()) {
    query.emplace_back("sort", kSorts.at(flags.sort));
    query.emplace_back("sort_reverse", "true");
  }
  const std::string path =
      flags.vhost.empty() ? "/api/queues" : "/api/queues/" + Quoted(flags.vhost);
  const auto queues = api->GetList(path, query, flags.top);
  if (!queues) return std::unexpected(queues.error());
  api.PrintList(*queues, kColumns);
  return {};
}

Outcome<void> Ledger(Api& api) {
  auto ledgers = api->GetList("/api/landfall/ledger/queues");
  if (!ledgers) return std::unexpected(ledgers.error());
  const auto by_imbalance = [](const json& one, const json& other) {
    const auto of = [](const json& each) { return std::abs(each.value("imbalance", int64_t{0})); };
    return of(one) > of(other);
  };
  std::stable_sort(ledgers->begin(), ledgers->end(), by_imbalance);
  api.PrintList(*ledgers, {{"vhost", "vhost"},
                           {"queue", "name"},
                           {"accepted", "accepted"},
                           {"acked", "left.acked"},
                           {"dead-lettered", "left.dead_lettered"},
                           {"dropped", "left.dropped"},
                           {"left", "left_total"},
                           {"held", "held"},
                           {"imbalance", "imbalance"}});
  return {};
}

Outcome<void> Show(Api& api, const QueueFlags& flags) {
  const auto queue = api->Get(flags.path());
  if (!queue) return std::unexpected(queue.error());
  std::vector<Api::Field> fields = kColumns;
  for (const char* more : {"arguments", "durable", "auto_delete", "exclusive", "operator_policy",
                           "effective_policy_definition", "state"})
    fields.push_back({more, more});
  fields.push_back({"delivered", "message_stats.deliver_get"});
  fields.push_back({"redelivered", "message_stats.redeliver"});
  api.PrintOne(*queue, fields);
  return {};
}

Outcome<void> Declare(Api& api, const QueueFlags& flags) {
  const auto arguments = ReadSettings(flags.arguments);
  if (!arguments) return std::unexpected(arguments.error());
  const auto done =
      api->Put(flags.path(),
               {{"durable", true}, {"auto_delete", flags.auto_delete}, {"arguments", *arguments}});
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("queue {} is there", flags.name));
  return {};
}

Outcome<void> ConfirmFor(Api& api, const QueueFlags& flags, std::string_view what) {
  const auto queue = api->Get(flags.path());
  if (!queue) return std::unexpected(queue.error());
  return api.Confirm(fmt::format("{} queue {} in vhost {}, with {} messages?", what, flags.name,
                                 flags.vhost, queue->value("messages", uint64_t{0})));
}

Outcome<void> Delete(Api& api, const QueueFlags& flags) {
  if (auto ok = ConfirmFor(api, flags, "Delete"); !ok) return ok;
  QueryFields conditions;
  if (flags.if_empty) conditions.emplace_back("if-empty", "true");
  if (flags.if_unused) conditions.emplace_back("if-unused", "true");
  const auto done = api->Delete(WithQuery(flags.path(), conditions));
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("queue {} is deleted", flags.name));
  return {};
}

Outcome<void> Purge(Api& api, const QueueFlags& flags) {
  if (auto ok = ConfirmFor(api, flags, "Purge"); !ok) return ok;
  const auto done = api->Delete(flags.path() + "/contents");
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("the ready messages of queue {} are gone", flags.name));
  return {};
}

// Its consumers get nothing until it is resumed.
Outcome<void> Pause(Api& api, const QueueFlags& flags) {
  const auto done = api->Put(flags.path() + "/pause", json::object());
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("queue {} is paused", flags.name));
  return {};
}

Outcome<void> Resume(Api& api, const QueueFlags& flags) {
  const auto done = api->Put(flags.path() + "/resume", json::object());
  if (!done) return std::unexpected(done.error());
  api.Say(fmt::format("queue {} goes on", flags.name));
  return {};
}

using QueueVerb = Outcome<void> (*)(Api&, const QueueFlags&);
std::pair<CLI::App*, std::shared_ptr<QueueFlags>> AddForQueue(CLI::App& parent,
                                                              const std::string& name,
                                                              const std::string& help,
                                                              VerbKind kind, QueueVerb verb) {
  CLI::App* command = parent.add_subcommand(name, help);
  const auto flags = std::make_shared<QueueFlags>();
  command->add_option("QUEUE", flags->name, "The queue's name")->required();
  command->add_option("--vhost", flags->vhost, "Its vhost")->capture_default_str();
  SetVerb(*command, kind, [flags, verb](Api& api) { return verb(api, *flags); });
  return {command, flags};
}

void AddList(CLI::App& queues) {
  CLI::App* list = queues.add_subcommand("list", "Queues with their numbers");
  const auto flags = std::make_shared<ListFlags>();
  list->add_option("--vhost", flags->vhost, "Those of this vhost only");
  list->add_option("--name", flags->filter, "Those with this in their name only");
  list->add_option("--sort", flags->sort, "The largest first")->check(CLI::IsMember(kSorts));
  list->add_option("--top", flags->top, "So many at most");
  SetVerb(*list, VerbKind::kShows, [flags](Api& api) { return List(api, *flags); });
}

}  // namespace

void AddQueueCommands(CLI::App& app) {
  CLI::App* queues = app.add_subcommand("queues", "Shows and changes a broker's queues");
  queues->require_subcommand(1);
  AddList(*queues);
  AddForQueue(*queues, "show", "One queue", VerbKind::kShows, Show);
  SetVerb(*queues->add_subcommand("ledger", "What has come, left and is held; imbalances first"),
          VerbKind::kShows, Ledger);
  const auto [declare, declared] =
      AddForQueue(*queues, "declare", "Makes a durable queue", VerbKind::kChanges, Declare);
  declare
      ->add_option("--argument", declared->arguments,
                   "NAME=VALUE, such as x-max-length=1000; may be repeated")
      ->allow_extra_args(false);
  declare->add_flag("--auto-delete", declared->auto_delete,
                    "It goes when its last consumer has gone");
  const auto [remove, removed] = AddForQueue(
      *queues, "delete", "Deletes a queue with all its messages", VerbKind::kDestroys, Delete);
  remove->add_flag("--if-empty", removed->if_empty, "Only if it has no messages");
  remove->add_flag("--if-unused", removed->if_unused, "Only if it has no consumers");
  AddForQueue(*queues, "pause", "Gives its consumers nothing more until it is resumed",
              VerbKind::kChanges, Pause);
  AddForQueue(*queues, "resume", "Lets its consumers go on", VerbKind::kChanges, Resume);
  AddForQueue(app, "purge", "Deletes the ready messages of a queue", VerbKind::kDestroys, Purge);
}

}  // namespace landfall::apps
