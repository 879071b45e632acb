// What a channel receives: consumers, basic.get, prefetch.
#include <algorithm>
#include <string>
#include <utility>

#include "amqp/properties.h"
#include "broker/routing_keys.h"
#include "session/channel.h"

namespace landfall::session {

using amqp::ReplyCode;

namespace {

constexpr size_t kMaxConsumers = 10'000;
constexpr std::string_view kDeliveryCount = "x-delivery-count";

std::string MakeConsumerTag(Rng& rng) {
  static constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string tag = "amq.ctag-";
  for (int i = 0; i < 22; ++i) tag += kLetters[rng.Below(kLetters.size())];
  return tag;
}

}  // namespace

Verdict Channel::On(const amqp::BasicQos& m) {
  if (m.prefetch_size != 0) {
    return Refuse(ReplyCode::kNotImplemented,
                  "prefetch_size!=0 (" + std::to_string(m.prefetch_size) + ")");
  }
  if (m.global) {
    consumers_.SetBudget(m.prefetch_count);
    if (m.prefetch_count != 0) PutUnderBudget();
    ShareOutGrants();
  } else {
    prefetch_ = m.prefetch_count;
  }
  context_.Send(id_, amqp::BasicQosOk{});
  return {};
}

// A budget holds for the consumers that are there already as well, and for what they hold.
void Channel::PutUnderBudget() {
  consumers_.ForEach([this](Consumer& consumer) {
    if (consumer.by_grant) return;
    consumer.by_grant = true;
    context_.ToShard(consumer.shard, broker::GrantCommand{consumer.id, consumer.queue, 0});
  });
  tags_.ForEach([this](Delivery& delivery) {
    if (delivery.consumer == 0 || delivery.granted || delivery.stale) return;
    delivery.granted = true;
    consumers_.TakePlace();
  });
}

Verdict Channel::On(const amqp::BasicConsume& m) {
  std::string tag(m.consumer_tag);
  if (tag.empty()) tag = MakeConsumerTag(context_.rng);
  if (consumers_.Find(tag) != nullptr || (reply_consumer_ && reply_consumer_->tag == tag)) {
    return Refuse(ReplyCode::kNotAllowed, "attempt to reuse consumer tag '" + tag + "'");
  }
  if (consumers_.size() >= kMaxConsumers) {
    return Refuse(ReplyCode::kNotAllowed, "reached maximum (" + std::to_string(kMaxConsumers) +
                                              ") of consumers per channel");
  }
  if (m.queue == kReplyQueue) return ConsumeReplies(m, std::move(tag));
  const auto queue = FindQueueToRead(m.queue);
  if (!queue) return std::unexpected(queue.error());
  const auto priority = m.arguments.Find("x-priority");
  if (priority && !priority->AsInteger()) {
    return Refuse(ReplyCode::kPreconditionFailed, "invalid arg 'x-priority' for queue '" +
                                                      (*queue)->name + "' in vhost '" +
                                                      context_.vhost + "': must be an integer");
  }
  Consumer consumer;
  consumer.id = ++context_.last_consumer;
  consumer.tag = std::move(tag);
  consumer.queue = (*queue)->id;
  consumer.shard = (*queue)->shard;
  consumer.no_ack = m.no_ack;
  consumer.by_grant = consumers_.has_budget();

  broker::ConsumeCommand consume;
  consume.channel = id_;
  consume.consumer = consumer.id;
  consume.queue = consumer.queue;
  consume.no_ack = m.no_ack;
  consume.exclusive = m.exclusive;
  consume.by_grant = consumer.by_grant;
  consume.prefetch = m.no_ack ? 0 : prefetch_;
  consume.priority = static_cast<int32_t>(
      std::clamp<int64_t>(priority ? *priority->AsInteger() : 0, INT32_MIN, INT32_MAX));
  consume.origin = new broker::Origin(context_.user, context_.origin->connection, consumer.tag);
  consume.credit = context_.credit.Open(consumer.id, consumer.shard, consumer.queue);

  Await(Awaited::What::kConsuming, m.kId, m.no_wait);
  awaited_.consumer = consumer.id;
  TouchShard(consumer.shard);
  context_.ToShard(consumer.shard, consume);
  consumers_.Add(std::move(consumer));
  return {};
}

Verdict Channel::OnOutcome(broker::Consuming& consuming) {
  if (awaited_.consumer != consuming.consumer || !Answered(Awaited::What::kConsuming)) return {};
  const Consumer* consumer = consumers_.Find(consuming.consumer);
  if (consuming.refused) {
    RemoveConsumer(consuming.consumer);
    return std::unexpected(
        Exception{*consuming.refused, std::move(consuming.text), awaited_.method});
  }
  if (consumer != nullptr && !awaited_.no_wait) {
    context_.Send(id_, amqp::BasicConsumeOk{.consumer_tag = consumer->tag});
  }
  return {};
}

Verdict Channel::On(const amqp::BasicCancel& m) {
  if (reply_consumer_ && reply_consumer_->tag == m.consumer_tag) EndReplies();
  const Consumer* consumer = consumers_.Find(m.consumer_tag);
  if (consumer == nullptr) {
    // The queue may have been deleted a moment ago, or there was none (direct reply-to).
    if (!m.no_wait) context_.Send(id_, amqp::BasicCancelOk{.consumer_tag = m.consumer_tag});
    return {};
  }
  Await(Awaited::What::kCancelled, m.kId, m.no_wait);
  awaited_.consumer = consumer->id;
  awaited_.name = consumer->tag;
  context_.ToShard(consumer->shard, broker::CancelCommand{id_, consumer->id, consumer->queue});
  return {};
}

Verdict Channel::OnOutcome(broker::Cancelled& cancelled) {
  if (cancelled.asked) {
    if (awaited_.consumer != cancelled.consumer || !Answered(Awaited::What::kCancelled)) return {};
    RemoveConsumer(cancelled.consumer);
    if (!awaited_.no_wait) {
      context_.Send(id_, amqp::BasicCancelOk{.consumer_tag = awaited_.name});
    }
    return {};
  }
  const Consumer* consumer = consumers_.Find(cancelled.consumer);
  if (consumer == nullptr) return {};
  if (awaited_.what == Awaited::What::kRecovered) {
    behind_recover_ok_.emplace_back(cancelled);
    return {};
  }
  // The client has asked as well: its cancel-ok is on the way.
  const bool asked =
      awaited_.what == Awaited::What::kCancelled && awaited_.consumer == cancelled.consumer;
  if (context_.peer.consumer_cancel_notify && !asked) {
    context_.Send(id_, amqp::BasicCancel{.consumer_tag = consumer->tag, .no_wait = true});
  }
  RemoveConsumer(cancelled.consumer);
  return {};
}

void Channel::RemoveConsumer(broker::ConsumerId id) {
  consumers_.Remove(id);
  context_.credit.Close(id);
  ShareOutGrants();
}

Verdict Channel::OnOutcome(broker::Deliver& deliver) {
  const Consumer* consumer = consumers_.Find(deliver.consumer);
  // Gone with its channel: the shard has been told and gives the message to somebody else.
  if (consumer == nullptr) return {};
  if (awaited_.what == Awaited::What::kRecovered) {
    behind_recover_ok_.emplace_back(std::move(deliver));
    return {};
  }
  const broker::Message& message = *deliver.message;
  const uint64_t tag = consumer->no_ack ? tags_.Skip()
                                        : tags_.Add(Delivery{.queue = deliver.queue,
                                                             .sequence = deliver.sequence,
                                                             .attempt = deliver.attempt,
                                                             .consumer = deliver.consumer,
                                                             .shard = deliver.shard,
                                                             .granted = consumer->by_grant});
  if (consumer->by_grant) {
    consumers_.UseGrant(deliver.consumer);
    if (consumer->no_ack) {
      // It needs a free place, as in RabbitMQ, and does not keep it.
      consumers_.Release();
      ShareOutGrants();
    }
  }
  amqp::AppendDelivery(context_.out, id_,
                       {.consumer_tag = consumer->tag,
                        .delivery_tag = tag,
                        .redelivered = deliver.redelivered,
                        .exchange = message.exchange(),
                        .routing_key = message.routing_key()},
                       PropertiesFor(message, deliver.tell_count, deliver.delivery_count),
                       message.body(), context_.frame_max);
  context_.credit.Spend(deliver.consumer, message.footprint(), context_.OutputOffset());
  return {};
}

// As published but for BCC, or with the number of failed deliveries before this one.
ByteView Channel::PropertiesFor(const broker::Message& message, bool tell_count,
                                uint32_t delivery_count) {
  const ByteView published = broker::WithoutBcc(message.properties(), visible_properties_);
  if (!tell_count || delivery_count == 0) return published;
  const auto view = amqp::DecodeProperties(published);
  if (!view) return published;
  auto properties = amqp::Properties::From(*view);
  if (!properties) return published;
  if (!properties->headers) properties->headers.emplace();
  properties->headers->Set(kDeliveryCount, amqp::Value(static_cast<int64_t>(delivery_count)));
  rewritten_properties_.clear();
  amqp::AppendProperties(rewritten_properties_, *properties);
  // A content header cannot be split: rather without the count than too large.
  if (context_.frame_max != 0 &&
      rewritten_properties_.size() + amqp::kContentHeaderFixedSize + amqp::kFrameOverhead >
          context_.frame_max) {
    return published;
  }
  return rewritten_properties_;
}

Verdict Channel::On(const amqp::BasicGet& m) {
  const auto queue = FindQueueToRead(m.queue);
  if (!queue) return std::unexpected(queue.error());
  Await(Awaited::What::kGot, m.kId);
  awaited_.no_ack = m.no_ack;
  awaited_.name = (*queue)->name;
  TouchShard((*queue)->shard);
  context_.ToShard((*queue)->shard, broker::GetCommand{.channel = id_,
                                                       .queue = (*queue)->id,
                                                       .no_ack = m.no_ack,
                                                       .origin = context_.OriginForStories()});
  return {};
}

Verdict Channel::OnOutcome(broker::Got& got) {
  if (!Answered(Awaited::What::kGot)) return {};
  if (got.queue_gone) {
    Exception gone = NoQueue(awaited_.name);
    gone.method = awaited_.method;
    return std::unexpected(std::move(gone));
  }
  if (!got.message) {
    context_.Send(id_, amqp::BasicGetEmpty{});
    return {};
  }
  const broker::Message& message = *got.message;
  const uint64_t tag = awaited_.no_ack ? tags_.Skip()
                                       : tags_.Add(Delivery{.queue = got.queue,
                                                            .sequence = got.sequence,
                                                            .attempt = got.attempt,
                                                            .consumer = 0,
                                                            .shard = got.shard});
  context_.Send(id_, amqp::BasicGetOk{.delivery_tag = tag,
                                      .redelivered = got.redelivered,
                                      .exchange = message.exchange(),
                                      .routing_key = message.routing_key(),
                                      .message_count = got.ready_left});
  amqp::AppendContent(context_.out, id_, PropertiesFor(message, got.tell_count, got.delivery_count),
                      message.body(), context_.frame_max);
  return {};
}

Verdict Channel::OnOutcome(broker::WantGrants& want) {
  consumers_.Want(want.consumer, want.messages);
  ShareOutGrants();
  return {};
}

Verdict Channel::OnOutcome(broker::ReturnGrants& grants) {
  consumers_.Return(grants.consumer, grants.grants);
  ShareOutGrants();
  return {};
}

void Channel::ShareOutGrants() {
  consumers_.ShareOut([this](const Consumer& consumer, uint32_t grants) {
    context_.ToShard(consumer.shard, broker::GrantCommand{consumer.id, consumer.queue, grants});
  });
}

}  // namespace landfall::session
