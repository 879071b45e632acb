// When to read, when to speak up, when to give up.
#include <algorithm>
#include <string>
#include <utility>

#include "session/connection.h"

namespace landfall::session {

void Session::Connection::BeginTurn(Time now) {
  now_ = now;
  // What the shell has taken since.
  if (context_.out.size() < last_output_size_) {
    context_.taken += last_output_size_ - context_.out.size();
  }
  last_output_size_ = context_.out.size();
}

void Session::Connection::EndTurn() {
  context_.shards.FlushSettlement();
  const uint64_t bound = 2 * context_.options.max_unwritten_bytes;
  too_much_unwritten_ = unwritten() > (too_much_unwritten_ ? bound / 2 : bound);
  if (alarm_) TellBlocked();
  if (const bool reading = wants_input(); reading != reading_) {
    reading_ = reading;
    // The peer's silence while it was not listened to says nothing.
    if (reading) last_received_ = now_;
  }
  // A peer that takes nothing and has no heartbeat to prove itself with has its leases run out, or
  // it would keep its messages as long as the connection stands.
  const bool may_hang = too_much_unwritten_ && heartbeat_seconds_ == 0;
  const bool rest = !reading_ && !may_hang;
  if (!ending_ && phase_ == Phase::kRunning && rest != context_.leases_paused) PauseLeases(rest);
  last_output_size_ = context_.out.size();
}

bool Session::Connection::wants_input() const {
  switch (phase_) {
    case Phase::kProtocolHeader:
    case Phase::kStartOk:
    case Phase::kTuneOk:
    case Phase::kOpen:
      return !end_deferred_;
    case Phase::kRunning:
      return !too_much_unlanded_ && !too_much_unwritten_ && !end_deferred_ &&
             suspended_bytes_ <= context_.options.max_suspended_bytes &&
             !(alarm_ && context_.has_published);
    case Phase::kCloseSent:
    case Phase::kCloseAnswered:
      return true;
    case Phase::kAuthenticating:
    case Phase::kClosing:
    case Phase::kClosed:
      return false;
  }
  return false;
}

// Stops reading at the bound and goes on when half of it has landed.
void Session::Connection::NoteUnlanded() {
  const uint64_t bytes = context_.shards.unlanded_bytes();
  const uint64_t messages = std::max(context_.shards.unlanded_messages(), context_.open_publishes);
  // What goes to one queue each is bounded by the number of messages alone.
  const uint64_t copies = context_.shards.unlanded_copies() - context_.shards.unlanded_messages();
  const SessionOptions& options = context_.options;
  if (bytes >= options.max_unlanded_bytes || messages >= options.max_unlanded_messages ||
      copies >= options.max_unlanded_copies) {
    too_much_unlanded_ = true;
  } else if (bytes <= options.max_unlanded_bytes / 2 &&
             messages <= options.max_unlanded_messages / 2 &&
             copies <= options.max_unlanded_copies / 2) {
    too_much_unlanded_ = false;
  }
  const uint64_t bound = 2 * options.max_unwritten_bytes;
  if (unwritten() > bound) too_much_unwritten_ = true;
}

// The acks of a client that is not read cannot be seen: its lease clocks rest, wherever it may hold
// something.
void Session::Connection::PauseLeases(bool paused) {
  context_.leases_paused = paused;
  if (!context_.may_hold_deliveries) return;
  const std::vector<broker::ShardId> shards = context_.touched_shards;
  for (const broker::ShardId shard : shards) {
    context_.ToShard(shard, broker::PauseLeasesCommand{paused});
  }
}

void Session::Connection::OnResourceAlarm(bool on, ByteView reason, Time now) {
  Turn turn(*this, now);
  alarm_ = on;
  alarm_reason_ = reason;
  if (!on && told_blocked_) {
    told_blocked_ = false;
    if (phase_ == Phase::kRunning) context_.Send(0, amqp::ConnectionUnblocked{});
  }
}

// Only those who publish make it worse, and only some understand.
void Session::Connection::TellBlocked() {
  if (told_blocked_ || phase_ != Phase::kRunning || !context_.has_published ||
      !context_.peer.connection_blocked) {
    return;
  }
  told_blocked_ = true;
  context_.Send(0, amqp::ConnectionBlocked{.reason = alarm_reason_});
}

ByteBuffer& Session::Connection::output() {
  BeginTurn(now_);
  FlushConfirms();
  last_output_size_ = context_.out.size();
  return context_.out;
}

void Session::Connection::OnWritten(size_t bytes, Time now) {
  Turn turn(*this, now);
  written_ += bytes;
  LANDFALL_ASSERT(written_ <= context_.OutputOffset());
  last_sent_ = now;
  if (ending_) return;
  context_.credit.OnWritten(written_,
                            [this](broker::ShardId shard, const broker::CreditCommand& credit) {
                              context_.ToShard(shard, credit);
                            });
}

void Session::Connection::OnTick(Time now) {
  Turn turn(*this, now);
  if (phase_ < Phase::kRunning && now >= handshake_deadline_) {
    CloseSocket("the handshake took too long");
    return;
  }
  if (now >= close_deadline_) {
    close_deadline_ = kNever;
    if (!ending_) {
      CloseAsAsked();
      return;
    }
    if (phase_ == Phase::kClosing) context_.Send(0, amqp::ConnectionCloseOk{});
    CloseSocket("");
    return;
  }
  if (phase_ == Phase::kRunning) OnHeartbeatTick();
}

void Session::Connection::OnHeartbeatTick() {
  if (heartbeat_seconds_ == 0) return;
  if (too_much_unwritten_) {
    // Nothing is read from it, so its heartbeats cannot be seen; that it takes bytes can.
    if (written_ != stalled_at_) {
      stalled_at_ = written_;
      stalled_since_ = now_;
    } else if (now_ - stalled_since_ >= 2 * heartbeat()) {
      CloseSocket("the client has taken nothing of what was sent to it for " +
                  std::to_string(2 * heartbeat_seconds_) + "s");
      return;
    }
  }
  if (!reading_) {
    last_received_ = now_;
  } else if (now_ - last_received_ >= 2 * heartbeat()) {
    CloseSocket(
        "missed heartbeats from the client, timeout: " + std::to_string(heartbeat_seconds_) + "s");
    return;
  }
  if (now_ - last_sent_ >= heartbeat() / 2) {
    // A peer that does not take what there is has no use for more.
    if (unwritten() == 0) amqp::AppendHeartbeatFrame(context_.out);
    last_sent_ = now_;
  }
}

Time Session::Connection::NextDeadline() const {
  if (phase_ < Phase::kRunning) return handshake_deadline_;
  Time next = close_deadline_;
  if (phase_ == Phase::kRunning && heartbeat_seconds_ != 0) {
    next = std::min({next, last_received_ + 2 * heartbeat(), last_sent_ + heartbeat() / 2});
  }
  return next;
}

}  // namespace landfall::session
