#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "sim/client.h"

namespace landfall::sim {

// What is sent there carries x-delay.
inline constexpr std::string_view kDelayedExchange = "later";

// Where a publisher sends to.
struct Address {
  std::string exchange;
  std::string key;
};

struct PublisherOptions {
  std::vector<Address> addresses;
  uint64_t messages = 50;
  // Each message carries (name, epoch, sequence), and is sent again until it is confirmed.
  bool identified = false;
  // Without an identity: send again all the same, and be ready for doubles.
  bool sends_again = false;
  double persistent = 0.9;
  double mandatory = 0.3;
  Duration pause = std::chrono::milliseconds(5);
  size_t most_unconfirmed = 30;
};

// Publishes with confirms.
class Publisher final : public Client {
 public:
  Publisher(Surroundings& around, std::string name, PublisherOptions options);

  // All that it had to send is confirmed (or given up, if it sends nothing again).
  bool done() const { return finished_ && unconfirmed_.empty() && again_.empty(); }

 private:
  void OnOpen() override;
  void OnMethod(uint16_t channel, amqp::MethodId id, ByteView payload, Time made) override;
  void OnContent(uint16_t channel, const Content& content, Time made) override;
  void OnLost() override;

  void OpenChannel();
  void PublishSome();
  void Publish(Message& message);
  void Confirm(uint64_t tag, bool multiple, std::optional<amqp::ConfirmOutcome> outcome);
  uint64_t LowestUnsettled() const;
  void ChannelLost();

  const PublisherOptions options_;
  bool ready_ = false;
  bool finished_ = false;
  uint64_t channel_mark_ = 0;
  uint64_t next_tag_ = 1;
  uint64_t sent_ = 0;
  uint64_t epoch_ = 1;
  uint64_t next_sequence_ = 1;
  std::map<uint64_t, Message*> unconfirmed_;  // by tag
  std::deque<Message*> again_;
  std::map<const Message*, uint64_t> sequences_;  // of those not confirmed
};

}  // namespace landfall::sim
