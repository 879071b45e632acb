#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/bytes.h"

// Integers in buffers. Big-endian is AMQP's order; little-endian and varints are our files'.
namespace landfall {

template <class T>
inline T LoadBig(const char* p) {
  static_assert(std::is_unsigned_v<T>);
  T v;
  std::memcpy(&v, p, sizeof v);
  if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
  if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
  if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
  return v;
}

template <class T>
inline void StoreBig(char* p, T v) {
  static_assert(std::is_unsigned_v<T>);
  if constexpr (sizeof(T) == 2) v = __builtin_bswap16(v);
  if constexpr (sizeof(T) == 4) v = __builtin_bswap32(v);
  if constexpr (sizeof(T) == 8) v = __builtin_bswap64(v);
  std::memcpy(p, &v, sizeof v);
}

template <class T>
inline T LoadLittle(const char* p) {
  static_assert(std::is_unsigned_v<T> && std::endian::native == std::endian::little);
  T v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

template <class T>
inline void StoreLittle(char* p, T v) {
  static_assert(std::is_unsigned_v<T> && std::endian::native == std::endian::little);
  std::memcpy(p, &v, sizeof v);
}

template <class T>
inline void AppendBig(ByteBuffer& out, T v) {
  char b[sizeof(T)];
  StoreBig(b, v);
  out.append(b, sizeof b);
}

template <class T>
inline void AppendLittle(ByteBuffer& out, T v) {
  char b[sizeof(T)];
  StoreLittle(b, v);
  out.append(b, sizeof b);
}

// LEB128: seven bits a byte, low bits first.
inline constexpr size_t kMaxVarint = 10;  // bytes
// Returns where it ends.
inline char* WriteVarint(char* p, uint64_t v) {
  while (v >= 0x80) {
    *p++ = static_cast<char>(v | 0x80);
    v >>= 7;
  }
  *p++ = static_cast<char>(v);
  return p;
}
inline void AppendVarint(ByteBuffer& out, uint64_t v) {
  if (v < 0x80) {
    out.push_back(static_cast<char>(v));
    return;
  }
  char b[kMaxVarint];
  out.append(b, static_cast<size_t>(WriteVarint(b, v) - b));
}

// A varint length, then the bytes.
inline void AppendSized(ByteBuffer& out, ByteView bytes) {
  AppendVarint(out, bytes.size());
  out.append(bytes);
}

// Reads from a borrowed buffer. The first read beyond the end sets failed() and every read from
// then on gives zero or empty, so that a decoder checks once, at its end.
class ByteReader {
 public:
  explicit ByteReader(ByteView bytes) : p_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  bool failed() const { return failed_; }
  bool done() const { return p_ == end_; }
  size_t remaining() const { return static_cast<size_t>(end_ - p_); }
  ByteView rest() const { return {p_, remaining()}; }
  // Marks the input as broken, as a read beyond the end does.
  void Fail() {
    failed_ = true;
    p_ = end_;
  }

  template <class T>
  T Big() {
    if (!Has(sizeof(T))) return 0;
    T v = LoadBig<T>(p_);
    p_ += sizeof(T);
    return v;
  }

  template <class T>
  T Little() {
    if (!Has(sizeof(T))) return 0;
    T v = LoadLittle<T>(p_);
    p_ += sizeof(T);
    return v;
  }

  uint64_t Varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 70; shift += 7) {
      if (!Has(1)) return 0;
      const auto b = static_cast<uint8_t>(*p_++);
      // The tenth byte has room for one bit only.
      if (shift == 63 && b > 1) break;
      v |= static_cast<uint64_t>(b & 0x7f) << shift;
      if ((b & 0x80) == 0) return v;
    }
    Fail();
    return 0;
  }

  // The next n bytes, borrowed from the input.
  ByteView Take(size_t n) {
    if (!Has(n)) return {};
    ByteView v(p_, n);
    p_ += n;
    return v;
  }

  ByteView Sized() { return Take(Varint()); }

 private:
  bool Has(size_t n) {
    if (remaining() >= n) return true;
    Fail();
    return false;
  }

  const char* p_;
  const char* end_;
  bool failed_ = false;
};

}  // namespace landfall
