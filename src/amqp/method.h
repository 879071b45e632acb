#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <utility>

#include "amqp/field_codec.h"
#include "amqp/frame.h"
#include "amqp/methods_generated.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/wire.h"

// Methods: the payload of a method frame is a 32-bit id (class, method) and the fields. The structs
// are in methods_generated.h, one a method, with strings and tables borrowed from the payload.
//
//   switch (PeekMethodId(payload)) {
//     case BasicPublish::kId: {
//       Result<BasicPublish> publish = Decode<BasicPublish>(payload);
//
// Reserved fields are skipped when read and zero when written.
namespace landfall::amqp {

// 0, which is no method, if the payload is too short to have one.
inline MethodId PeekMethodId(ByteView payload) {
  return payload.size() < 4 ? 0 : LoadBig<uint32_t>(payload.data());
}

// The error of a payload that is not the method it was taken for (kProtocol; close with 502).
std::unexpected<Error> MalformedMethod(std::string_view method, ByteView payload);

// Reads all fields of a method payload, id included; nothing may be left over. The views in the
// result live as long as the payload. Does not allocate, except for an error.
template <class M>
inline Result<M> Decode(ByteView payload) {
  ByteReader r(payload);
  Result<M> method{std::in_place};  // all that is returned: see ParseFrame
  if (r.Big<uint32_t>() == M::kId) [[likely]] {
    ReadFields(r, *method);
  } else {
    r.Fail();
  }
  if (r.failed() || !r.done()) [[unlikely]] {
    method = MalformedMethod(M::kName, payload);
  }
  return method;
}

// The payload: id and fields. Short strings must have at most 255 bytes (asserted), except reply
// texts and reasons, which are cut.
template <class M>
inline void AppendMethod(ByteBuffer& out, const M& method) {
  field::AppendWith(out, 4 + FieldsSize(method),
                    [&](char* p) { WriteFields(field::Write<uint32_t>(p, M::kId), method); });
}

// The whole frame. A method cannot be split: keeping it below frame_max is the caller's part.
template <class M>
inline void AppendMethodFrame(ByteBuffer& out, uint16_t channel, const M& method) {
  const size_t size = 4 + FieldsSize(method);
  field::AppendWith(out, size + kFrameOverhead, [&](char* p) {
    *p++ = static_cast<char>(FrameType::kMethod);
    p = field::Write<uint16_t>(p, channel);
    p = field::Write<uint32_t>(p, static_cast<uint32_t>(size));
    p = field::Write<uint32_t>(p, M::kId);
    p = WriteFields(p, method);
    *p = kFrameEnd;
  });
}

}  // namespace landfall::amqp
