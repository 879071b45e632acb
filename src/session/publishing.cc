#include "session/publishing.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "amqp/frame.h"
#include "broker/message.h"
#include "broker/message_properties.h"
#include "session/producer_identity.h"

namespace landfall::session {

using amqp::ReplyCode;

namespace {

// A buffer that a large body has left behind is not kept.
constexpr size_t kMaxKeptBody = 64 << 10;
// Bodies in parts, over all channels of a connection, in units of the largest message.
constexpr uint64_t kMaxAssemblingMessages = 2;

}  // namespace

Publishing::Publishing(ConnectionContext& context, broker::ChannelId channel, uint32_t incarnation)
    : context_(context),
      channel_(channel),
      incarnation_(incarnation),
      confirms_(context.peer.landfall_extensions) {}

Publishing::~Publishing() {
  DropBody();
  context_.open_publishes -= counted_open_;
}

Verdict Publishing::OnPublish(const amqp::BasicPublish& publish) {
  if (publish.immediate) return Refuse(ReplyCode::kNotImplemented, "immediate=true");
  exchange_.assign(publish.exchange);
  routing_key_.assign(publish.routing_key);
  mandatory_ = publish.mandatory;
  expecting_ = Expecting::kHeader;
  return {};
}

Verdict Publishing::OnHeader(ByteView payload) {
  if (expecting_ == Expecting::kMethod) {
    return Refuse(ReplyCode::kUnexpectedFrame,
                  "expected method frame, got non method frame instead");
  }
  if (expecting_ == Expecting::kBody) {
    return Refuse(ReplyCode::kUnexpectedFrame,
                  "expected content body, got non content body frame instead");
  }
  const auto header = amqp::DecodeContentHeader(payload);
  if (!header) return Refuse(ReplyCode::kSyntaxError, header.error().message);
  if (header->class_id != amqp::kClassBasic) {
    return Refuse(ReplyCode::kUnexpectedFrame,
                  "expected content header for class 60, got one for class " +
                      std::to_string(header->class_id) + " instead");
  }
  if (header->body_size > context_.options.max_message_bytes) {
    expecting_ = Expecting::kMethod;
    return Refuse(ReplyCode::kPreconditionFailed,
                  "message size " + std::to_string(header->body_size) +
                      " is larger than configured max size " +
                      std::to_string(context_.options.max_message_bytes));
  }
  properties_.assign(header->properties);
  body_size_ = header->body_size;
  if (body_size_ == 0) return Complete({});
  expecting_ = Expecting::kBody;
  return {};
}

Verdict Publishing::OnBody(ByteView payload) {
  if (expecting_ == Expecting::kMethod) {
    return Refuse(ReplyCode::kUnexpectedFrame,
                  "expected method frame, got non method frame instead");
  }
  if (expecting_ == Expecting::kHeader) {
    return Refuse(ReplyCode::kUnexpectedFrame,
                  "expected content header for class 60, got non content header frame instead");
  }
  if (payload.size() == body_size_ && body_.empty()) return Complete(payload);
  if (payload.size() > body_size_ - body_.size()) {
    return Refuse(ReplyCode::kFrameError, "content body is larger than its header says");
  }
  // Grows with what has arrived, never with what the header claims will arrive.
  body_.append(payload);
  context_.assembling_bytes += payload.size();
  if (body_.size() == body_size_) return Complete(body_);
  if (context_.assembling_bytes > kMaxAssemblingMessages * context_.options.max_message_bytes) {
    return Refuse(ReplyCode::kResourceError, "too many bytes of unfinished messages");
  }
  return {};
}

Verdict Publishing::ContentInterrupted() const {
  return expecting_ == Expecting::kHeader
             ? Refuse(ReplyCode::kUnexpectedFrame,
                      "expected content header for class 60, got non content header frame instead")
             : Refuse(ReplyCode::kUnexpectedFrame,
                      "expected content body, got non content body frame instead");
}

void Publishing::Abandon() {
  expecting_ = Expecting::kMethod;
  DropBody();
}

Verdict Publishing::Complete(ByteView body) {
  expecting_ = Expecting::kMethod;
  context_.has_published = true;
  const auto properties = amqp::DecodeProperties(properties_);
  if (!properties) return Refuse(ReplyCode::kSyntaxError, properties.error().message);

  if (Verdict may = permits_.Check(context_, exchange_); !may) return may;
  const RouteOutcome outcome = routes_.Find(context_.ports.topology(), context_.vhost, exchange_,
                                            routing_key_, properties->headers);
  if (outcome == RouteOutcome::kNoExchange) {
    return Refuse(ReplyCode::kNotFound,
                  "no exchange '" + exchange_ + "' in vhost '" + context_.vhost + "'");
  }
  if (outcome == RouteOutcome::kInternalExchange) {
    return Refuse(ReplyCode::kAccessRefused, "cannot publish to internal exchange '" + exchange_ +
                                                 "' in vhost '" + context_.vhost + "'");
  }
  if (!context_.permissions->topics.empty()) {
    if (Verdict may = CheckTopic(context_, access::Access::kWrite, exchange_, routing_key_); !may) {
      return may;
    }
  }
  if (properties->Has(amqp::kHasUserId) && properties->user_id != context_.user &&
      !context_.account->HasTag("impersonator")) {
    return Refuse(ReplyCode::kPreconditionFailed,
                  "user_id property set to '" + std::string(properties->user_id) +
                      "' but authenticated user was '" + context_.user + "'");
  }
  if (properties->Has(amqp::kHasExpiration)) {
    const auto expiration = broker::ParseExpiration(properties->expiration);
    if (!expiration) {
      return Refuse(ReplyCode::kPreconditionFailed, "invalid expiration '" +
                                                        std::string(properties->expiration) +
                                                        "': " + expiration.error());
    }
  }
  auto identity = ReadIdentity(properties->headers);
  if (!identity) return std::unexpected(std::move(identity.error()));

  const Targets& targets = routes_.targets();
  if (targets.empty()) {
    if (mandatory_) ReturnUnroutable(exchange_, routing_key_, properties_, body);
    confirms_.BeginUnroutable();
    NoteConfirms();
    DropBody();
    return {};
  }

  const bool persistent = properties->IsPersistent();
  const broker::MessageRef message =
      broker::Message::Make(exchange_, routing_key_, properties_, body, persistent);
  Landing landing;
  landing.channel = channel_;
  landing.incarnation = incarnation_;
  landing.bytes = static_cast<uint32_t>(std::min<size_t>(message->footprint(), UINT32_MAX));
  landing.number =
      confirms_.Begin(static_cast<uint16_t>(targets.size()), mandatory_ ? message : nullptr);
  for (const ShardTargets& group : targets) {
    landing.journaled = persistent && group.durable;
    context_.TouchShard(group.shard);
    std::unique_ptr<const broker::Identity> own;
    if (*identity) {
      own = &group == &targets.back() ? std::move(*identity)
                                      : std::make_unique<const broker::Identity>(**identity);
    }
    context_.shards.Publish(group.shard, landing, message, group.queues, std::move(own));
  }
  NoteConfirms();
  DropBody();
  return {};
}

void Publishing::OnSettled(const Landing& landing) {
  const broker::MessageRef to_return =
      confirms_.Settle(landing.number, landing.fate, landing.journaled);
  if (to_return) {
    ReturnUnroutable(to_return->exchange(), to_return->routing_key(), to_return->properties(),
                     to_return->body());
  }
  NoteConfirms();
}

void Publishing::ReturnUnroutable(ByteView exchange, ByteView routing_key, ByteView properties,
                                  ByteView body) {
  context_.Send(channel_,
                amqp::BasicReturn{.reply_code = static_cast<uint16_t>(ReplyCode::kNoRoute),
                                  .reply_text = amqp::ReplyName(ReplyCode::kNoRoute),
                                  .exchange = exchange,
                                  .routing_key = routing_key});
  amqp::AppendContent(context_.out, channel_, properties, body, context_.frame_max);
}

void Publishing::NoteConfirms() {
  context_.open_publishes += confirms_.outstanding() - counted_open_;
  counted_open_ = confirms_.outstanding();
  if (flush_wanted_ || !confirms_.dirty()) return;
  flush_wanted_ = true;
  context_.unflushed_confirms.push_back(channel_);
}

void Publishing::FlushConfirms() {
  flush_wanted_ = false;
  confirms_.Flush(context_.out, channel_);
}

void Publishing::DropBody() {
  context_.assembling_bytes -= body_.size();
  body_.clear();
  if (body_.capacity() > kMaxKeptBody) body_ = ByteBuffer();
}

}  // namespace landfall::session
