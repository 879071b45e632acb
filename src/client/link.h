#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/rng.h"
#include "client/client_connection.h"
#include "client/url.h"
#include "landfall/connection.h"

namespace landfall::client {

struct LinkOptions {
  std::vector<BrokerUrl> brokers;  // at least one
  RetryTimes reconnect;
  // Per broker; user, password, mechanism and vhost come from its URL.
  ConnectionOptions connection;
};

class LinkEvents : public ConnectionEvents {
 public:
  // There was a connection, or an attempt at one, and it is over. Another attempt follows by
  // itself.
  virtual void OnLinkLost(const Error& why, Time now) = 0;
};

// A connection that comes back: tries the brokers in order, over and over, with a growing pause
// between rounds that found none. Pure: the shell does what TakeCommand says with a socket and
// tells what came of it.
//
// Thread: one.
class Link {
 public:
  enum class Do { kNothing, kConnect, kDisconnect };
  struct Command {
    Do what = Do::kNothing;
    size_t broker = 0;  // kConnect: the index of the broker
  };

  // `events` is not owned and outlives the link. The first attempt is due at once.
  Link(LinkOptions options, LinkEvents& events, uint64_t seed, Time now);

  // What the shell has to do now; ask after every event. kDisconnect: write what is in output() if
  // that goes at once, then close the socket and forget whatever it still says.
  Command TakeCommand();
  void OnConnected(Time now);
  // Also for a connect that failed or took too long.
  void OnDisconnected(const Error& why, Time now);
  size_t OnBytes(ByteView input, Time now);
  void OnTick(Time now);
  Time NextDeadline() const;

  // nullptr without a connection.
  ClientConnection* connection() { return connection_.get(); }
  const ClientConnection* connection() const { return connection_.get(); }
  // The connection's, which may carry channel methods now; otherwise nullptr.
  ClientConnection* ready() {
    return connection_ && connection_->channel_open() ? connection_.get() : nullptr;
  }

  // This connection is of no use any more: on to the next. May be called from events.
  void Drop(Error why);
  // Things go well here: the next pause starts small again.
  void NoteProgress() { rounds_failed_ = 0; }
  // Says goodbye to the broker and never connects again. closed() some time later.
  void Close(Time now);
  bool closed() const { return state_ == State::kClosed && !disconnect_; }

  const BrokerUrl& broker(size_t index) const { return options_.brokers[index]; }
  // "" while nothing has failed yet.
  const std::string& last_problem() const { return last_problem_; }

 private:
  enum class State { kWaiting, kConnecting, kUp, kClosed };

  void Settle(Time now);
  void Lost(const Error& why, Time now);

  LinkOptions options_;
  LinkEvents& events_;
  Rng rng_;
  State state_ = State::kWaiting;
  bool connect_asked_ = false;  // the shell has been told to connect
  bool disconnect_ = false;     // the shell has to be told to disconnect
  bool closing_ = false;
  Time retry_at_;
  size_t next_broker_ = 0;
  size_t tried_in_round_ = 0;
  uint32_t rounds_failed_ = 0;
  std::unique_ptr<ClientConnection> connection_;
  std::string last_problem_;
};

}  // namespace landfall::client
