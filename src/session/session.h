#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "access/accounts.h"
#include "base/bytes.h"
#include "base/time.h"
#include "broker/command.h"
#include "broker/outcome.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"
#include "session/direct_reply.h"
#include "session/route_cache.h"
#include "session/session_info.h"

namespace landfall::session {

// Limits a connection starts to negotiate from, and bounds on what one peer can make us hold.
struct SessionOptions {
  std::string product = "Landfall";
  std::string version;
  std::string node_name = "landfall";
  uint16_t channel_max = 2047;
  uint32_t frame_max = 131072;
  uint16_t heartbeat_seconds = 60;
  uint64_t max_message_bytes = 128ull << 20;
  // Published by this connection and not yet landed; at the bound the broker stops reading from it.
  uint64_t max_unlanded_bytes = 32ull << 20;
  uint32_t max_unlanded_messages = 100'000;
  // Copies beyond the first in each shard: a few bytes that go to a thousand queues must not keep a
  // worker busy for seconds.
  uint32_t max_unlanded_copies = 20'000;
  // What the transactions of a connection may hold until they are committed; a transaction that has
  // reached it takes no further message. Messages are bounded by max_unlanded_messages.
  uint64_t max_transaction_bytes = 32ull << 20;
  // Frames of a channel that waits for an answer are kept this far, then reading stops.
  uint64_t max_suspended_bytes = 1ull << 20;
  // Deliveries handed to a connection beyond what its socket has taken, in bytes; shared by its
  // consumers.
  uint64_t max_unwritten_bytes = 4ull << 20;
  // The node's, not to be guessed: what makes addresses for direct replies (siphash.h) secret.
  SipKey reply_secret{};
  // Time for a peer to get from the first byte to connection.open, and to answer a close.
  Duration handshake_timeout = std::chrono::seconds(10);
  Duration close_timeout = std::chrono::seconds(5);
};

// Who is at the other end of the socket.
struct Peer {
  bool loopback = false;  // on this machine: the user "guest" is let in only then
  // "127.0.0.1:4711 -> 127.0.0.1:5672": what the connection is called.
  std::string name{};
  // The user that a verified TLS certificate names: may log in with SASL EXTERNAL.
  std::optional<std::string> certificate_user = std::nullopt;
};

// What a client shows for being a user.
struct Login {
  std::string user;
  std::optional<std::string> password;  // nothing: its certificate, which is verified already
};

// What a session may do to the world around it. Implemented by the worker it lives on; every call
// is a message put aside for later: none of them calls back into the session.
class SessionPorts {
 public:
  virtual ~SessionPorts() = default;
  virtual void ToShard(broker::ShardId shard, broker::Command&& command) = 0;
  virtual void ToTopology(broker::TopologyRequest request) = 0;
  // Answered by Session::OnReplySettled of the session that it comes from, in any case.
  virtual void SendReply(DirectReply reply) = 0;
  // Answered by Session::OnAuthenticated. Checking a password takes tens of milliseconds on
  // purpose, so it happens on another thread.
  virtual void Authenticate(broker::SessionId session, Login login) = 0;
  // The snapshot installed on this worker; valid until the next event.
  virtual const broker::TopologySnapshot& topology() const = 0;
  virtual RouteCache& routes() = 0;
};

// Who came through the door.
struct AuthResult {
  bool ok = false;
  // For the log and, when the user may know it, for the client; never contains the password.
  std::string reason;
  // Where the user's account is; not null when `ok`.
  access::AccountsRef accounts = nullptr;
};

// One connection with its channels, as a state machine: bytes, outcomes, answers and time in;
// bytes, commands and requests out. Pure: no socket, no thread, no clock of its own.
//
// Thread: its worker's. The shell feeds OnBytes, writes output() to the socket, calls OnTick at
// NextDeadline and OnDisconnected when the socket is gone; it destroys the session when done().
class Session {
 public:
  // `ports` is not owned and outlives the session.
  Session(broker::SessionId id, const SessionOptions& options, Peer peer, SessionPorts& ports,
          Time now);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Takes bytes in the order received and returns how many it has used: the caller offers the rest
  // again, followed by what came after. Uses nothing while wants_input() is false.
  size_t OnBytes(ByteView input, Time now);
  void OnAuthenticated(const AuthResult& result, Time now);
  // The users have changed: permissions hold from here on, and the connection of a user that is
  // gone is closed.
  void OnAccounts(const access::AccountsRef& accounts, Time now);
  // Takes what it needs out of the outcome.
  void OnOutcome(broker::Outcome& outcome, Time now);
  void OnTopologyReply(broker::TopologyReply reply, Time now);
  // For a consumer of this session; false: there is none with this address, or the client has not
  // taken what it was sent before (max_unlanded_bytes of it), so that the reply is dropped.
  bool OnDirectReply(const DirectReply& reply, Time now);
  void OnReplySettled(const DirectReplySettled& settled, Time now);
  // The socket is gone. Acks received before it count, then all that is held is given back.
  void OnDisconnected(Time now);
  // The broker is short of memory or disk: publishing connections are told (connection.blocked)
  // and not read from until it is over.
  void OnResourceAlarm(bool on, ByteView reason, Time now);
  // The broker stops: connection.close 320 CONNECTION_FORCED.
  void Shutdown(Time now);
  // An operator wants it closed: the same, with the reason that the client gets to know.
  void CloseByForce(ByteView reason, Time now);
  void OnTick(Time now);
  // When OnTick is next of use: heartbeats, handshake and close timeouts.
  Time NextDeadline() const;

  // To be written to the socket: the shell takes from the front (swap it out, then say how much of
  // it has been written). Confirms are collected until it is called, so call it after every turn
  // in which the session was given something.
  ByteBuffer& output();
  void OnWritten(size_t bytes, Time now);

  // False: do not read from the socket now (backpressure).
  bool wants_input() const;
  // Write what is in output(), then close the socket.
  bool wants_close() const;
  // The socket is gone (OnDisconnected) and every shard has confirmed that nothing of it is left:
  // may be destroyed.
  bool done() const;

  broker::SessionId id() const;
  // For logs: user, vhost, why it ended ("" while it has not).
  const std::string& user() const;
  const std::string& vhost() const;
  const std::string& end_reason() const;
  // Takes time linear in its channels and consumers.
  SessionInfo Describe() const;

 private:
  class Connection;
  std::unique_ptr<Connection> connection_;
};

}  // namespace landfall::session
