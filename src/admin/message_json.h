#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "admin/incoming.h"
#include "base/bytes.h"
#include "base/error.h"
#include "broker/queue_page.h"

// Messages as the API takes and gives them. Pure.
namespace landfall::admin {

bool IsUtf8(std::string_view bytes);

// {"routing_key": …, "properties": {…}, "payload": …, "payload_encoding": "string" or "base64"}
struct PublishBody {
  std::string routing_key;
  ByteBuffer properties;  // encoded
  std::string payload;
};
// kInvalidArgument.
Result<PublishBody> ReadPublishBody(const nlohmann::json& body);

// {"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto" or "base64", "truncate": 50000}
struct GetBody {
  enum class Mode {
    kAck,      // ack_requeue_false
    kRequeue,  // ack_requeue_true and reject_requeue_true
    kReject,   // reject_requeue_false
  };
  int64_t count = 1;
  Mode mode = Mode::kRequeue;
  bool base64 = false;
  std::optional<size_t> truncate;  // bytes of a payload
};
// kInvalidArgument, also if more than `max_count` are wanted.
Result<GetBody> ReadGetBody(const nlohmann::json& body, int64_t max_count);

// Of a basic.get-ok with its content.
nlohmann::json GotForm(const Incoming& got, const GetBody& wish);
// Of a message that is looked at where it is, with so many bytes of its payload.
nlohmann::json SeenForm(const broker::SeenMessage& seen, size_t truncate);

}  // namespace landfall::admin
