#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "access/usage.h"
#include "amqp/frame.h"
#include "amqp/method.h"
#include "base/flat_map.h"
#include "broker/command.h"
#include "broker/outcome.h"
#include "broker/topology_request.h"
#include "session/connection_context.h"
#include "session/consumers.h"
#include "session/delivery_tags.h"
#include "session/direct_reply.h"
#include "session/exception.h"
#include "session/publishing.h"
#include "session/session_info.h"

namespace landfall::session {

// One channel: its methods, what it has asked and not heard of yet, what it owes the client.
//
// A method that needs an answer from a shard or the topology makes it busy; its connection keeps
// the channel's further frames until it is not. Nothing here calls back into the connection:
// exceptions are returned, and Fail tells the client of those that close the channel only.
class Channel {
 public:
  // channel.open has been received: sends open-ok. `context` outlives it; `seat` is its place among
  // the channels that the user may have open.
  Channel(ConnectionContext& context, broker::ChannelId id, uint32_t incarnation,
          access::Seat seat);
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // Frames must be kept.
  bool busy() const {
    return awaited_.what != Awaited::What::kNothing || state_ == State::kClosing ||
           state_ == State::kDraining;
  }
  // Closed on both sides and in the shards: its number is free.
  bool gone() const { return state_ == State::kGone; }

  Verdict OnFrame(const amqp::Frame& frame);
  Verdict OnTopologyReply(broker::TopologyReply& reply);
  // Closes the channel with an exception of its own.
  void Fail(const Exception& exception);

  Verdict OnOutcome(broker::Deliver& deliver);
  Verdict OnOutcome(broker::Got& got);
  Verdict OnOutcome(broker::Consuming& consuming);
  Verdict OnOutcome(broker::Cancelled& cancelled);
  Verdict OnOutcome(broker::Purged& purged);
  Verdict OnOutcome(broker::QueueCounts& counts);
  Verdict OnOutcome(broker::ChannelClosed& closed);
  Verdict OnOutcome(broker::AckLanded& landed);
  Verdict OnOutcome(broker::LeaseExpired& expired);
  Verdict OnOutcome(broker::Echo& echo);
  Verdict OnOutcome(broker::WantGrants& want);
  Verdict OnOutcome(broker::ReturnGrants& grants);
  // A publish of this channel number has been settled in one of its shards.
  void OnSettled(const Landing& landing);
  // The publishes of its commit have been settled in all of their shards.
  Verdict OnCommitLanded();
  // False: the address is not that of a consumer of this channel.
  bool OnDirectReply(const DirectReply& reply);
  // The answer to a question of this incarnation.
  Verdict OnReplyConsumerFound(bool found);
  uint32_t incarnation() const { return publishing_.incarnation(); }
  ChannelInfo Describe() const;
  void FlushConfirms() { publishing_.FlushConfirms(); }

 private:
  enum class State : uint8_t {
    kOpen,
    kFailed,    // we have sent channel.close: everything but close and close-ok is discarded
    kClosing,   // the client has closed it: close-ok follows when the shards have let go
    kDraining,  // closed for the client, the shards have not let go yet
    kGone,
  };
  // The answer that the channel is waiting for, and what to make of it.
  struct Awaited {
    enum class What : uint8_t {
      kNothing,
      kTopology,
      kCounts,
      kConsuming,
      kCancelled,
      kGot,
      kPurged,
      kCommitted,
      kReplyConsumer,
      kRecovered,
    };
    What what = What::kNothing;
    bool no_wait = false;
    bool no_ack = false;
    amqp::MethodId method = 0;
    broker::ConsumerId consumer = 0;
    size_t shards = 0;  // that have not answered
    std::string name;
  };
  // Takes what is sent to the address.
  struct ReplyConsumer {
    std::string tag;
    ReplyAddress address;
  };
  // A settlement that waits for tx.commit.
  struct HeldSettlement {
    uint64_t tag = 0;
    Delivery delivery;
    broker::Settlement kind{};
    Duration delay{-1};
  };
  // Acks whose landing the client wants to hear of, and how many settlements are still under way.
  struct LandingAcks {
    uint32_t settlements = 0;
    boost::container::small_vector<std::pair<uint64_t, bool>, 1> acks;  // tag, multiple
  };

  // channel.cc
  Verdict OnMethod(ByteView payload);
  Verdict Dispatch(amqp::MethodId id, ByteView payload);
  Verdict DispatchLandfall(amqp::MethodId id, ByteView payload);
  template <class M>
  Verdict Handle(ByteView payload);
  Verdict On(const amqp::ChannelFlow& m);
  Verdict On(const amqp::ChannelClose& m);
  Verdict On(const amqp::AccessRequest& m);
  Verdict On(const amqp::ConfirmSelect& m);
  Verdict On(const amqp::BasicPublish& m) { return publishing_.OnPublish(m); }
  void Await(Awaited::What what, amqp::MethodId method, bool no_wait = false);
  bool Answered(Awaited::What what);
  void TouchShard(broker::ShardId shard);
  void LetGo();
  void FinishClosing();

  // channel_topology.cc
  Verdict On(const amqp::ExchangeDeclare& m);
  Verdict On(const amqp::ExchangeDelete& m);
  Verdict On(const amqp::ExchangeBind& m);
  Verdict On(const amqp::ExchangeUnbind& m);
  Verdict On(const amqp::QueueDeclare& m);
  Verdict On(const amqp::QueueBind& m);
  Verdict On(const amqp::QueueUnbind& m);
  Verdict On(const amqp::QueuePurge& m);
  Verdict On(const amqp::QueueDelete& m);
  Verdict AskTopology(amqp::MethodId method, bool no_wait, broker::TopologyRequestBody body);
  Verdict AskToBind(amqp::MethodId method, bool no_wait, broker::Bind bind,
                    amqp::TableView arguments);
  Verdict CheckNewExchange(ByteView name, const amqp::Table& arguments) const;
  Verdict CheckNewQueue(ByteView name, const amqp::Table& arguments) const;
  Verdict CheckBinding(const broker::Bind& bind) const;
  std::expected<std::string, Exception> QueueName(ByteView name) const;
  Verdict CheckAccess(const broker::QueueInfo& queue) const;
  Verdict CheckAccess(ByteView queue_name) const;
  std::expected<broker::QueueInfoRef, Exception> FindQueueToRead(ByteView name) const;
  Exception NoQueue(ByteView name) const;

  // channel_consume.cc
  Verdict On(const amqp::BasicQos& m);
  Verdict On(const amqp::BasicConsume& m);
  Verdict On(const amqp::BasicCancel& m);
  Verdict On(const amqp::BasicGet& m);
  void PutUnderBudget();
  void RemoveConsumer(broker::ConsumerId id);
  void ShareOutGrants();
  ByteView PropertiesFor(const broker::Message& message, bool tell_count, uint32_t delivery_count);

  // channel_settle.cc
  Verdict On(const amqp::BasicAck& m);
  Verdict On(const amqp::BasicNack& m);
  Verdict On(const amqp::BasicReject& m);
  Verdict On(const amqp::BasicRecover& m);
  Verdict On(const amqp::BasicRecoverAsync& m);
  Verdict On(const amqp::LandfallAck& m);
  Verdict On(const amqp::LandfallNack& m);
  Verdict On(const amqp::LandfallRenew& m);
  Verdict On(const amqp::LandfallRelease& m);
  Verdict Settle(uint64_t tag, bool multiple, broker::Settlement kind,
                 Duration delay = Duration{-1});
  template <class F>
  Verdict TakeTags(uint64_t tag, bool multiple, F taken);
  Verdict Recover(bool requeue);
  bool SettleOne(const Delivery& delivery, broker::Settlement kind, Duration delay = Duration{-1},
                 uint64_t notify_token = 0);

  // channel_reply.cc
  Verdict ConsumeReplies(const amqp::BasicConsume& m, std::string tag);
  void EndReplies();
  Verdict DeclareReplyQueue(const amqp::QueueDeclare& m);

  // channel_tx.cc
  Verdict On(const amqp::TxSelect& m);
  Verdict On(const amqp::TxCommit& m);
  Verdict On(const amqp::TxRollback& m);
  void FinishCommit();
  bool OnCommitAckLanded(uint64_t token);
  std::optional<Delivery> ExpireHeld(const broker::LeaseExpired& expired);

  ConnectionContext& context_;
  const broker::ChannelId id_;
  const access::Seat seat_;
  State state_ = State::kOpen;
  Awaited awaited_;

  Publishing publishing_;
  Consumers consumers_;
  std::optional<ReplyConsumer> reply_consumer_;
  DeliveryTags tags_;
  uint32_t prefetch_ = 0;   // of consumers to come
  std::string last_queue_;  // "" in a method stands for it
  FlatMap<uint64_t, LandingAcks> landing_acks_;
  std::vector<HeldSettlement> held_settlements_;
  // Of the commit under way: what its settlements answer with, and how many have not.
  uint64_t commit_token_ = 0;
  uint32_t commit_settlements_ = 0;
  // What came while recover-ok was awaited, which tells the client what has been recovered and what
  // has not.
  std::vector<std::variant<broker::Deliver, broker::Cancelled>> behind_recover_ok_;
  ByteBuffer visible_properties_;
  ByteBuffer rewritten_properties_;
  // Shards where it may hold something, and how many of them have still to let go.
  boost::container::small_vector<broker::ShardId, 2> touched_shards_;
  size_t shards_closing_ = 0;
};

}  // namespace landfall::session
