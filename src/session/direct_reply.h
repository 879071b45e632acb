#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/siphash.h"
#include "broker/message.h"
#include "broker/types.h"

// Direct reply-to: a channel that consumes from the pseudo-queue has an address for as long as it
// does so. What is published to the address goes from session to session, through no queue and no
// journal: who needs a reply for certain asks again.
namespace landfall::session {

inline constexpr ByteView kReplyQueue = "amq.rabbitmq.reply-to";

// Where a reply goes. Whoever knows it can send there, and only who has been told can know it: its
// token is a keyed hash.
struct ReplyAddress {
  broker::SessionId session = 0;
  broker::ChannelId channel = 0;
  uint64_t token[2] = {0, 0};

  // Of the `number`th reply consumer of a session.
  static ReplyAddress Make(const SipKey& secret, broker::SessionId session,
                           broker::ChannelId channel, uint64_t number);
  // Nothing if it is no address; one that nobody has made is found out where it leads.
  static std::optional<ReplyAddress> Parse(ByteView name);
  // In the shape of RabbitMQ's, which clients have come to know: two parts, and "==" at the end.
  std::string Name() const;

  bool operator==(const ReplyAddress&) const = default;
};

// From the publisher's session to the consumer's. Answered by DirectReplySettled.
struct DirectReply {
  ReplyAddress to;
  broker::SessionId from = 0;
  broker::ChannelId from_channel = 0;
  uint32_t incarnation = 0;    // of that channel
  uint64_t number = 0;         // Confirms::Begin
  broker::MessageRef message;  // null: only asks whether the consumer is there
};

struct DirectReplySettled {
  broker::SessionId to = 0;
  broker::ChannelId channel = 0;
  uint32_t incarnation = 0;
  uint64_t number = 0;
  bool asked = false;      // it was only a question
  bool delivered = false;  // false: there is no such consumer, or it takes nothing
};

// The answer to a reply.
DirectReplySettled Settled(const DirectReply& reply, bool delivered);

}  // namespace landfall::session
