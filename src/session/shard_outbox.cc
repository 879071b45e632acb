#include "session/shard_outbox.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"

namespace landfall::session {

namespace {

bool Continues(const broker::SettleCommand& held, const broker::SettleCommand& next) {
  return held.last + 1 == next.first && held.queue == next.queue &&
         held.consumer == next.consumer && held.channel == next.channel &&
         held.attempt == next.attempt && held.kind == next.kind && held.delay == next.delay &&
         held.notify_token == next.notify_token;
}

}  // namespace

void ShardOutbox::Send(broker::ShardId shard, broker::CommandBody body) {
  if (held_ && held_shard_ == shard) FlushSettlement();
  ports_.ToShard(shard, broker::Command{session_, ports_.topology().version, std::move(body)});
}

bool ShardOutbox::Settle(broker::ShardId shard, const broker::SettleCommand& settle) {
  if (held_) {
    if (held_shard_ == shard && Continues(*held_, settle)) {
      held_->last = settle.last;
      return false;
    }
    FlushSettlement();
  }
  held_ = settle;
  held_shard_ = shard;
  return true;
}

void ShardOutbox::FlushSettlement() {
  if (!held_) return;
  const broker::SettleCommand settle = *held_;
  held_.reset();
  ports_.ToShard(held_shard_, broker::Command{session_, ports_.topology().version, settle});
}

void ShardOutbox::Publish(broker::ShardId shard, const Landing& landing,
                          broker::PublishCommand&& publish) {
  Unlanded* unlanded = Find(shard);
  if (unlanded == nullptr) {
    unlanded = unlanded_.emplace(shard, std::make_unique<Unlanded>()).first->second.get();
    last_shard_ = shard;
    last_ = unlanded;
  }
  publish.publish_seq = unlanded->first_seq + unlanded->publishes.size();
  unlanded->publishes.push_back(landing);
  const auto copies = static_cast<uint16_t>(std::min<size_t>(publish.queues.size(), UINT16_MAX));
  unlanded->publishes.back().copies = copies;
  unlanded_copies_ += copies;
  unlanded_bytes_ += landing.bytes;
  ++unlanded_messages_;
  // As Send, with one move less.
  if (held_ && held_shard_ == shard) FlushSettlement();
  ports_.ToShard(shard, broker::Command{session_, ports_.topology().version, std::move(publish)});
}

void ShardOutbox::OnFate(const broker::PublishFate& fate) {
  Unlanded* shard = Find(fate.shard);
  if (shard == nullptr || fate.publish_seq < shard->first_seq) return;
  const uint64_t place = fate.publish_seq - shard->first_seq;
  LANDFALL_ASSERT(place < shard->publishes.size());
  shard->publishes[place].fate = fate.fate;
}

ShardOutbox::Unlanded* ShardOutbox::Find(broker::ShardId shard) {
  if (last_ != nullptr && last_shard_ == shard) return last_;
  const auto it = unlanded_.find(shard);
  if (it == unlanded_.end()) return nullptr;
  last_shard_ = shard;
  last_ = it->second.get();
  return last_;
}

}  // namespace landfall::session
