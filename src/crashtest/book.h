#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

namespace landfall::crashtest {

// What a producer did between two cuts.
struct PublishLog {
  uint64_t published = 0;           // numbers, dense, after those of the log before
  std::vector<uint64_t> confirmed;  // numbers
  uint64_t refused = 0;             // negative confirms
};

struct Receipt {
  uint64_t number = 0;  // 0: nobody has ever sent such a body
  bool redelivered = false;
};

struct Acked {
  uint64_t number = 0;
  std::chrono::steady_clock::time_point at;
};

// What a consumer got, in the order in which it came, and which of it it may have acknowledged: a
// number is noted before its ack leaves.
struct ConsumeLog {
  std::vector<Receipt> receipts;
  std::vector<Acked> acked;
};

// What became of one queue at one cut, or of all of them.
struct Verdict {
  uint64_t published = 0;
  uint64_t confirmed = 0;
  uint64_t acked = 0;          // by consumers before the cut
  uint64_t recovered = 0;      // there after the cut, of what had not been acked
  uint64_t returned = 0;       // acked before, and there again: allowed, as an ack has no answer
  double oldest_returned = 0;  // seconds from the oldest such ack to the cut
  uint64_t duplicates = 0;     // there more than once
  uint64_t lost = 0;           // confirmed, not acked and not there
  uint64_t vanished = 0;    // a consumer had it, it was neither confirmed nor acked, and it is gone
  uint64_t invented = 0;    // damaged, or never sent to this queue
  uint64_t disordered = 0;  // came before one that was sent earlier, both for the first time

  Verdict& operator+=(const Verdict& other);
  // Whether a promise was broken that every broker makes.
  bool broken() const { return lost + invented + disordered > 0; }
};

// What one producer and the consumers of its one queue know of each message, over any number of
// power cuts. The judge of it all: pure.
class QueueBook {
 public:
  // What happened since the last Judge.
  void Note(const PublishLog& published, const ConsumeLog& consumed,
            std::chrono::steady_clock::time_point cut = {});
  // The numbers that have to be in the queue now, ascending.
  std::vector<uint64_t> Due() const;
  // Compares with everything that was in the queue after the cut. All of it has been acked then,
  // and nothing is expected any more of what was not there.
  Verdict Judge(const ConsumeLog& drained);
  // The number of the next message.
  uint64_t next() const { return notes_.size(); }

 private:
  enum : uint8_t {
    kConfirmed = 1,
    kDelivered = 2,
    kSettled = 4,  // acked, or known to be gone
  };

  bool Known(uint64_t number) const { return number > 0 && number < notes_.size(); }
  // Counts those that come after a later one, of those that come for the first time.
  uint64_t Disorder(const std::vector<Receipt>& receipts) const;

  std::vector<uint8_t> notes_{0};  // by number; 0 is unused
  uint64_t first_ = 1;             // number of the first message since the last Judge
  std::vector<Acked> acked_;       // since the last Judge
  std::chrono::steady_clock::time_point cut_;
  Verdict pending_;  // what Note knew
};

}  // namespace landfall::crashtest
