// The ways in which a connection ends.
#include <string>
#include <utility>

#include "session/connection.h"

namespace landfall::session {

// Tells the peer why and waits for its close-ok, but not for ever.
void Session::Connection::Fail(const Exception& exception) {
  if (phase_ == Phase::kClosed || phase_ == Phase::kCloseSent || phase_ == Phase::kCloseAnswered)
    return;
  if (end_reason_.empty()) end_reason_ = exception.text;
  if (disconnected_ || phase_ == Phase::kProtocolHeader) {
    CloseSocket(exception.text);
    return;
  }
  FlushConfirms();
  context_.Send(0, amqp::ConnectionClose{.reply_code = static_cast<uint16_t>(exception.code),
                                         .reply_text = exception.text,
                                         .class_id = static_cast<uint16_t>(exception.method >> 16),
                                         .method_id = static_cast<uint16_t>(exception.method)});
  phase_ = Phase::kCloseSent;
  close_deadline_ = now_ + context_.options.close_timeout;
  End();
}

// Where the next frame begins is not known any more: say so, and take nothing more.
void Session::Connection::OnFrameError(const amqp::FrameResult& error) {
  if (phase_ == Phase::kCloseSent || phase_ == Phase::kCloseAnswered || phase_ < Phase::kTuneOk) {
    CloseSocket(error.text);
    return;
  }
  std::string text(amqp::ReplyName(error.reply));
  text += " - " + error.text;
  deaf_ = true;
  Fail(Exception{error.reply, std::move(text), 0});
}

Verdict Session::Connection::OnCloseReceived(ByteView payload) {
  const auto close = amqp::Decode<amqp::ConnectionClose>(payload);
  if (!close) return Refuse(amqp::ReplyCode::kSyntaxError, close.error().message);
  if (close->reply_code != static_cast<uint16_t>(amqp::ReplyCode::kReplySuccess)) {
    end_reason_ = "closed by the client: " + std::to_string(close->reply_code) + " " +
                  std::string(close->reply_text);
  } else {
    end_reason_ = "closed by the client";
  }
  // What the client sent before still counts, also where its channel was busy.
  end_deferred_ = true;
  close_deadline_ = now_ + context_.options.close_timeout;
  FinishDeferredEnd();
  return {};
}

void Session::Connection::FinishDeferredEnd() {
  if (!end_deferred_ || ending_ || suspended_bytes_ > 0) return;
  CloseAsAsked();
}

void Session::Connection::CloseAsAsked() {
  FlushConfirms();
  if (phase_ != Phase::kClosed) phase_ = Phase::kClosing;
  End();
}

// Without ceremony.
void Session::Connection::CloseSocket(ByteView reason) {
  if (end_reason_.empty()) end_reason_ = reason;
  phase_ = Phase::kClosed;
  close_deadline_ = kNever;
  End();
}

void Session::Connection::OnDisconnected(Time now) {
  Turn turn(*this, now);
  if (disconnected_) return;
  disconnected_ = true;
  if (end_reason_.empty()) end_reason_ = "the client went away without closing";
  phase_ = Phase::kClosed;
  if (ending_) return;
  end_deferred_ = true;
  close_deadline_ = now_ + context_.options.close_timeout;
  FinishDeferredEnd();
}

void Session::Connection::Shutdown(Time now) {
  Turn turn(*this, now);
  if (phase_ == Phase::kRunning && !end_deferred_) {
    Fail(
        Exception{amqp::ReplyCode::kConnectionForced, "CONNECTION_FORCED - broker is stopping", 0});
  } else if (phase_ < Phase::kRunning || phase_ == Phase::kCloseAnswered) {
    CloseSocket("the broker is stopping");
  }
}

void Session::Connection::CloseByForce(ByteView reason, Time now) {
  Turn turn(*this, now);
  if (phase_ == Phase::kRunning && !end_deferred_) {
    Fail(Exception{amqp::ReplyCode::kConnectionForced, "CONNECTION_FORCED - " + std::string(reason),
                   0});
  } else if (phase_ < Phase::kRunning) {
    CloseSocket(reason);
  }
}

// Everything that is held anywhere is given back. Settlements that came before go first.
void Session::Connection::End() {
  if (ending_) return;
  ending_ = true;
  slots_.clear();
  // Before the peer hears of it: it may come back at once, and must find its place free.
  user_seat_ = {};
  vhost_seat_ = {};
  suspended_bytes_ = 0;
  context_.shards.FlushSettlement();
  for (const broker::ShardId shard : context_.touched_shards) {
    context_.shards.Send(shard, broker::CloseChannelCommand{0});
  }
  shards_closing_ = context_.touched_shards.size();
  if (shards_closing_ == 0) FinishEnd();
}

// The shards have let go, so the topology may delete the session's exclusive queues.
void Session::Connection::FinishEnd() {
  ended_ = true;
  if (context_.may_own_queues) context_.AskTopology(0, broker::SessionEnded{});
  if (phase_ == Phase::kClosing) {
    context_.Send(0, amqp::ConnectionCloseOk{});
    // A socket that goes at once looks like a failure to a client that still has something to say,
    // such as a second close by another of its threads.
    phase_ = Phase::kCloseAnswered;
    close_deadline_ = now_ + context_.options.close_timeout;
  }
}

}  // namespace landfall::session
