#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "sim/client.h"

namespace landfall::sim {

struct ConsumerOptions {
  std::vector<const QueueSpec*> queues;
  uint16_t prefetch = 10;  // 0: none
  bool global_prefetch = false;
  bool no_ack = false;
  // Fetches with basic.get instead.
  bool gets = false;
  Duration think = std::chrono::milliseconds(5);
  // Chances of what becomes of a delivery; what is left is an ack.
  double give_back = 0.1;
  double reject = 0.05;
  double stall = 0.03;
  double multiple = 0.2;
  // Chance of trouble (disconnect, cancel, close the channel, recover) at each delivery.
  double trouble = 0.01;
  // Empties queues at the end: acks everything.
  bool drains = false;
};

// Consumes from one or two queues on one channel.
class Consumer final : public Client {
 public:
  Consumer(Surroundings& around, std::string name, ConsumerOptions options);

 private:
  struct Subscribed {
    const QueueSpec* spec = nullptr;
    std::unique_ptr<Subscription> subscription;
    bool active = false;
    bool cancelling = false;
  };
  struct Held {
    Delivery delivery;
    const QueueSpec* spec = nullptr;
    const Subscription* subscription = nullptr;  // null: of basic.get
  };

  void OnOpen() override;
  void OnMethod(uint16_t channel, amqp::MethodId id, ByteView payload, Time made) override;
  void OnContent(uint16_t channel, const Content& content, Time made) override;
  void OnLost() override;
  void OnLeaving() override { ReleaseAll(); }

  void OpenChannel();
  void Subscribe(size_t which);
  void Get();
  void Take(uint64_t tag, Held held);
  void CheckPrefetch(const Held& held) const;
  void Decide(uint64_t tag);
  void Ack(uint64_t tag);
  void GiveBack(uint64_t tag);
  void Reject(uint64_t tag);
  void MakeTrouble();
  // The channel is gone, or about to be.
  void ReleaseAll();
  // With `multiple`, all held up to the tag; then they are held no more.
  template <class F>
  bool Settle(uint64_t tag, F f);
  void Risk();
  void RiskOver();
  void LetGoByBroker();

  const ConsumerOptions options_;
  HolderRef holder_;
  std::vector<Subscribed> subscribed_;
  std::vector<std::unique_ptr<Subscription>> cancelled_;
  uint64_t tags_made_ = 0;
  uint64_t incarnation_ = 0;  // of the channel
  uint32_t risks_ = 0;
  Time recovering_ = kNever;      // since when
  bool channel_closing_ = false;  // at our wish
  std::map<uint64_t, Held> held_;
  std::map<uint64_t, std::vector<Delivery>> landing_;  // landfall.ack by tag
  std::unique_ptr<Subscription> get_;
  const QueueSpec* get_from_ = nullptr;
};

}  // namespace landfall::sim
