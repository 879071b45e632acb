// Direct reply-to, the receiving end: a channel that consumes from the pseudo-queue.
#include <string>
#include <utility>

#include "broker/routing_keys.h"
#include "session/channel.h"

namespace landfall::session {

using amqp::ReplyCode;

Verdict Channel::ConsumeReplies(const amqp::BasicConsume& m, std::string tag) {
  if (!m.no_ack) return Refuse(ReplyCode::kPreconditionFailed, "reply consumer cannot acknowledge");
  if (reply_consumer_) return Refuse(ReplyCode::kPreconditionFailed, "reply consumer already set");
  const ReplyAddress address = ReplyAddress::Make(context_.options.reply_secret, context_.id, id_,
                                                  ++context_.reply_consumers);
  publishing_.SetReplyAddress(address.Name());
  if (!m.no_wait) context_.Send(id_, amqp::BasicConsumeOk{.consumer_tag = tag});
  reply_consumer_ = ReplyConsumer{std::move(tag), address};
  return {};
}

void Channel::EndReplies() {
  reply_consumer_.reset();
  publishing_.SetReplyAddress("");
}

bool Channel::OnDirectReply(const DirectReply& reply) {
  if (state_ != State::kOpen || !reply_consumer_ || reply_consumer_->address != reply.to) {
    return false;
  }
  if (!reply.message) return true;
  const broker::Message& message = *reply.message;
  amqp::AppendDelivery(context_.out, id_,
                       {.consumer_tag = reply_consumer_->tag,
                        .delivery_tag = tags_.Skip(),
                        .exchange = message.exchange(),
                        .routing_key = message.routing_key()},
                       broker::WithoutBcc(message.properties(), visible_properties_),
                       message.body(), context_.frame_max);
  return true;
}

// Declaring an address, passive or not, creates nothing: it asks whether the consumer is there.
Verdict Channel::DeclareReplyQueue(const amqp::QueueDeclare& m) {
  Await(Awaited::What::kReplyConsumer, m.kId, m.no_wait);
  awaited_.name = m.queue;
  if (m.queue == kReplyQueue) return OnReplyConsumerFound(true);
  const auto address = ReplyAddress::Parse(m.queue);
  if (!address) return OnReplyConsumerFound(false);
  publishing_.AskForReplyConsumer(*address);
  return {};
}

Verdict Channel::OnReplyConsumerFound(bool found) {
  if (!Answered(Awaited::What::kReplyConsumer)) return {};
  if (!found) {
    Exception none = NoQueue(awaited_.name);
    none.method = awaited_.method;
    return std::unexpected(std::move(none));
  }
  last_queue_ = awaited_.name;
  if (!awaited_.no_wait) {
    context_.Send(id_, amqp::QueueDeclareOk{.queue = awaited_.name, .consumer_count = 1});
  }
  return {};
}

}  // namespace landfall::session
