#include "broker/ledger.h"

#include <fmt/format.h>

#include <numeric>

namespace landfall::broker {

std::string_view NameOf(LeaveReason reason) {
  switch (reason) {
    case LeaveReason::kAcked:
      return "acked";
    case LeaveReason::kPurged:
      return "purged";
    case LeaveReason::kDropped:
      return "dropped";
    case LeaveReason::kTtl:
      return "expired";
    case LeaveReason::kMaxLength:
      return "max_length";
    case LeaveReason::kDeadLettered:
      return "dead_lettered";
    case LeaveReason::kReleased:
      return "released";
    case LeaveReason::kQuarantined:
      return "quarantined";
    case LeaveReason::kDeleted:
      return "deleted";
    case LeaveReason::kMoved:
      return "moved";
  }
  return "unknown";
}

uint64_t Ledger::left_total() const {
  return std::accumulate(left.begin(), left.end(), uint64_t{0});
}

void Ledger::Reconcile(uint64_t held) {
  const uint64_t known = left_total() + held;
  if (accepted > known) Leave(LeaveReason::kQuarantined, accepted - known);
  if (accepted < known) accepted = known;
}

Ledger& Ledger::operator+=(const Ledger& other) {
  accepted += other.accepted;
  for (size_t i = 0; i < left.size(); ++i) left[i] += other.left[i];
  return *this;
}

std::string Describe(const Ledger& ledger) {
  std::string text = fmt::format("accepted={}", ledger.accepted);
  for (size_t i = 0; i < kLeaveReasons; ++i) {
    if (ledger.left[i] == 0) continue;
    text += fmt::format(" {}={}", NameOf(static_cast<LeaveReason>(i)), ledger.left[i]);
  }
  return text;
}

}  // namespace landfall::broker
