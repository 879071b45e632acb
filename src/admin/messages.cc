// POST /api/exchanges/…/publish and /api/queues/…/get.
#include <fmt/format.h>

#include <charconv>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/message_json.h"
#include "server/definition_entry.h"

namespace landfall::admin {
namespace {

// What one answer may hold, and of one body, whatever was asked for.
constexpr size_t kMaxGotBytes = size_t{8} << 20;
constexpr int64_t kMaxGot = 10'000;
// Of a message that is published, with the JSON around it.
constexpr uint64_t kPublishBytes = uint64_t{8} << 20;

// ----------------------------------------------------------------------------------------- publish

awaitable<Reply> Publish(LocalChannel& channel, const amqp::BasicPublish& publish,
                         const PublishBody& message) {
  auto selected = co_await Ask<amqp::ConfirmSelectOk>(channel, amqp::ConfirmSelect{});
  if (!selected) co_return selected.error();
  channel.AppendPublish(publish, message.properties, message.payload);
  channel.Send();
  channel.KeepBodies(0);  // if it is returned, we have it
  bool routed = true;
  while (true) {
    const Incoming answer = co_await channel.Next();
    if (answer.method == amqp::BasicReturn::kId) {
      routed = false;
    } else if (answer.method == amqp::BasicAck::kId) {
      co_return JsonReply({{"routed", routed}});
    } else if (answer.method == amqp::BasicNack::kId) {
      co_return BadRequest("rejected Unable to publish message. Check queue limits.");
    } else {
      co_return ReplyToRefusal(answer);
    }
  }
}

// Of the body only the message stays: requests wait for their confirms with it.
std::expected<PublishBody, Reply> MessageIn(Request& request) {
  const auto body = BodyOf(request);
  if (!body) return std::unexpected(body.error());
  request.body = {};
  auto message = ReadPublishBody(*body);
  if (!message) return std::unexpected(BadRequest(message.error().message));
  return std::move(*message);
}

awaitable<Reply> PostPublish(Backend& backend, Call& call) {
  const auto message = MessageIn(call.request);
  if (!message) co_return message.error();
  if (backend.broker().memory_alarm() || backend.broker().disk_alarm()) {
    co_return ErrorReply(503, "service_unavailable",
                         "publishers are blocked until there is more memory or disk again");
  }
  const std::string exchange = ExchangeName(call.names[1]);
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    const amqp::BasicPublish publish{
        .exchange = exchange, .routing_key = message->routing_key, .mandatory = true};
    co_return co_await Publish(channel, publish, *message);
  };
  co_return co_await WithVhostChannel(backend, call, use);
}

// --------------------------------------------------------------------------------------------- get

// What is taken out of the queue must be answered whole, unless it was to be cut.
bool IsTooLarge(const Incoming& got, const GetBody& wish) {
  return wish.mode == GetBody::Mode::kAck && got.body_size > kMaxGotBytes &&
         wish.truncate.value_or(SIZE_MAX) > kMaxGotBytes;
}

// Of those with delivery tags up to that.
void AppendSettlement(LocalChannel& channel, GetBody::Mode mode, uint64_t last_tag) {
  switch (mode) {
    case GetBody::Mode::kAck:
      channel.Append(amqp::BasicAck{.delivery_tag = last_tag, .multiple = true});
      return;
    case GetBody::Mode::kRequeue:
      // Nobody has worked on them: that they have been looked at must not count as a failure.
      channel.Append(amqp::LandfallRelease{.delivery_tag = last_tag, .multiple = true});
      return;
    case GetBody::Mode::kReject:
      channel.Append(amqp::BasicNack{.delivery_tag = last_tag, .multiple = true, .requeue = false});
      return;
  }
}

// Settled is only what is answered, and when all of it has been read: if something fails in
// between, the queue still has every message.
awaitable<Reply> Get(LocalChannel& channel, const std::string& queue, const GetBody& wish) {
  channel.KeepBodies(std::min(wish.truncate.value_or(kMaxGotBytes), kMaxGotBytes));
  std::string out = "[";
  uint64_t last_tag = 0;
  uint64_t too_large = 0;
  for (int64_t i = 0; i < wish.count && out.size() < kMaxGotBytes; ++i) {
    const Incoming answer = co_await channel.Call(amqp::BasicGet{.queue = queue});
    if (answer.method == amqp::BasicGetEmpty::kId) break;
    if (answer.method != amqp::BasicGetOk::kId) co_return ReplyToRefusal(answer);
    const uint64_t tag = answer.As<amqp::BasicGetOk>().delivery_tag;
    if (IsTooLarge(answer, wish)) {
      too_large = answer.body_size;
      channel.Append(amqp::LandfallRelease{.delivery_tag = tag});
      break;
    }
    if (last_tag != 0) out += ',';
    last_tag = tag;
    out += JsonText(GotForm(answer, wish));
  }
  if (last_tag != 0) AppendSettlement(channel, wish.mode, last_tag);
  if (last_tag != 0 || too_large != 0) {
    // Whatever the answer is, the queue has seen the settlement before it: who looks next sees it.
    co_await channel.Call(amqp::QueueDeclare{.queue = queue, .passive = true});
  }
  if (last_tag == 0 && too_large != 0) {
    co_return BadRequest(
        fmt::format("the next message has {} bytes and stays in the queue: an answer holds {} of "
                    "one; say truncate, or take it with AMQP",
                    too_large, kMaxGotBytes));
  }
  co_return Reply{.body = out + "]"};
}

awaitable<Reply> PostGet(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto wish = ReadGetBody(*body, kMaxGot);
  if (!wish) co_return BadRequest(wish.error().message);
  const Turnstile::Pass pass = co_await backend.readers().Enter();
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    co_return co_await Get(channel, call.names[1], *wish);
  };
  co_return co_await WithVhostChannel(backend, call, use, LocalChannel::Extensions::kYes);
}

}  // namespace

void AddMessageEndpoints(Router& router) {
  router.Add({
      {"POST", "/api/exchanges/{vhost}/{exchange}/publish", Need::kManagement, PostPublish,
       kPublishBytes},
      {"POST", "/api/queues/{vhost}/{queue}/get", Need::kManagement, PostGet},
  });
}

}  // namespace landfall::admin
