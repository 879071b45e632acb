#include "session/written_credit.h"

#include <algorithm>

namespace landfall::session {

namespace {

// What small messages are taken to cost, to bound their number as well.
constexpr uint64_t kSmallMessage = 64;
// Runs are cut here so that credit comes back while a long flow is being written.
constexpr uint64_t kMaxRunBytes = 64 << 10;

}  // namespace

broker::Credit WrittenCredit::Open(broker::ConsumerId consumer, broker::ShardId shard,
                                   broker::QueueId queue) {
  const uint64_t left = bound_ > shared_out_ ? bound_ - shared_out_ : 0;
  const uint64_t bytes = std::max<uint64_t>(std::min(bound_ / 4, left / 2), 1);
  broker::Credit share;
  share.bytes = bytes;
  share.messages =
      static_cast<uint32_t>(std::clamp<uint64_t>(bytes / kSmallMessage, 1, uint64_t{1} << 20));
  shared_out_ += bytes;
  accounts_[consumer] = Account{shard, queue, share, {}};
  return share;
}

void WrittenCredit::Close(broker::ConsumerId consumer) {
  const auto it = accounts_.find(consumer);
  if (it == accounts_.end()) return;
  shared_out_ -= it->second.share.bytes;
  accounts_.erase(it);
}

void WrittenCredit::Spend(broker::ConsumerId consumer, uint64_t bytes, uint64_t offset) {
  if (!unwritten_.empty() && unwritten_.back().consumer == consumer &&
      unwritten_.back().credit.bytes < kMaxRunBytes) {
    Spent& run = unwritten_.back();
    ++run.credit.messages;
    run.credit.bytes += bytes;
    run.offset = offset;
    return;
  }
  unwritten_.push_back(Spent{consumer, broker::Credit{1, bytes}, offset});
}

}  // namespace landfall::session
