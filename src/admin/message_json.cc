#include "admin/message_json.h"

#include <fmt/format.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "admin/forms.h"
#include "admin/request.h"
#include "amqp/properties.h"
#include "server/table_json.h"

namespace landfall::admin {
namespace {

using nlohmann::json;

std::unexpected<Error> Refuse(std::string sentence) {
  return Fail(ErrorCode::kInvalidArgument, std::move(sentence));
}

const json* Find(const json& object, const char* name) {
  const auto it = object.find(name);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}

Result<std::string> Text(const json& object, const char* name) {
  const json* value = Find(object, name);
  if (value == nullptr) return Refuse(fmt::format("key_missing: {}", name));
  if (!value->is_string()) return Refuse(fmt::format("{} must be a string", name));
  return value->get<std::string>();
}

// Also as a string of digits, which forms and command lines send.
Result<int64_t> Number(const json& value, const char* name) {
  if (value.is_number_integer()) return value.get<int64_t>();
  int64_t n = 0;
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
    if (error == std::errc{} && end == text.data() + text.size() && !text.empty()) return n;
  }
  return Refuse(fmt::format("{} must be a whole number", name));
}

// Collects properties and the first thing that is wrong with them.
class PropertiesReader {
 public:
  explicit PropertiesReader(const json& object) : object_(object) {}

  void Text(const char* name, std::optional<std::string>& to) {
    const json* value = Find(object_, name);
    if (value == nullptr) return;
    if (!value->is_string()) return Wrong(fmt::format("properties.{} must be a string", name));
    to = value->get<std::string>();
    if (to->size() > amqp::kMaxShortString)
      Wrong(fmt::format("properties.{} is longer than {} bytes", name, amqp::kMaxShortString));
  }
  template <class T>
  void Number(const char* name, int64_t max, std::optional<T>& to) {
    const json* value = Find(object_, name);
    if (value == nullptr) return;
    const auto n = admin::Number(*value, name);
    if (!n || *n < 0 || *n > max)
      return Wrong(fmt::format("properties.{} must be a whole number from 0 to {}", name, max));
    to = static_cast<T>(*n);
  }
  void Headers(std::optional<amqp::Table>& to) {
    const json* value = Find(object_, "headers");
    if (value == nullptr || (value->is_array() && value->empty())) return;
    if (!value->is_object()) return Wrong("properties.headers must be an object");
    auto table = server::ToTable(*value);
    if (!table) return Wrong("a name in properties.headers is longer than 255 bytes");
    to = std::move(*table);
  }
  const std::string& error() const { return error_; }

 private:
  void Wrong(std::string sentence) {
    if (error_.empty()) error_ = std::move(sentence);
  }
  const json& object_;
  std::string error_;
};

Result<ByteBuffer> ReadProperties(const json& object) {
  amqp::Properties properties;
  PropertiesReader read(object);
  read.Text("content_type", properties.content_type);
  read.Text("content_encoding", properties.content_encoding);
  read.Headers(properties.headers);
  read.Number("delivery_mode", 255, properties.delivery_mode);
  read.Number("priority", 255, properties.priority);
  read.Text("correlation_id", properties.correlation_id);
  read.Text("reply_to", properties.reply_to);
  read.Text("expiration", properties.expiration);
  read.Text("message_id", properties.message_id);
  read.Number("timestamp", INT64_MAX, properties.timestamp);
  read.Text("type", properties.type);
  read.Text("user_id", properties.user_id);
  read.Text("app_id", properties.app_id);
  read.Text("cluster_id", properties.cluster_id);
  if (!read.error().empty()) return Refuse(read.error());
  ByteBuffer encoded;
  amqp::AppendProperties(encoded, properties);
  return encoded;
}

// How many bytes continue a character that begins with this one, and what the character is at
// least; -1: none begins with it.
int Continuation(unsigned char first, uint32_t& bits, uint32_t& least) {
  if (first < 0x80) return bits = first, least = 0, 0;
  if (first >= 0xC2 && first < 0xE0) return bits = first & 0x1F, least = 0x80, 1;
  if (first >= 0xE0 && first < 0xF0) return bits = first & 0x0F, least = 0x800, 2;
  if (first >= 0xF0 && first < 0xF5) return bits = first & 0x07, least = 0x10000, 3;
  return -1;
}

}  // namespace

bool IsUtf8(std::string_view bytes) {
  for (size_t i = 0; i < bytes.size();) {
    uint32_t bits = 0;
    uint32_t least = 0;
    const int more = Continuation(static_cast<unsigned char>(bytes[i++]), bits, least);
    if (more < 0 || i + static_cast<size_t>(more) > bytes.size()) return false;
    for (int k = 0; k < more; ++k, ++i) {
      const auto c = static_cast<unsigned char>(bytes[i]);
      if ((c & 0xC0) != 0x80) return false;
      bits = bits << 6 | (c & 0x3F);
    }
    const bool surrogate = bits >= 0xD800 && bits < 0xE000;
    if (bits < least || bits > 0x10FFFF || surrogate) return false;
  }
  return true;
}

Result<PublishBody> ReadPublishBody(const json& body) {
  PublishBody read;
  auto routing_key = Text(body, "routing_key");
  if (!routing_key) return std::unexpected(routing_key.error());
  read.routing_key = std::move(*routing_key);
  if (read.routing_key.size() > amqp::kMaxShortString)
    return Refuse(fmt::format("routing_key is longer than {} bytes", amqp::kMaxShortString));
  const json* properties = Find(body, "properties");
  if (properties == nullptr) return Refuse("key_missing: properties");
  const bool is_object = properties->is_object();
  if (!is_object && !(properties->is_array() && properties->empty()))
    return Refuse("properties must be an object");
  auto encoded = ReadProperties(is_object ? *properties : json::object());
  if (!encoded) return std::unexpected(encoded.error());
  read.properties = std::move(*encoded);
  auto payload = Text(body, "payload");
  if (!payload) return std::unexpected(payload.error());
  const auto encoding = Text(body, "payload_encoding");
  if (!encoding) return std::unexpected(encoding.error());
  if (*encoding == "string") {
    read.payload = std::move(*payload);
    return read;
  }
  if (*encoding != "base64") return Refuse("payload_encoding must be string or base64");
  auto decoded = DecodeBase64(*payload);
  if (!decoded) return Refuse("payload is not base64");
  read.payload = std::move(*decoded);
  return read;
}

Result<GetBody> ReadGetBody(const json& body, int64_t max_count) {
  GetBody read;
  const json* count = Find(body, "count");
  if (count == nullptr) return Refuse("key_missing: count");
  const auto n = Number(*count, "count");
  if (!n) return std::unexpected(n.error());
  if (*n < 0 || *n > max_count) return Refuse(fmt::format("count must be from 0 to {}", max_count));
  read.count = *n;
  const auto mode = Text(body, "ackmode");
  if (!mode) return std::unexpected(mode.error());
  if (*mode == "ack_requeue_false") {
    read.mode = GetBody::Mode::kAck;
  } else if (*mode == "ack_requeue_true" || *mode == "reject_requeue_true") {
    read.mode = GetBody::Mode::kRequeue;
  } else if (*mode == "reject_requeue_false") {
    read.mode = GetBody::Mode::kReject;
  } else {
    return Refuse(
        "ackmode must be one of ack_requeue_true, ack_requeue_false, reject_requeue_true, "
        "reject_requeue_false");
  }
  const auto encoding = Text(body, "encoding");
  if (!encoding) return std::unexpected(encoding.error());
  if (*encoding != "auto" && *encoding != "base64")
    return Refuse("Unsupported encoding. Please use auto or base64.");
  read.base64 = *encoding == "base64";
  if (const json* truncate = Find(body, "truncate")) {
    const auto bytes = Number(*truncate, "truncate");
    if (!bytes || *bytes < 0) return Refuse("truncate must be a number of bytes");
    read.truncate = static_cast<size_t>(*bytes);
  }
  return read;
}

json GotForm(const Incoming& got, const GetBody& wish) {
  const auto method = got.As<amqp::BasicGetOk>();
  const std::string_view payload =
      wish.truncate ? std::string_view(got.body).substr(0, *wish.truncate) : got.body;
  const bool as_text = !wish.base64 && IsUtf8(payload);
  const auto properties = amqp::DecodeProperties(got.properties);
  return {{"payload_bytes", got.body_size},
          {"redelivered", method.redelivered},
          {"exchange", method.exchange},
          {"routing_key", method.routing_key},
          {"message_count", method.message_count},
          {"properties", properties ? PropertiesForm(*properties) : json::object()},
          {"payload", as_text ? std::string(payload) : EncodeBase64(payload)},
          {"payload_encoding", as_text ? "string" : "base64"}};
}

json SeenForm(const broker::SeenMessage& seen, size_t truncate) {
  using State = broker::SeenMessage::State;
  const broker::Message& message = *seen.message;
  std::string_view payload = std::string_view(message.body()).substr(0, truncate);
  // Cut between two characters, if it is text.
  if (payload.size() < message.body().size()) {
    for (size_t cut = 0; cut < 4 && cut <= payload.size(); ++cut) {
      if (!IsUtf8(payload.substr(0, payload.size() - cut))) continue;
      payload.remove_suffix(cut);
      break;
    }
  }
  const bool as_text = IsUtf8(payload);
  const auto properties = amqp::DecodeProperties(message.properties());
  json form = {{"id", std::to_string(seen.sequence)},
               {"state", seen.state == State::kReady     ? "ready"
                         : seen.state == State::kUnacked ? "unacked"
                                                         : "backoff"},
               {"payload", as_text ? std::string(payload) : EncodeBase64(payload)},
               {"payload_encoding", as_text ? "string" : "base64"},
               {"payload_bytes", message.body().size()},
               {"properties", properties ? PropertiesForm(*properties) : json::object()},
               {"exchange", std::string(message.exchange())},
               {"routing_key", std::string(message.routing_key())},
               {"redelivered", seen.redelivered},
               {"attempts", seen.attempts},
               {"failures", seen.failures}};
  if (seen.born != Time{}) form["received"] = MillisecondsOf(seen.born);
  if (seen.due != Time{}) form["until"] = MillisecondsOf(seen.due);
  return form;
}

}  // namespace landfall::admin
