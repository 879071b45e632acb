#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"
#include "base/wire.h"

namespace landfall::apps {

// What `landfall perf` writes into a body, as far as the body has room for it; the rest is filler.
// Big-endian:
//
//   offset  size  field
//   0       8     sent_at   nanoseconds since the Unix epoch
//   8       8     identity  run (16 bits), producer (12 bits), sequence from 0 (36 bits)
//
// The run is a random number that tells the messages of this run from those that lay in the queue
// before or come from another process.
struct PerfMessageId {
  uint16_t run = 0;
  uint16_t producer = 0;
  uint64_t sequence = 0;

  bool operator==(const PerfMessageId&) const = default;
};

inline constexpr size_t kPerfStampSize = 8;      // bodies from here on carry sent_at
inline constexpr size_t kPerfIdentitySize = 16;  // bodies from here on carry the identity as well
inline constexpr uint32_t kPerfMaxProducers = 1 << 12;
inline constexpr int kPerfSequenceBits = 36;
inline constexpr uint64_t kPerfMaxSequence = (uint64_t{1} << kPerfSequenceBits) - 1;

inline uint64_t PackPerfMessageId(PerfMessageId id) {
  return uint64_t{id.run} << 48 | uint64_t{id.producer} << kPerfSequenceBits | id.sequence;
}

inline PerfMessageId UnpackPerfMessageId(uint64_t packed) {
  return {.run = static_cast<uint16_t>(packed >> 48),
          .producer = static_cast<uint16_t>(packed >> kPerfSequenceBits & (kPerfMaxProducers - 1)),
          .sequence = packed & kPerfMaxSequence};
}

// One basic.publish with header and body frames, encoded once: of a message only the stamp and the
// identity change, so that sending one is a copy and two stores.
class PerfPublishTemplate {
 public:
  // `frame_max` as negotiated.
  PerfPublishTemplate(uint16_t channel, std::string_view exchange, std::string_view routing_key,
                      bool mandatory, bool persistent, size_t body_size, uint32_t frame_max);

  // Of one encoded message in bytes.
  size_t size() const { return bytes_.size(); }

  // Writes size() bytes to p.
  char* Write(char* p, uint64_t sent_at, uint64_t packed_id) const {
    __builtin_memcpy(p, bytes_.data(), bytes_.size());
    if (stamped_) StoreBig<uint64_t>(p + body_at_, sent_at);
    if (identified_) StoreBig<uint64_t>(p + body_at_ + kPerfStampSize, packed_id);
    return p + bytes_.size();
  }

 private:
  ByteBuffer bytes_;
  size_t body_at_ = 0;  // of the first body frame's payload
  bool stamped_;
  bool identified_;
};

}  // namespace landfall::apps
