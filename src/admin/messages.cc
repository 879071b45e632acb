// POST /api/exchanges/…/publish and /api/queues/…/get.
#include <fmt/format.h>

#include <charconv>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/message_json.h"
#include "server/definition_entry.h"

namespace landfall::admin {
namespace {

// What one answer may hold, and of one body that stays in its queue, whatever was asked for.
constexpr size_t kMaxGotBytes = size_t{8} << 20;
constexpr int64_t kMaxGot = 10'000;

// ----------------------------------------------------------------------------------------- publish

awaitable<Reply> Publish(LocalChannel& channel, const amqp::BasicPublish& publish,
                         const PublishBody& message) {
  auto selected = co_await Ask<amqp::ConfirmSelectOk>(channel, amqp::ConfirmSelect{});
  if (!selected) co_return selected.error();
  channel.AppendPublish(publish, message.properties, message.payload);
  channel.Send();
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

awaitable<Reply> PostPublish(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto message = ReadPublishBody(*body);
  if (!message) co_return BadRequest(message.error().message);
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

awaitable<Reply> Get(LocalChannel& channel, const std::string& queue, GetBody wish) {
  // Of what is taken out of the queue nothing is cut that nobody wanted cut.
  if (wish.mode != GetBody::Mode::kAck) {
    wish.truncate = std::min(wish.truncate.value_or(kMaxGotBytes), kMaxGotBytes);
  }
  std::string out = "[";
  uint64_t last_tag = 0;
  for (int64_t i = 0; i < wish.count && out.size() < kMaxGotBytes; ++i) {
    const bool no_ack = wish.mode == GetBody::Mode::kAck;
    const Incoming answer = co_await channel.Call(amqp::BasicGet{.queue = queue, .no_ack = no_ack});
    if (answer.method == amqp::BasicGetEmpty::kId) break;
    if (answer.method != amqp::BasicGetOk::kId) co_return ReplyToRefusal(answer);
    last_tag = answer.As<amqp::BasicGetOk>().delivery_tag;
    if (i > 0) out += ',';
    out += JsonText(GotForm(answer, wish));
  }
  if (last_tag != 0 && wish.mode != GetBody::Mode::kAck) {
    if (wish.mode == GetBody::Mode::kRequeue) {
      // Nobody has worked on them: that they have been looked at must not count as a failure.
      channel.Append(amqp::LandfallRelease{.delivery_tag = last_tag, .multiple = true});
    } else {
      channel.Append(amqp::BasicNack{.delivery_tag = last_tag, .multiple = true, .requeue = false});
    }
    // Whatever the answer is, the queue has seen the settlement before it: who looks next sees it.
    co_await channel.Call(amqp::QueueDeclare{.queue = queue, .passive = true});
  }
  co_return Reply{.body = out + "]"};
}

awaitable<Reply> PostGet(Backend& backend, Call& call) {
  const auto body = BodyOf(call.request);
  if (!body) co_return body.error();
  const auto wish = ReadGetBody(*body, kMaxGot);
  if (!wish) co_return BadRequest(wish.error().message);
  const LocalChannel::Use use = [&](LocalChannel& channel) -> awaitable<Reply> {
    co_return co_await Get(channel, call.names[1], *wish);
  };
  co_return co_await WithVhostChannel(backend, call, use, LocalChannel::Extensions::kYes);
}

}  // namespace

void AddMessageEndpoints(Router& router) {
  router.Add({
      {"POST", "/api/exchanges/{vhost}/{exchange}/publish", Need::kManagement, PostPublish},
      {"POST", "/api/queues/{vhost}/{queue}/get", Need::kManagement, PostGet},
  });
}

}  // namespace landfall::admin
