// /api/landfall/problems, events and history: what is going on, for whoever watches.
#include <fmt/format.h>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/event_stream.h"

namespace landfall::admin {
namespace {

awaitable<Reply> GetProblems(Backend& backend, Call& call) {
  const TickRef tick = co_await backend.watcher().Next(0);
  co_return JsonReply(ProblemsFor(call.caller, tick->problems));
}

awaitable<Reply> GetHistory(Backend& backend, Call& call) {
  co_await backend.watcher().Next(0);
  co_return JsonReply(backend.watcher().history().For(call.caller));
}

awaitable<Reply> GetQueueHistory(Backend& backend, Call& call) {
  const TickRef tick = co_await backend.watcher().Next(0);
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, call.names[0]);
  if (!vhost) co_return vhost.error();
  const broker::QueueInfoRef* queue = (*vhost)->queues.Find(call.names[1]);
  if (queue == nullptr) {
    co_return NotFound(
        fmt::format("there is no queue '{}' in vhost '{}'", call.names[1], call.names[0]));
  }
  co_return JsonReply(backend.watcher().history().OfQueue((*queue)->id, tick->table->taken_at));
}

// VHOST/NAME, each percent-encoded: a name may have a slash in it.
std::optional<EventStream::QueueName> ParseQueueName(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  auto vhost = DecodeSegment(text.substr(0, slash));
  auto name = DecodeSegment(text.substr(slash + 1));
  if (!vhost || !name) return std::nullopt;
  return EventStream::QueueName{.vhost = std::move(*vhost), .name = std::move(*name)};
}

awaitable<Reply> GetEvents(Backend& backend, Call& call) {
  std::vector<EventStream::QueueName> queues;
  for (const std::string_view text : call.query().All("queue")) {
    auto queue = ParseQueueName(text);
    if (!queue) co_return BadRequest("queue must be VHOST/NAME, each percent-encoded");
    if (!call.caller.MaySee(queue->vhost))
      co_return NotAuthorised("User not authorised to access virtual host");
    queues.push_back(std::move(*queue));
  }
  if (queues.size() > EventStream::kQueues)
    co_return BadRequest(fmt::format("at most {} queues can be watched", EventStream::kQueues));
  auto place = backend.streams().Enter(call.caller.user);
  if (!place) {
    Reply full = ErrorReply(429, "too_many_requests",
                            fmt::format("there are {} streams of one user at most, and {} of all",
                                        StreamBook::kPerUser, StreamBook::kStreams));
    full.headers.emplace_back("Retry-After", "5");
    co_return full;
  }
  Reply reply{.content_type = "text/event-stream"};
  reply.headers.emplace_back("Cache-Control", "no-store");
  reply.headers.emplace_back("X-Accel-Buffering", "no");  // of proxies, which would wait for more
  reply.stream =
      std::make_shared<EventStream>(backend, std::move(*place), call.caller, std::move(queues));
  co_return reply;
}

}  // namespace

void AddWatchEndpoints(Router& router) {
  router.Add({
      {"GET", "/api/landfall/problems", Need::kManagement, GetProblems},
      {"GET", "/api/landfall/events", Need::kManagement, GetEvents},
      {"GET", "/api/landfall/history", Need::kManagement, GetHistory},
      {"GET", "/api/landfall/history/queues/{vhost}/{queue}", Need::kManagement, GetQueueHistory},
  });
}

}  // namespace landfall::admin
