#pragma once

#include <memory>
#include <optional>

#include "amqp/properties.h"
#include "client/receiver_core.h"
#include "client/settle_intake.h"
#include "landfall/receiver.h"

namespace landfall::client {

// What a Delivery holds. It stays where it was made: the view points into the message.
class DeliveryState {
 public:
  // `settled`: there is nothing to settle (auto_ack).
  DeliveryState(ArrivedMessage message, std::shared_ptr<SettleIntake> intake, bool settled);
  ~DeliveryState();
  DeliveryState(const DeliveryState&) = delete;
  DeliveryState& operator=(const DeliveryState&) = delete;

  bool Settle(Settlement::Kind kind, std::optional<std::chrono::milliseconds> duration,
              AckCallback callback);
  bool Renew(std::chrono::milliseconds lease);

  const ArrivedMessage& message() const { return message_; }
  ByteBuffer& body() { return message_.body; }
  const amqp::PropertiesView& properties() const { return properties_; }
  const Headers& headers();
  bool settled() const { return settled_; }
  // It has been acknowledged before, on an earlier channel.
  bool IsKnown() const;

 private:
  ArrivedMessage message_;
  std::shared_ptr<SettleIntake> intake_;
  amqp::PropertiesView properties_;
  std::optional<Headers> headers_;
  bool settled_;
};

}  // namespace landfall::client
