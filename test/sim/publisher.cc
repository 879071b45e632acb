#include "sim/publisher.h"

#include <fmt/format.h>

#include <algorithm>

namespace landfall::sim {
namespace {

constexpr uint16_t kChannel = 1;

}  // namespace

Publisher::Publisher(Surroundings& around, std::string name, PublisherOptions options)
    : Client(around, std::move(name)), options_(std::move(options)) {}

void Publisher::OnOpen() {
  // Now and then another process takes over under the same name.
  if (rng().Chance(0.3)) ++epoch_;
  OpenChannel();
}

void Publisher::OpenChannel() {
  Send(kChannel, amqp::ChannelOpen{});
  Send(kChannel, amqp::ConfirmSelect{});
}

void Publisher::OnMethod(uint16_t, amqp::MethodId id, ByteView payload, Time) {
  switch (id) {
    case amqp::ConfirmSelectOk::kId:
      ready_ = true;
      next_tag_ = 1;
      channel_mark_ = around_.world.Mark();
      PublishSome();
      return;
    case amqp::BasicAck::kId: {
      const auto ack = *amqp::Decode<amqp::BasicAck>(payload);
      if (extended_) model().Fail(name() + " got basic.ack instead of landfall.confirm");
      return Confirm(ack.delivery_tag, ack.multiple, std::nullopt);
    }
    case amqp::LandfallConfirm::kId: {
      const auto confirm = *amqp::Decode<amqp::LandfallConfirm>(payload);
      return Confirm(confirm.delivery_tag, confirm.multiple, confirm.outcome);
    }
    case amqp::BasicNack::kId:
      return model().Fail(name() + " got a basic.nack, though nothing can have fenced it");
    case amqp::ChannelClose::kId: {
      const auto close = *amqp::Decode<amqp::ChannelClose>(payload);
      CheckClose(close.reply_code, close.reply_text);
      ChannelLost();
      Send(kChannel, amqp::ChannelCloseOk{});
      AfterOnLink(around_.world.Any(std::chrono::milliseconds(50)), [this] { OpenChannel(); });
      return;
    }
    default:
      return;
  }
}

void Publisher::OnContent(uint16_t, const Content& content, Time) {
  const auto returned = amqp::Decode<amqp::BasicReturn>(content.method);
  if (!returned) return model().Fail(name() + " got content that is no return");
  // Returns come in order, before the confirms of what they return.
  for (auto& [tag, message] : unconfirmed_) {
    if (message->body != content.body) continue;
    return model().OnReturned(*message);
  }
  model().Fail(name() + " got a message back that it does not wait for");
}

void Publisher::Confirm(uint64_t tag, bool multiple, std::optional<amqp::ConfirmOutcome> outcome) {
  if (tag == 0 || tag >= next_tag_) {
    return model().Fail(fmt::format("{} got a confirm of {}, which it has not sent", name(), tag));
  }
  const auto end = unconfirmed_.upper_bound(tag);
  auto it = multiple ? unconfirmed_.begin() : unconfirmed_.find(tag);
  if (it == unconfirmed_.end() || it == end) {
    return model().Fail(fmt::format("{} got a second confirm of {}", name(), tag));
  }
  while (it != end) {
    model().OnConfirmed(*it->second, outcome);
    sequences_.erase(it->second);
    it = unconfirmed_.erase(it);
  }
}

void Publisher::OnLost() { ChannelLost(); }

void Publisher::ChannelLost() {
  ready_ = false;
  std::vector<Message*> open;
  for (auto& [tag, message] : unconfirmed_) open.push_back(message);
  unconfirmed_.clear();
  if (!options_.identified && !options_.sends_again) return;
  again_.insert(again_.begin(), open.begin(), open.end());
}

uint64_t Publisher::LowestUnsettled() const {
  uint64_t lowest = next_sequence_;
  for (const auto& [message, sequence] : sequences_) lowest = std::min(lowest, sequence);
  return lowest;
}

void Publisher::PublishSome() {
  if (!ready_) return;
  uint64_t burst = 1 + rng().Below(8);
  while (burst-- > 0 && unconfirmed_.size() < options_.most_unconfirmed) {
    if (!again_.empty()) {
      Message* message = again_.front();
      again_.pop_front();
      Publish(*message);
      continue;
    }
    if (sent_ >= options_.messages || !around_.stormy) {
      finished_ = true;
      break;
    }
    ++sent_;
    const Address& to = options_.addresses[rng().Below(options_.addresses.size())];
    size_t size = 8 + rng().Below(100);
    if (rng().Chance(0.03)) size = rng().Below(12'000);
    Message& message =
        model().NewMessage(to.exchange, to.key, size, rng().Chance(options_.persistent),
                           rng().Chance(options_.mandatory), options_.identified);
    if (to.exchange == kDelayedExchange) {
      message.delay = std::chrono::milliseconds(1 + rng().Below(400));
    }
    if (options_.identified) sequences_[&message] = next_sequence_++;
    Publish(message);
  }
  if (done()) return;
  AfterOnLink(around_.world.Any(options_.pause), [this, mark = channel_mark_] {
    if (mark == channel_mark_) PublishSome();
  });
}

void Publisher::Publish(Message& message) {
  const uint64_t tag = next_tag_++;
  unconfirmed_[tag] = &message;
  model().OnSent(message, channel_mark_, tag);
  amqp::Properties properties;
  if (rng().Chance(0.3)) properties.priority = static_cast<uint8_t>(rng().Below(5));
  properties.delivery_mode = message.persistent ? amqp::kPersistent : amqp::kTransient;
  amqp::Table headers;
  if (options_.identified) {
    const uint64_t sequence = sequences_.at(&message);
    headers = {{"x-producer", name()},
               {"x-producer-epoch", static_cast<int64_t>(epoch_)},
               {"x-producer-sequence", static_cast<int64_t>(sequence)},
               {"x-producer-lowest", static_cast<int64_t>(LowestUnsettled())}};
  }
  if (message.delay > Duration{0}) {
    const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(message.delay);
    headers.Set("x-delay", int64_t{ms.count()});
  }
  if (!headers.empty()) properties.headers = std::move(headers);
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  ByteBuffer frames;
  amqp::AppendPublish(frames, kChannel, message.exchange, message.key, message.mandatory, encoded,
                      message.body, frame_max());
  around_.world.Trace([&] {
    return fmt::format("{} > basic.publish {}: {}", name(), tag, Model::Describe(message));
  });
  Write(frames);
}

}  // namespace landfall::sim
