#include "session/session.h"

#include <utility>

#include "session/connection.h"

namespace landfall::session {

Session::Session(broker::SessionId id, const SessionOptions& options, Peer peer,
                 SessionPorts& ports, Time now)
    : connection_(std::make_unique<Connection>(id, options, std::move(peer), ports, now)) {}

Session::~Session() = default;

size_t Session::OnBytes(ByteView input, Time now) { return connection_->OnBytes(input, now); }

void Session::OnAuthenticated(const AuthResult& result, Time now) {
  connection_->OnAuthenticated(result, now);
}

void Session::OnAccounts(const access::AccountsRef& accounts, Time now) {
  connection_->OnAccounts(accounts, now);
}

void Session::OnOutcome(broker::Outcome& outcome, Time now) {
  connection_->OnOutcome(outcome, now);
}

void Session::OnTopologyReply(broker::TopologyReply reply, Time now) {
  connection_->OnTopologyReply(reply, now);
}

bool Session::OnDirectReply(const DirectReply& reply, Time now) {
  return connection_->OnDirectReply(reply, now);
}

void Session::OnReplySettled(const DirectReplySettled& settled, Time now) {
  connection_->OnReplySettled(settled, now);
}

void Session::OnDisconnected(Time now) { connection_->OnDisconnected(now); }

void Session::OnResourceAlarm(bool on, ByteView reason, Time now) {
  connection_->OnResourceAlarm(on, reason, now);
}

void Session::Shutdown(Time now) { connection_->Shutdown(now); }

void Session::CloseByForce(ByteView reason, Time now) { connection_->CloseByForce(reason, now); }

void Session::OnTick(Time now) { connection_->OnTick(now); }

Time Session::NextDeadline() const { return connection_->NextDeadline(); }

ByteBuffer& Session::output() { return connection_->output(); }

void Session::OnWritten(size_t bytes, Time now) { connection_->OnWritten(bytes, now); }

bool Session::wants_input() const { return connection_->wants_input(); }

bool Session::wants_close() const { return connection_->wants_close(); }

bool Session::done() const { return connection_->done(); }

broker::SessionId Session::id() const { return connection_->id(); }

const std::string& Session::user() const { return connection_->user(); }

const std::string& Session::vhost() const { return connection_->vhost(); }

const std::string& Session::end_reason() const { return connection_->end_reason(); }

SessionInfo Session::Describe() const { return connection_->Describe(); }

}  // namespace landfall::session
