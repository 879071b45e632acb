#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "apps/perf_connection.h"
#include "apps/perf_loop.h"
#include "apps/perf_message.h"
#include "apps/perf_tally.h"
#include "apps/perf_tracking.h"

namespace landfall::apps {

// Publishes as fast as its window, its rate and the socket allow.
class PerfProducer : public PerfEndpoint {
 public:
  struct Settings {
    PerfMessageId first;  // run and producer; the sequence is 0
    std::string exchange;
    std::vector<std::string> routing_keys;  // in turn
    uint64_t size = 0;
    uint32_t window = 0;  // 0: no confirms
    double rate = 0;      // messages a second; 0: no limit
    uint64_t messages = kPerfNever;
    bool mandatory = false;
    bool persistent = true;
  };

  // Waits for confirm.select-ok. `tally` is the loop's.
  static Result<std::unique_ptr<PerfProducer>> Make(std::unique_ptr<PerfConnection> connection,
                                                    Settings settings, PerfTally& tally);

  // Publish from `start` on, which is now or close, to `end`. Before the loop starts.
  void SetTimes(uint64_t start, uint64_t end);
  void StopPublishing() { end_ = 0; }

  PerfConnection& connection() override { return *connection_; }
  Result<void> Read() override;
  Result<void> Write() override;
  uint64_t NextWrite() const override;
  void Close() override;

  // It will publish no more.
  bool stopped() const { return stopped_; }
  // Nor is there anything to wait for: all was confirmed or, without confirms, the broker has
  // answered to what followed the last message.
  bool finished() const { return finished_; }

  uint64_t published() const { return published_; }
  uint16_t index() const { return settings_.first.producer; }
  // Whether the broker took responsibility for the message: no nack, no return, no silence.
  // (Without confirms: for all that it was sent.)
  bool Expected(uint64_t sequence) const { return !unexpected_.contains(sequence); }
  // Nacked, returned.
  uint64_t unexpected_count() const { return unexpected_.size(); }
  // Counts what is still unconfirmed as not expected, once there is no more waiting for it.
  void GiveUpUnconfirmed();
  uint64_t unconfirmed() const { return confirms_.in_flight(); }

 private:
  PerfProducer(std::unique_ptr<PerfConnection> connection, Settings settings, PerfTally& tally);

  Result<void> OnMethod(ByteView payload, uint64_t now);
  Result<void> OnConfirm(uint64_t tag, bool multiple, bool nack, uint64_t now);
  void OnReturnedBody(ByteView payload);
  // How many may be published now, as far as the rate is concerned.
  uint64_t DueByRate(uint64_t now) const;
  uint64_t Allowed(uint64_t now) const;
  void Publish(uint64_t count, uint64_t now);
  void Finish();

  std::unique_ptr<PerfConnection> connection_;
  Settings settings_;
  PerfTally& tally_;
  std::vector<PerfPublishTemplate> templates_;  // one a routing key
  size_t next_template_ = 0;
  PerfConfirms confirms_;
  std::unordered_set<uint64_t> unexpected_;
  uint64_t published_ = 0;
  uint64_t packed_first_ = 0;
  uint64_t start_ = 0;
  uint64_t end_ = kPerfNever;
  bool stopped_ = false;
  bool finished_ = false;
  bool returning_ = false;  // a basic.return came, its body has not
};

}  // namespace landfall::apps
