#include "client/link.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "client/retry_schedule.h"

namespace landfall::client {

Link::Link(LinkOptions options, LinkEvents& events, uint64_t seed, Time now)
    : options_(std::move(options)), events_(events), rng_(seed), retry_at_(now) {
  LANDFALL_ASSERT(!options_.brokers.empty());
}

Link::Command Link::TakeCommand() {
  if (disconnect_) {
    disconnect_ = false;
    connection_.reset();
    return {Do::kDisconnect};
  }
  if (state_ == State::kConnecting && !connect_asked_) {
    connect_asked_ = true;
    return {Do::kConnect, next_broker_};
  }
  return {};
}

void Link::OnConnected(Time now) {
  if (state_ != State::kConnecting) return;
  ConnectionOptions connection = options_.connection;
  const BrokerUrl& url = options_.brokers[next_broker_];
  connection.user = url.user;
  connection.password = url.password;
  connection.vhost = url.vhost;
  connection.mechanism = url.mechanism.value_or(SaslMechanism::kPlain);
  connection_ = std::make_unique<ClientConnection>(connection, events_, now);
  state_ = State::kUp;
}

void Link::OnDisconnected(const Error& why, Time now) {
  if (state_ != State::kConnecting && state_ != State::kUp) return;
  connection_.reset();
  Lost(why, now);
}

size_t Link::OnBytes(ByteView input, Time now) {
  if (state_ != State::kUp) return input.size();
  const size_t used = connection_->OnBytes(input, now);
  Settle(now);
  return used;
}

void Link::OnTick(Time now) {
  if (state_ == State::kUp) {
    connection_->OnTick(now);
    Settle(now);
  }
  if (state_ == State::kWaiting && now >= retry_at_) {
    state_ = State::kConnecting;
    connect_asked_ = false;
  }
}

Time Link::NextDeadline() const {
  if (state_ == State::kWaiting) return retry_at_;
  if (state_ == State::kUp) return connection_->done() ? Time::min() : connection_->NextDeadline();
  return kNever;
}

void Link::Drop(Error why) {
  if (state_ == State::kUp) connection_->Abort(std::move(why));
}

void Link::Close(Time now) {
  if (closing_) return;
  closing_ = true;
  switch (state_) {
    case State::kUp:
      connection_->Close(now);
      Settle(now);
      return;
    case State::kConnecting:
      disconnect_ = connect_asked_;
      [[fallthrough]];
    case State::kWaiting:
      state_ = State::kClosed;
      return;
    case State::kClosed:
      return;
  }
}

// Takes note of a connection that has ended.
void Link::Settle(Time now) {
  if (state_ != State::kUp || !connection_->done()) return;
  disconnect_ = true;
  // connection_ stays until the shell has been told, for what is left in its output.
  const Error why = connection_->error() != nullptr ? *connection_->error() : Error{};
  Lost(why, now);
}

void Link::Lost(const Error& why, Time now) {
  if (closing_) {
    state_ = State::kClosed;
    return;
  }
  Error named = why;
  named.message = options_.brokers[next_broker_].Address() + ": " + why.message;
  last_problem_ = named.message;
  next_broker_ = (next_broker_ + 1) % options_.brokers.size();
  state_ = State::kWaiting;
  // Within a round at once, then a pause.
  retry_at_ = now;
  if (++tried_in_round_ >= options_.brokers.size()) {
    tried_in_round_ = 0;
    retry_at_ = now + DelayOf(options_.reconnect, ++rounds_failed_, rng_);
  }
  events_.OnLinkLost(named, now);
}

}  // namespace landfall::client
