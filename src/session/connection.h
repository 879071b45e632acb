#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "access/accounts.h"
#include "amqp/frame.h"
#include "amqp/method.h"
#include "session/channel.h"
#include "session/connection_context.h"
#include "session/exception.h"
#include "session/session.h"

namespace landfall::session {

// What a Session is: see there for each of the public functions.
//
// Files: handshake.cc from the protocol header to connection.open, connection.cc frames, channels
// and outcomes, closing.cc the ways to end, liveness.cc backpressure, heartbeats and deadlines,
// describe.cc what others get to see of it.
class Session::Connection {
 public:
  Connection(broker::SessionId id, const SessionOptions& options, Peer peer, SessionPorts& ports,
             Time now);

  size_t OnBytes(ByteView input, Time now);
  void OnAuthenticated(const AuthResult& result, Time now);
  void OnAccounts(const access::AccountsRef& accounts, Time now);
  void OnOutcome(broker::Outcome& outcome, Time now);
  void OnTopologyReply(broker::TopologyReply& reply, Time now);
  bool OnDirectReply(const DirectReply& reply, Time now);
  void OnReplySettled(const DirectReplySettled& settled, Time now);
  void OnDisconnected(Time now);
  void OnResourceAlarm(bool on, ByteView reason, Time now);
  void Shutdown(Time now);
  void CloseByForce(ByteView reason, Time now);
  void OnTick(Time now);
  Time NextDeadline() const;
  ByteBuffer& output();
  void OnWritten(size_t bytes, Time now);
  bool wants_input() const;
  bool wants_close() const { return phase_ == Phase::kClosed; }
  bool done() const { return disconnected_ && ended_; }

  broker::SessionId id() const { return context_.id; }
  const std::string& user() const { return context_.user; }
  const std::string& vhost() const { return context_.vhost; }
  const std::string& end_reason() const { return end_reason_; }
  SessionInfo Describe() const;

 private:
  enum class Phase : uint8_t {
    kProtocolHeader,
    kStartOk,         // waits for connection.start-ok
    kAuthenticating,  // the password is being checked
    kTuneOk,
    kOpen,  // waits for connection.open
    kRunning,
    kCloseSent,      // waits for close-ok; all else is discarded
    kClosing,        // the client has closed; close-ok follows when the shards have let go
    kCloseAnswered,  // close-ok has been sent: the client, who asked, closes the socket
    kClosed,         // nothing to read or say any more
  };
  struct Slot {
    std::unique_ptr<Channel> channel;
    // Frames that came while the channel was busy, from `backlog_used` on.
    ByteBuffer backlog;
    size_t backlog_used = 0;
  };
  // Brackets everything that happens at one call from the shell.
  class Turn {
   public:
    Turn(Connection& connection, Time now) : connection_(connection) { connection_.BeginTurn(now); }
    ~Turn() { connection_.EndTurn(); }

   private:
    Connection& connection_;
  };

  // handshake.cc
  size_t OnProtocolHeader(ByteView input);
  Verdict OnHandshake(amqp::MethodId id, ByteView payload);
  Verdict On(const amqp::ConnectionStartOk& m);
  Verdict On(const amqp::ConnectionTuneOk& m);
  Verdict On(const amqp::ConnectionOpen& m);
  void RefuseLogin(ByteView reason);
  Verdict TakeSeats();

  // connection.cc
  size_t TakeFrames(ByteView input);
  void OnFrame(const amqp::Frame& frame);
  Verdict OnConnectionFrame(const amqp::Frame& frame);
  Verdict OnConnectionMethod(ByteView payload);
  void OnChannelFrame(const amqp::Frame& frame);
  Slot* FindSlot(broker::ChannelId channel) {
    return channel < slots_.size() ? slots_[channel].get() : nullptr;
  }
  Channel* FindChannel(broker::ChannelId channel) {
    Slot* slot = FindSlot(channel);
    return slot == nullptr ? nullptr : slot->channel.get();
  }
  Verdict OnUnopenedChannel(const amqp::Frame& frame);
  void Keep(Slot& slot, const amqp::Frame& frame);
  void Resume(broker::ChannelId channel);
  void Judge(broker::ChannelId channel, Verdict verdict);
  void FlushConfirms();
  void FinishCommits();

  // closing.cc
  void Fail(const Exception& exception);
  void OnFrameError(const amqp::FrameResult& error);
  Verdict OnCloseReceived(ByteView payload);
  void CloseAsAsked();
  void FinishDeferredEnd();
  void CloseSocket(ByteView reason);
  void End();
  void FinishEnd();

  // liveness.cc
  void BeginTurn(Time now);
  void EndTurn();
  void NoteUnlanded();
  void TellBlocked();
  void PauseLeases(bool paused);
  void OnHeartbeatTick();
  uint64_t unwritten() const { return context_.OutputOffset() - written_; }
  Duration heartbeat() const { return std::chrono::seconds(heartbeat_seconds_); }

  ConnectionContext context_;
  const Peer peer_;
  Phase phase_ = Phase::kProtocolHeader;
  Time now_;
  std::string end_reason_;

  // Handshake.
  Time handshake_deadline_;
  std::string mechanism_;
  std::string login_;             // not yet let in
  access::AccountsRef accounts_;  // until connection.open
  uint16_t channel_max_ = 0;
  uint32_t frame_limit_;  // of what the peer may send
  uint16_t heartbeat_seconds_ = 0;
  ByteBuffer client_properties_;  // for Describe

  // Its share of what the user and the vhost may have open.
  access::UsageRef user_usage_;
  access::Seat user_seat_;
  access::Seat vhost_seat_;

  std::vector<std::unique_ptr<Slot>> slots_;  // by channel number
  uint32_t incarnations_ = 0;
  uint64_t suspended_bytes_ = 0;  // in all backlogs

  // Liveness and backpressure.
  const Time connected_at_;
  uint64_t received_ = 0;
  Time last_received_;
  // While there is too much unwritten: what had been written when that last grew, and since when.
  uint64_t stalled_at_ = UINT64_MAX;
  Time stalled_since_{};
  Time last_sent_;
  uint64_t written_ = 0;
  size_t last_output_size_ = 0;
  bool reading_ = true;
  bool too_much_unlanded_ = false;
  bool too_much_unwritten_ = false;
  bool alarm_ = false;
  std::string alarm_reason_;
  bool told_blocked_ = false;

  // The end.
  Time close_deadline_ = kNever;
  bool deaf_ = false;  // the input is out of step: discard all of it
  bool disconnected_ = false;
  bool end_deferred_ = false;  // kept frames come first
  bool ending_ = false;
  bool ended_ = false;
  size_t shards_closing_ = 0;
};

}  // namespace landfall::session
