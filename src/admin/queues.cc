// /api/queues: lists, one, declare, delete, purge, pause and resume.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "server/definition_entry.h"
#include "server/log.h"

namespace landfall::admin {
namespace {

// Consumers that the JSON of one queue names; their number is in it in any case.
constexpr size_t kConsumersShown = 200;

Reply NoQueue(const std::string& vhost, const std::string& name) {
  return NotFound(fmt::format("there is no queue '{}' in vhost '{}'", name, vhost));
}

void AddQueues(Backend& backend, const broker::Vhost& vhost, const StatisticsTable& table,
               const Caller& caller, std::vector<ListItem>& items) {
  vhost.queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
    const QueueRow& row = table.Of(queue->id);
    items.push_back(
        {.vhost = queue->vhost,
         .name = queue->name,
         .build = [&backend, &vhost, &table, &caller,
                   &queue] { return QueueEntry(backend, vhost, *queue, table, caller); },
         .number = [&row](std::string_view column) { return NumberOf(row, column); }});
  });
}

awaitable<Reply> ListQueues(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  // What there is comes from now, its numbers from the last tick.
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<ListItem> items;
  for (const broker::VhostRef& vhost : VisibleVhosts(*topology, call.caller))
    AddQueues(backend, *vhost, *table, call.caller, items);
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> ListQueuesOfVhost(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  std::vector<ListItem> items;
  AddQueues(backend, **vhost, *table, call.caller, items);
  co_return ListReply(std::move(items), call.query());
}

json ConsumerForms(const broker::QueueInfo& queue,
                   const std::vector<broker::ConsumerReport>& reports, const StatisticsTable& table,
                   const Caller& caller) {
  json forms = json::array();
  for (const broker::ConsumerReport& report : reports)
    forms.push_back(ConsumerForm(queue, report, table, caller));
  return forms;
}

awaitable<Reply> GetQueue(Backend& backend, Call& call) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const broker::QueueInfoRef* queue = (*vhost)->queues.Find(call.names[1]);
  if (queue == nullptr) co_return NoQueue(call.names[0], call.names[1]);
  // Asked directly: who has just published sees the message.
  QueueRow row = table->Of((*queue)->id);
  row.now = co_await backend.ReportOf(**queue);
  json form = QueueForm(
      **queue, row,
      {.vhost = **vhost, .node = backend.node(), .owner = OwnerOf(**queue, *table, call.caller)});
  const std::vector<broker::ConsumerReport> consumers =
      co_await backend.ConsumersOf(**queue, kConsumersShown);
  form["consumer_details"] = ConsumerForms(**queue, consumers, *table, call.caller);
  form["incoming"] = json::array();
  form["deliveries"] = json::array();
  const auto options = ReadListOptions(call.query());
  if (!options) co_return BadRequest(options.error().message);
  co_return JsonReply(WithColumns(std::move(form), options->columns));
}

awaitable<Reply> PutQueue(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  server::DefinitionEntry entry(*body, "the queue");
  const bool durable = body->contains("durable") ? entry.Flag("durable") : true;
  const bool auto_delete = entry.Flag("auto_delete");
  const amqp::Table arguments = entry.Table("arguments");
  if (!entry.error().empty()) co_return BadRequest(entry.error());
  if (call.names[1].empty()) co_return BadRequest("the name of a queue must not be empty");
  const broker::SnapshotRef before = co_await backend.Snapshot();
  const bool is_new = before->FindQueue(call.names[0], call.names[1]) == nullptr;
  const ByteBuffer encoded = arguments.Encode();
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::QueueDeclare declare{.queue = call.names[1],
                                     .durable = durable,
                                     .auto_delete = auto_delete,
                                     .arguments = amqp::TableView(encoded)};
    const auto done = co_await Ask<amqp::QueueDeclareOk>(channel, declare);
    if (!done) co_return done.error();
    co_return is_new ? Created() : NoContent();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

awaitable<Reply> DeleteQueue(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  if (!(*vhost)->queues.Contains(call.names[1])) co_return NoQueue(call.names[0], call.names[1]);
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::QueueDelete remove{.queue = call.names[1],
                                   .if_unused = call.query().IsTrue("if-unused"),
                                   .if_empty = call.query().IsTrue("if-empty")};
    const auto done = co_await Ask<amqp::QueueDeleteOk>(channel, remove);
    if (!done) co_return done.error();
    co_return NoContent();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

awaitable<Reply> PurgeQueue(Backend& backend, Call& call) {
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::QueuePurge purge{.queue = call.names[1]};
    const auto done = co_await Ask<amqp::QueuePurgeOk>(channel, purge);
    if (!done) co_return done.error();
    co_return NoContent();
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

template <bool Paused>
awaitable<Reply> PauseQueue(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto queue = FindUsableQueue(*topology, call.caller, access::Access::kConfigure,
                                     call.names[0], call.names[1]);
  if (!queue) co_return queue.error();
  broker::TopologyRequest request;
  request.vhost = call.names[0];
  request.body = broker::PauseQueue{.name = call.names[1], .paused = Paused};
  const broker::TopologyReply done = co_await backend.Ask(std::move(request));
  if (done.error == amqp::ReplyCode::kNotFound) co_return NoQueue(call.names[0], call.names[1]);
  if (done.error) co_return BadRequest(done.text);
  server::LogInfo(Paused ? "a queue is paused" : "a queue is resumed",
                  {{"queue", call.names[1]}, {"vhost", call.names[0]}, {"by", call.caller.user}});
  co_return NoContent();
}

// --------------------------------------------------------------------------------------- consumers

awaitable<Reply> ConsumersIn(Backend& backend, const Call& call,
                             std::vector<broker::VhostRef> vhosts) {
  const StatisticsRef table = co_await backend.statistics().Fresh();
  std::vector<broker::QueueInfoRef> queues;
  for (const broker::VhostRef& vhost : vhosts) {
    vhost->queues.ForEach([&](const std::string&, const broker::QueueInfoRef& queue) {
      if (table->Of(queue->id).now.consumers > 0) queues.push_back(queue);
    });
  }
  const std::vector<Backend::Consumer> consumers = co_await backend.ConsumersOf(queues);
  std::vector<ListItem> items;
  items.reserve(consumers.size());
  for (const Backend::Consumer& consumer : consumers) {
    items.push_back({.vhost = consumer.queue->vhost,
                     .name = consumer.queue->name,
                     .build = [&consumer, &table, &call] {
                       return ConsumerForm(*consumer.queue, consumer.report, *table, call.caller);
                     }});
  }
  co_return ListReply(std::move(items), call.query());
}

awaitable<Reply> ListConsumers(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  std::vector<broker::VhostRef> all = VisibleVhosts(*topology, call.caller);
  co_return co_await ConsumersIn(backend, call, std::move(all));
}

awaitable<Reply> ListConsumersOfVhost(Backend& backend, Call& call) {
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  std::vector<broker::VhostRef> one{*vhost};
  co_return co_await ConsumersIn(backend, call, std::move(one));
}

}  // namespace

void AddQueueEndpoints(Router& router) {
  router.Add({
      {"GET", "/api/queues", Need::kManagement, ListQueues},
      {"GET", "/api/queues/{vhost}", Need::kManagement, ListQueuesOfVhost},
      {"GET", "/api/queues/{vhost}/{queue}", Need::kManagement, GetQueue},
      {"PUT", "/api/queues/{vhost}/{queue}", Need::kManagement, PutQueue},
      {"DELETE", "/api/queues/{vhost}/{queue}", Need::kManagement, DeleteQueue},
      {"DELETE", "/api/queues/{vhost}/{queue}/contents", Need::kManagement, PurgeQueue},
      {"PUT", "/api/queues/{vhost}/{queue}/pause", Need::kManagement, PauseQueue<true>, kBodyBytes,
       /*makes_names=*/false},
      {"PUT", "/api/queues/{vhost}/{queue}/resume", Need::kManagement, PauseQueue<false>,
       kBodyBytes, /*makes_names=*/false},
      {"GET", "/api/consumers", Need::kManagement, ListConsumers},
      {"GET", "/api/consumers/{vhost}", Need::kManagement, ListConsumersOfVhost},
  });
}

}  // namespace landfall::admin
