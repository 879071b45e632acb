#include "session/publishing.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "amqp/frame.h"
#include "base/flat_map.h"
#include "broker/message.h"
#include "broker/message_properties.h"
#include "session/producer_identity.h"

namespace landfall::session {

using amqp::ReplyCode;

namespace {

// Each is a mail of its own, perhaps to another worker.
constexpr size_t kMaxReplies = 256;

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
  Abandon();
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
  Rollback();
}

Verdict Publishing::Complete(ByteView body) {
  expecting_ = Expecting::kMethod;
  context_.has_published = true;
  const auto properties = amqp::DecodeProperties(properties_);
  if (!properties) return Refuse(ReplyCode::kSyntaxError, properties.error().message);

  if (Verdict may = permits_.Check(context_, exchange_); !may) return may;
  const auto keys = broker::RoutingKeys::Of(routing_key_, properties->headers);
  if (!keys) return Refuse(ReplyCode::kPreconditionFailed, keys.error().message);
  RouteCache& routes = context_.ports.routes();
  const RouteOutcome outcome =
      routes.Find(context_.ports.topology(), context_.vhost, exchange_, *keys, *properties);
  if (outcome == RouteOutcome::kNoExchange) {
    return Refuse(ReplyCode::kNotFound,
                  "no exchange '" + exchange_ + "' in vhost '" + context_.vhost + "'");
  }
  if (outcome == RouteOutcome::kInternalExchange) {
    return Refuse(ReplyCode::kAccessRefused, "cannot publish to internal exchange '" + exchange_ +
                                                 "' in vhost '" + context_.vhost + "'");
  }
  if (!context_.permissions->topics.empty()) {
    // Each of them, or CC would be a way around it.
    Verdict may;
    keys->ForEach([&](ByteView key) {
      if (may) may = CheckTopic(context_, access::Access::kWrite, exchange_, key);
    });
    if (!may) return may;
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

  ByteView encoded = properties_;
  if (properties->reply_to == kReplyQueue) {
    if (reply_address_.empty()) {
      return Refuse(ReplyCode::kPreconditionFailed, "fast reply consumer does not exist");
    }
    amqp::PropertiesView rewritten = *properties;
    rewritten.reply_to = reply_address_;
    rewritten_properties_.clear();
    amqp::AppendProperties(rewritten_properties_, rewritten);
    encoded = rewritten_properties_;
  }
  if (Verdict few = FindReplyAddresses(*keys); !few) return few;

  const Targets& targets = routes.targets();
  if (targets.empty() && replies_.empty() && !transactional_) {
    if (mandatory_) ReturnUnroutable(exchange_, routing_key_, encoded, body);
    confirms_.BeginUnroutable();
    NoteConfirms();
    DropBody();
    return {};
  }

  const broker::MessageRef message =
      broker::Message::Make(exchange_, routing_key_, encoded, body, properties->IsPersistent());
  DropBody();
  if (transactional_) return Hold(message, *std::move(identity));
  Send(message, targets, replies_, mandatory_, *std::move(identity),
       [](broker::ShardId) { return false; });
  NoteConfirms();
  return {};
}

// Addresses are names that no queue can have; the default exchange knows them.
Verdict Publishing::FindReplyAddresses(const broker::RoutingKeys& keys) {
  replies_.clear();
  if (!exchange_.empty()) return {};
  keys.ForEach([this](ByteView key) {
    if (const auto address = ReplyAddress::Parse(key)) replies_.push_back(*address);
  });
  if (replies_.size() <= kMaxReplies) return {};
  return Refuse(ReplyCode::kPreconditionFailed,
                "a message goes to at most " + std::to_string(kMaxReplies) + " reply addresses");
}

void Publishing::SendReply(const ReplyAddress& to, uint64_t number, broker::MessageRef message) {
  context_.ports.SendReply({to, context_.id, channel_, incarnation_, number, std::move(message)});
}

template <class F>
void Publishing::Send(const broker::MessageRef& message, const Targets& targets,
                      const ReplyAddresses& replies, bool mandatory,
                      std::unique_ptr<const broker::Identity> identity, F goes_on) {
  Landing landing;
  landing.channel = channel_;
  landing.incarnation = incarnation_;
  landing.bytes = static_cast<uint32_t>(std::min<size_t>(message->footprint(), UINT32_MAX));
  landing.number = confirms_.Begin(static_cast<uint16_t>(targets.size() + replies.size()),
                                   mandatory ? message : nullptr);
  for (const ReplyAddress& address : replies) SendReply(address, landing.number, message);
  const broker::OriginRef origin = context_.OriginForStories();
  const broker::StoryId story = origin ? context_.rng.Next() : 0;
  for (const ShardTargets& group : targets) {
    landing.journaled = message->persistent() && group.durable;
    context_.TouchShard(group.shard);
    std::unique_ptr<const broker::Identity> own;
    if (identity) {
      own = &group == &targets.back() ? std::exchange(identity, nullptr)
                                      : std::make_unique<const broker::Identity>(*identity);
    }
    broker::PublishCommand publish;
    publish.message = message;
    publish.queues = group.queues;
    publish.identity = std::move(own);
    publish.origin = origin;
    publish.story = story;
    publish.unit_goes_on = goes_on(group.shard);
    context_.shards.Publish(group.shard, landing, std::move(publish));
  }
}

Verdict Publishing::Hold(broker::MessageRef message,
                         std::unique_ptr<const broker::Identity> identity) {
  const SessionOptions& options = context_.options;
  if (context_.transaction_bytes >= options.max_transaction_bytes ||
      context_.transaction_messages >= options.max_unlanded_messages) {
    return Refuse(ReplyCode::kPreconditionFailed,
                  "the transactions of a connection may hold " +
                      std::to_string(options.max_transaction_bytes) + " bytes and " +
                      std::to_string(options.max_unlanded_messages) +
                      " messages: commit more often, or use confirms");
  }
  Held held{std::move(message), context_.ports.routes().targets(), replies_, std::move(identity),
            mandatory_};
  held.bytes = sizeof(Held) + held.message->footprint();
  for (const ShardTargets& group : held.targets) {
    held.bytes += sizeof(ShardTargets) + group.queues.size() * sizeof(broker::QueueId);
  }
  context_.transaction_bytes += held.bytes;
  ++context_.transaction_messages;
  held_.push_back(std::move(held));
  return {};
}

bool Publishing::Commit() {
  FlatMap<broker::ShardId, size_t> last;  // the last of each shard's unit
  for (size_t i = 0; i < held_.size(); ++i) {
    for (const ShardTargets& group : held_[i].targets) last[group.shard] = i;
  }
  for (size_t i = 0; i < held_.size(); ++i) {
    Held& held = held_[i];
    if (!held.targets.empty() || !held.replies.empty()) {
      Send(held.message, held.targets, held.replies, held.mandatory, std::move(held.identity),
           [&](broker::ShardId shard) { return last[shard] != i; });
      continue;
    }
    if (held.mandatory) {
      ReturnUnroutable(held.message->exchange(), held.message->routing_key(),
                       held.message->properties(), held.message->body());
    }
  }
  Rollback();
  NoteConfirms();
  committing_ = confirms_.outstanding() > 0;
  return !committing_;
}

void Publishing::Rollback() {
  for (const Held& held : held_) context_.transaction_bytes -= held.bytes;
  context_.transaction_messages -= held_.size();
  held_ = std::vector<Held>();
}

void Publishing::OnSettled(const Landing& landing) {
  const broker::MessageRef to_return =
      confirms_.Settle(landing.number, landing.fate, landing.journaled);
  if (to_return) {
    ReturnUnroutable(to_return->exchange(), to_return->routing_key(), to_return->properties(),
                     to_return->body());
  }
  NoteConfirms();
  if (committing_ && confirms_.outstanding() == 0) {
    committing_ = false;
    context_.landed_commits.push_back(channel_);
  }
}

void Publishing::ReturnUnroutable(ByteView exchange, ByteView routing_key, ByteView properties,
                                  ByteView body) {
  context_.Send(channel_,
                amqp::BasicReturn{.reply_code = static_cast<uint16_t>(ReplyCode::kNoRoute),
                                  .reply_text = amqp::ReplyName(ReplyCode::kNoRoute),
                                  .exchange = exchange,
                                  .routing_key = routing_key});
  ByteBuffer buffer;
  amqp::AppendContent(context_.out, channel_, broker::WithoutBcc(properties, buffer), body,
                      context_.frame_max);
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
