#include "client/delivery.h"

#include <utility>

#include "client/message_encoding.h"

namespace landfall {
namespace client {

DeliveryState::DeliveryState(ArrivedMessage message, std::shared_ptr<SettleIntake> intake,
                             bool settled)
    : message_(std::move(message)), intake_(std::move(intake)), settled_(settled) {
  if (const auto decoded = amqp::DecodeProperties(message_.properties)) properties_ = *decoded;
  if (!settled_) intake_->NoteHandedOut();
}

DeliveryState::~DeliveryState() {
  if (!settled_) Settle(Settlement::Kind::kNack, {}, {});
}

bool DeliveryState::Settle(Settlement::Kind kind, std::optional<std::chrono::milliseconds> duration,
                           AckCallback callback) {
  if (settled_) return false;
  settled_ = true;
  // Also when the connection is gone: the work is done, and the repeat that will come must pass.
  if (kind == Settlement::Kind::kAck) {
    SettledMemory& memory = intake_->memory();
    if (const auto identity = memory.IdentityOf(properties_)) memory.Remember(*identity);
  }
  Settlement settlement{message_.channel, message_.tag, kind, duration, std::move(callback)};
  const bool sent = intake_->Settle(settlement);
  intake_->NoteReturned();
  return sent;
}

bool DeliveryState::Renew(std::chrono::milliseconds lease) {
  if (settled_ || !intake_->extensions()) return false;
  Settlement settlement{message_.channel, message_.tag, Settlement::Kind::kRenew, lease, {}};
  return intake_->Settle(settlement);
}

const Headers& DeliveryState::headers() {
  if (!headers_) headers_ = ToHeaders(properties_.headers);
  return *headers_;
}

bool DeliveryState::IsKnown() const {
  if (!message_.redelivered) return false;
  const auto identity = intake_->memory().IdentityOf(properties_);
  return identity && intake_->memory().Contains(*identity);
}

}  // namespace client

using client::Settlement;

Delivery::Delivery(std::unique_ptr<client::DeliveryState> state) : state_(std::move(state)) {}
Delivery::Delivery(Delivery&&) noexcept = default;
Delivery& Delivery::operator=(Delivery&&) noexcept = default;
Delivery::~Delivery() = default;

std::string_view Delivery::body() const { return state_->message().body; }
std::string Delivery::TakeBody() { return std::exchange(state_->body(), {}); }
std::string_view Delivery::routing_key() const { return state_->message().routing_key; }
std::string_view Delivery::exchange() const { return state_->message().exchange; }
std::string_view Delivery::message_id() const { return state_->properties().message_id; }
std::string_view Delivery::content_type() const { return state_->properties().content_type; }
std::string_view Delivery::content_encoding() const {
  return state_->properties().content_encoding;
}
std::string_view Delivery::correlation_id() const { return state_->properties().correlation_id; }
std::string_view Delivery::reply_to() const { return state_->properties().reply_to; }
std::string_view Delivery::type() const { return state_->properties().type; }
std::string_view Delivery::app_id() const { return state_->properties().app_id; }

std::optional<uint8_t> Delivery::priority() const {
  const amqp::PropertiesView& p = state_->properties();
  return p.Has(amqp::kHasPriority) ? std::optional(p.priority) : std::nullopt;
}

std::optional<std::chrono::system_clock::time_point> Delivery::timestamp() const {
  const amqp::PropertiesView& p = state_->properties();
  if (!p.Has(amqp::kHasTimestamp)) return std::nullopt;
  return std::chrono::system_clock::time_point(
      std::chrono::seconds(static_cast<int64_t>(p.timestamp)));
}

const Headers& Delivery::headers() const { return state_->headers(); }
bool Delivery::redelivered() const { return state_->message().redelivered; }

uint32_t Delivery::delivery_count() const {
  const int64_t count = state_->properties().headers.FindInteger("x-delivery-count").value_or(0);
  return static_cast<uint32_t>(count);
}

uint64_t Delivery::sequence() const {
  return static_cast<uint64_t>(
      state_->properties().headers.FindInteger(client::kSequenceHeader).value_or(0));
}

bool Delivery::SendAck(AckCallback callback) {
  return state_->Settle(Settlement::Kind::kAck, {}, std::move(callback));
}

bool Delivery::SendNack(std::optional<std::chrono::milliseconds> delay) {
  return state_->Settle(Settlement::Kind::kNack, delay, {});
}

bool Delivery::GiveBack() { return state_->Settle(Settlement::Kind::kGiveBack, {}, {}); }
bool Delivery::Reject() { return state_->Settle(Settlement::Kind::kReject, {}, {}); }
bool Delivery::Renew(std::chrono::milliseconds lease) { return state_->Renew(lease); }
bool Delivery::settled() const { return state_->settled(); }

}  // namespace landfall
