#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/flat_map.h"
#include "broker/command.h"
#include "broker/outcome.h"
#include "session/ring.h"
#include "session/session.h"

namespace landfall::session {

// What a publish was, kept until its shard has answered.
struct Landing {
  broker::ChannelId channel = 0;
  bool journaled = false;  // a queue that survives a restart is among its targets in this shard
  std::optional<broker::Fate> fate;
  uint16_t copies = 1;       // queues of the shard that it went to; more count as 65535
  uint32_t incarnation = 0;  // of the channel: its number may be in use anew
  uint32_t bytes = 0;
  uint64_t number = 0;  // Confirms::Begin
};

// A session's commands on their way to the shards, in order per shard, and the publishes that have
// not landed yet.
//
// The last settlement is held back and grows while the next ones go on where it ends (same
// consumer, same attempt, next sequence): acks that come one by one reach the shard as one range.
// It leaves before any other command to its shard and at the latest with FlushSettlement, at the
// end of each turn of the session.
class ShardOutbox {
 public:
  // `ports` is not owned and outlives the outbox.
  ShardOutbox(broker::SessionId session, SessionPorts& ports) : session_(session), ports_(ports) {}

  void Send(broker::ShardId shard, broker::CommandBody body);
  // True if this begins a command of its own, false if it has become part of the one held back.
  bool Settle(broker::ShardId shard, const broker::SettleCommand& settle);
  void FlushSettlement();
  // The settlement held back now, for a landfall.ack that wants to join it; null if none.
  const broker::SettleCommand* held() const { return held_ ? &*held_ : nullptr; }

  // Sets its publish_seq.
  void Publish(broker::ShardId shard, const Landing& landing, broker::PublishCommand&& publish);
  void OnFate(const broker::PublishFate& fate);
  // Calls settled(const Landing&) for every publish that `published` covers, in order.
  template <class F>
  void OnPublished(const broker::Published& published, F settled) {
    Unlanded* shard = Find(published.shard);
    if (shard == nullptr) return;
    while (!shard->publishes.empty() && shard->first_seq <= published.upto) {
      const Landing landing = shard->publishes.front();
      shard->publishes.pop_front();
      ++shard->first_seq;
      unlanded_bytes_ -= landing.bytes;
      --unlanded_messages_;
      unlanded_copies_ -= landing.copies;
      settled(landing);
    }
  }

  // Counted once for each shard that a message went to.
  uint64_t unlanded_bytes() const { return unlanded_bytes_; }
  uint64_t unlanded_messages() const { return unlanded_messages_; }
  // Counted once for each queue: what a fan-out costs.
  uint64_t unlanded_copies() const { return unlanded_copies_; }

 private:
  struct Unlanded {
    uint64_t first_seq = 1;  // of publishes.front()
    Ring<Landing> publishes;
  };

  Unlanded* Find(broker::ShardId shard);

  broker::SessionId session_;
  SessionPorts& ports_;
  std::optional<broker::SettleCommand> held_;
  broker::ShardId held_shard_ = 0;
  FlatMap<broker::ShardId, std::unique_ptr<Unlanded>> unlanded_;
  // The last one used: most connections talk to one shard at a time.
  broker::ShardId last_shard_ = 0;
  Unlanded* last_ = nullptr;
  uint64_t unlanded_bytes_ = 0;
  uint64_t unlanded_messages_ = 0;
  uint64_t unlanded_copies_ = 0;
};

}  // namespace landfall::session
