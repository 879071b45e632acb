#pragma once

#include <atomic>
#include <cstdint>

#include "base/shared_histogram.h"

namespace landfall::storage {

// What a store has done since the start and what it holds, for whoever watches it. The store never
// reads it.
//
// Thread: the store writes, one thread at a time; any thread reads.
struct StoreStatistics {
  // Each sync of the journal: how long the disk took, in microseconds, ...
  SharedHistogram sync_us{5, 24};
  // ... and what it covered: batches (one of a shard's turn) and bytes.
  SharedHistogram batches_per_sync{0, 12};
  SharedHistogram bytes_per_sync{9, 28};
  // Each checkpoint that was saved: how long encoding and writing took, in milliseconds, beside
  // everything else.
  SharedHistogram checkpoint_ms{2, 18};
  std::atomic<uint64_t> checkpoints_refused = 0;  // for lack of space; tried again

  // As of the last second.
  std::atomic<uint64_t> journal_bytes = 0;     // in use: what a recovery would read at most
  std::atomic<uint64_t> journal_segments = 0;  // files in use
  std::atomic<uint64_t> journal_spares = 0;    // files that wait to be used
  std::atomic<uint64_t> checkpoint_bytes = 0;
  std::atomic<uint64_t> synced_lsn = 0;
};

}  // namespace landfall::storage
