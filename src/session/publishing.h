#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "session/confirms.h"
#include "session/connection_context.h"
#include "session/direct_reply.h"
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

  // Drops the message that is being put together, and what is held.
  void Abandon();

  void SelectConfirms() { confirms_.Select(); }
  bool confirms_selected() const { return confirms_.selected(); }
  size_t unconfirmed() const { return confirms_.outstanding(); }

  // The channel's own, which stands in for the pseudo-queue's name in reply_to; "": it has none.
  void SetReplyAddress(std::string address) { reply_address_ = std::move(address); }
  // Answered by Channel::OnReplyConsumerFound.
  void AskForReplyConsumer(const ReplyAddress& address) { SendReply(address, 0, nullptr); }

  // From now on publishes are held until they are committed.
  void SelectTransactions() { transactional_ = true; }
  bool transactional() const { return transactional_; }
  // Sends what is held, to each shard as one unit. True if nothing is outstanding then; otherwise
  // the channel is noted in ConnectionContext::landed_commits once that is so.
  bool Commit();
  // Drops what is held.
  void Rollback();
  // Whether one that was committed has been refused; asked once for each commit.
  bool TakeRefused() { return confirms_.TakeRefused(); }

  // One shard's answer to a publish of this incarnation.
  void OnSettled(const Landing& landing);
  void FlushConfirms();

 private:
  enum class Expecting : uint8_t { kMethod, kHeader, kBody };
  using ReplyAddresses = boost::container::small_vector<ReplyAddress, 1>;
  // A message whose way is known and that waits for its commit.
  struct Held {
    broker::MessageRef message;
    Targets targets;
    ReplyAddresses replies;
    std::unique_ptr<const broker::Identity> identity;
    bool mandatory = false;
    uint64_t bytes = 0;
  };

  Verdict Complete(ByteView body);
  Verdict Hold(broker::MessageRef message, std::unique_ptr<const broker::Identity> identity);
  // `goes_on`(shard): the unit that lands there has more to come.
  template <class F>
  void Send(const broker::MessageRef& message, const Targets& targets,
            const ReplyAddresses& replies, bool mandatory,
            std::unique_ptr<const broker::Identity> identity, F goes_on);
  void SendReply(const ReplyAddress& to, uint64_t number, broker::MessageRef message);
  Verdict FindReplyAddresses(const broker::RoutingKeys& keys);
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

  bool transactional_ = false;
  bool committing_ = false;
  std::vector<Held> held_;

  std::string reply_address_;
  ByteBuffer rewritten_properties_;
  ReplyAddresses replies_;  // where the last message goes besides its queues

  PublishPermits permits_;
  Confirms confirms_;
  bool flush_wanted_ = false;
  uint64_t counted_open_ = 0;  // its part of ConnectionContext::open_publishes
};

}  // namespace landfall::session
