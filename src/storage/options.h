#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"

namespace landfall::storage {

struct StoreOptions {
  std::string directory;
  // Size of a segment; a larger batch gets a larger one.
  uint64_t segment_bytes = uint64_t{64} << 20;
  // Journal bytes that trigger OnCheckpointWanted. In force is the larger of this and what the
  // checkpoints hold, so that a large live set is not rewritten again and again.
  uint64_t window_bytes = uint64_t{256} << 20;
  // A batch that nobody waits for is durable within this.
  std::chrono::microseconds lazy_sync_delay = std::chrono::milliseconds(20);
  // Released segments kept for reuse; at least one spare is always kept.
  uint32_t recycle_segments = 4;
  // Free space on the filesystem below which OnSpace(true) is called.
  uint64_t low_space_bytes = uint64_t{256} << 20;
  // At most this much in one vectored write (a single larger batch excepted).
  uint64_t max_group_bytes = uint64_t{16} << 20;
  // Never syncs the journal and confirms all the same. For tests that must find losses.
  bool unsafe_no_sync = false;
  // Of the segments' nonces; 0 takes true randomness.
  uint64_t nonce_seed = 0;
};

// Hears that durable state can no longer be trusted or extended, with a sentence for the person.
// The store confirms nothing from then on. The handler is expected to end the process; the default
// one prints the sentence to stderr and exits with status 3. Tests and the simulator replace it,
// and theirs may return. Thread: the store's.
using FatalHandler = std::function<void(const Error&)>;

[[noreturn]] void ExitOnFatalError(const Error& error);

}  // namespace landfall::storage
