#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/perf_connection.h"
#include "apps/perf_loop.h"
#include "apps/perf_message.h"
#include "apps/perf_tally.h"
#include "apps/perf_tracking.h"

namespace landfall::apps {

// Consumes and acks.
class PerfConsumer : public PerfEndpoint {
 public:
  struct Settings {
    std::vector<std::string> queues;
    uint16_t prefetch = 0;
    uint32_t ack_every = 1;
    bool auto_ack = false;
    uint16_t run = 0;          // whose sequences count
    uint64_t started_at = 0;   // of the run
    bool measure_all = false;  // latency of messages of other runs too
  };

  // Subscribes. `tally` is the loop's; `arrivals` has one for each producer of the run and is
  // shared with the other consumers of the loop.
  static Result<std::unique_ptr<PerfConsumer>> Make(std::unique_ptr<PerfConnection> connection,
                                                    Settings settings, PerfTally& tally,
                                                    std::vector<PerfArrivals>& arrivals);

  PerfConnection& connection() override { return *connection_; }
  Result<void> Read() override;
  Result<void> Write() override;
  uint64_t NextWrite() const override;
  void Close() override;

 private:
  PerfConsumer(std::unique_ptr<PerfConnection> connection, Settings settings, PerfTally& tally,
               std::vector<PerfArrivals>& arrivals);

  Result<void> Scan(uint64_t now);
  Result<void> OnMethod(ByteView payload);
  void OnDeliver(ByteView payload);
  void OnHeader(ByteView payload, uint64_t now);
  void OnBody(ByteView payload, uint64_t now);
  void OnMessage(uint64_t now);
  void RecordRun(uint64_t now);
  void Ack();

  std::unique_ptr<PerfConnection> connection_;
  Settings settings_;
  PerfTally& tally_;
  std::vector<PerfArrivals>& arrivals_;

  // The message that is coming in.
  uint64_t tag_ = 0;  // also of the last message that has come in
  // Of the last message that is here as a whole: the ack must not name one whose body is not.
  uint64_t complete_tag_ = 0;
  uint64_t body_left_ = 0;
  size_t head_size_ = 0;
  char head_[kPerfIdentitySize];

  ByteBuffer ack_;  // the frame, of which each ack changes the tag
  size_t ack_tag_at_ = 0;
  uint64_t unacked_ = 0;        // delivered since the last ack
  uint64_t unacked_since_ = 0;  // when the first of them was

  // Messages in a row that were sent at the same time are recorded together.
  uint64_t run_sent_at_ = 0;
  uint64_t run_count_ = 0;
};

}  // namespace landfall::apps
