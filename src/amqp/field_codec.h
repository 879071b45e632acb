#pragma once

#include <cstdint>
#include <cstring>

#include "amqp/table.h"
#include "base/assert.h"
#include "base/bytes.h"
#include "base/wire.h"

// The fields of methods and properties, one by one: what the generated code is made of. Readers
// mark the ByteReader as failed on broken input. Writers write where the caller has made room (the
// Size functions say how much) and return the place behind what they wrote.
namespace landfall::amqp::field {

inline ByteView ReadShortString(ByteReader& r) { return r.Take(r.Big<uint8_t>()); }
inline ByteView ReadLongString(ByteReader& r) { return r.Take(r.Big<uint32_t>()); }
inline TableView ReadTable(ByteReader& r) {
  const ByteView entries = r.Take(r.Big<uint32_t>());
  if (!entries.empty() && !IsWellFormedTable(entries)) r.Fail();
  return TableView(entries);
}

template <class T>
inline char* Write(char* p, T v) {
  StoreBig<T>(p, v);
  return p + sizeof(T);
}

inline char* WriteBytes(char* p, ByteView v) {
  // An empty view may have no address at all, which memcpy must not be given.
  if (!v.empty()) std::memcpy(p, v.data(), v.size());
  return p + v.size();
}

// Names and tags were short when they came in or were checked by whoever made them: a longer one
// here is a bug, and a shortened name would be another name.
inline char* WriteShortString(char* p, ByteView v) {
  LANDFALL_ASSERT(v.size() <= kMaxShortString);
  *p = static_cast<char>(v.size());
  return WriteBytes(p + 1, v);
}

inline char* WriteLongString(char* p, ByteView v) {
  LANDFALL_ASSERT(v.size() <= UINT32_MAX);
  return WriteBytes(Write(p, static_cast<uint32_t>(v.size())), v);
}

inline char* WriteTable(char* p, TableView v) { return WriteLongString(p, v.bytes()); }

// Texts for people may be cut: at 255 bytes, between two UTF-8 characters.
inline ByteView CutText(ByteView v) {
  if (v.size() <= kMaxShortString) return v;
  size_t n = kMaxShortString;
  while (n > 0 && (static_cast<uint8_t>(v[n]) & 0xC0) == 0x80) --n;
  return v.substr(0, n);
}

// Makes room for n bytes at the end of `out` and lets write(char*) fill all of them: one growth of
// the buffer for many writes, and no zeros written first. The buffer at least doubles when it
// grows.
template <class Fill>
inline void AppendWith(ByteBuffer& out, size_t n, Fill fill) {
  const size_t before = out.size();
  const size_t after = before + n;
  // The size that libstdc++ 12 hands to the operation may be the new capacity, so it is not used.
  out.resize_and_overwrite(after, [&](char* p, size_t) {
    fill(p + before);
    return after;
  });
}

}  // namespace landfall::amqp::field
