#include "client/settle_intake.h"

#include <utility>

namespace landfall::client {

bool SettleIntake::Settle(Settlement& settlement) {
  if (!IsCurrent(settlement.channel)) return false;
  const std::lock_guard lock(mutex_);
  if (!wake_) return false;
  const bool first = brought_.empty();
  brought_.push_back(std::move(settlement));
  if (first) wake_();
  return true;
}

void SettleIntake::TakeAll(std::vector<Settlement>& out) {
  const std::lock_guard lock(mutex_);
  std::swap(out, brought_);
}

void SettleIntake::Close() {
  const std::lock_guard lock(mutex_);
  wake_ = nullptr;
}

void SettleIntake::SetChannel(uint64_t channel, bool extensions) {
  channel_ = channel;
  extensions_ = extensions;
}

void SettleIntake::NoteReturned() {
  if (handed_out_.fetch_sub(1) != 1 || !watch_returns_) return;
  const std::lock_guard lock(mutex_);
  if (wake_) wake_();
}

}  // namespace landfall::client
