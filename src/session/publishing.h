#pragma once

#include <cstdint>
#include <string>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "session/confirms.h"
#include "session/connection_context.h"
#include "session/exception.h"
#include "session/permission_check.h"
#include "session/route_cache.h"

namespace landfall::session {

// The publishing half of a channel: puts a message together from its frames, finds its queues,
// sends it to their shards and tells the publisher what came of it.
class Publishing {
 public:
  // `context` outlives it. `incarnation` tells this use of the channel number from the next one.
  Publishing(ConnectionContext& context, broker::ChannelId channel, uint32_t incarnation);
  ~Publishing();
  Publishing(const Publishing&) = delete;
  Publishing& operator=(const Publishing&) = delete;

  uint32_t incarnation() const { return incarnation_; }
  // A basic.publish waits for the rest of its content.
  bool assembling() const { return expecting_ != Expecting::kMethod; }

  Verdict OnPublish(const amqp::BasicPublish& publish);
  Verdict OnHeader(ByteView payload);
  Verdict OnBody(ByteView payload);
  // A method came where content was due.
  Verdict ContentInterrupted() const;

  // Drops the message that is being put together.
  void Abandon();

  void SelectConfirms() { confirms_.Select(); }
  // One shard's answer to a publish of this incarnation.
  void OnSettled(const Landing& landing);
  void FlushConfirms();

 private:
  enum class Expecting : uint8_t { kMethod, kHeader, kBody };

  Verdict Complete(ByteView body);
  void ReturnUnroutable(ByteView exchange, ByteView routing_key, ByteView properties,
                        ByteView body);
  void NoteConfirms();
  void DropBody();

  ConnectionContext& context_;
  const broker::ChannelId channel_;
  const uint32_t incarnation_;

  // The message that is being put together. The buffers keep their memory for the next one.
  Expecting expecting_ = Expecting::kMethod;
  bool mandatory_ = false;
  uint64_t body_size_ = 0;
  std::string exchange_;
  std::string routing_key_;
  ByteBuffer properties_;
  ByteBuffer body_;

  PublishPermits permits_;
  RouteCache routes_;
  Confirms confirms_;
  bool flush_wanted_ = false;
  uint64_t counted_open_ = 0;  // its part of ConnectionContext::open_publishes
};

}  // namespace landfall::session
