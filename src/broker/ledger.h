#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

// Double entry for messages: whatever a queue has taken is in it, or has left for a reason that is
// counted.
namespace landfall::broker {

// Why a message has left its queue for good. Numbers stand in the journal (docs/format.md); new
// ones are added at the end.
enum class LeaveReason : uint8_t {
  kAcked = 0,  // or delivered to a consumer that does not acknowledge
  kPurged = 1,
  kDropped = 2,    // rejected, failed too often, or at the end of its delay, with nowhere to go
  kTtl = 3,        // its time to live was over, with nowhere to go
  kMaxLength = 4,  // the same for a length limit
  // From here on in ledgers only, not in settled records.
  kDeadLettered = 5,  // moved to where the dead-letter exchange routes
  kReleased = 6,      // moved on by a delayed exchange at the end of its delay
  kQuarantined = 7,   // cannot be read back
  kDeleted = 8,       // was in a queue that has been deleted
  kMoved = 9,         // by an operator
};
inline constexpr size_t kLeaveReasons = 10;
std::string_view NameOf(LeaveReason reason);

// Thread: its owner's.
struct Ledger {
  uint64_t accepted = 0;  // repeats and refused publishes not counted
  std::array<uint64_t, kLeaveReasons> left{};

  void Leave(LeaveReason reason, uint64_t messages = 1) {
    left[static_cast<size_t>(reason)] += messages;
  }
  uint64_t Left(LeaveReason reason) const { return left[static_cast<size_t>(reason)]; }
  uint64_t left_total() const;
  bool Balances(uint64_t held) const { return accepted == left_total() + held; }
  // Makes it balance after damage: what ought to be there and is not has been lost, what is there
  // and ought not to be has come.
  void Reconcile(uint64_t held);
  Ledger& operator+=(const Ledger& other);
  bool operator==(const Ledger&) const = default;
};

// "accepted=12 acked=3 …", without reasons that have not occurred.
std::string Describe(const Ledger& ledger);

}  // namespace landfall::broker
