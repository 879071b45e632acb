// Transactions: publishes and settlements are held in the channel until tx.commit.
//
// A commit sends the publishes, to each shard as one unit, and settles only when all of them have
// landed everywhere: a crash in between leaves messages to be delivered again, never fewer. Nothing
// spans shards, so a crash may also leave the units of some shards without those of others; then
// there was no commit-ok.
#include <algorithm>
#include <string>
#include <utility>

#include "session/channel.h"

namespace landfall::session {

using amqp::ReplyCode;

Verdict Channel::On(const amqp::TxSelect&) {
  if (publishing_.confirms_selected()) {
    return Refuse(ReplyCode::kPreconditionFailed, "cannot switch from confirm to tx mode");
  }
  publishing_.SelectTransactions();
  context_.Send(id_, amqp::TxSelectOk{});
  return {};
}

Verdict Channel::On(const amqp::TxCommit& m) {
  if (!publishing_.transactional()) {
    return Refuse(ReplyCode::kPreconditionFailed, "channel is not transactional");
  }
  Await(Awaited::What::kCommitted, m.kId);
  return publishing_.Commit() ? OnCommitLanded() : Verdict{};
}

Verdict Channel::On(const amqp::TxRollback&) {
  if (!publishing_.transactional()) {
    return Refuse(ReplyCode::kPreconditionFailed, "channel is not transactional");
  }
  publishing_.Rollback();
  for (const HeldSettlement& held : held_settlements_) tags_.PutBack(held.tag, held.delivery);
  held_settlements_.clear();
  context_.Send(id_, amqp::TxRollbackOk{});
  return {};
}

Verdict Channel::OnCommitLanded() {
  if (state_ != State::kOpen || awaited_.what != Awaited::What::kCommitted) return {};
  if (publishing_.TakeRefused()) {
    // What has been settled stays unsettled: the channel gives it back when it closes.
    Exception partial{ReplyCode::kPreconditionFailed, "PRECONDITION_FAILED - partial tx completion",
                      awaited_.method};
    return std::unexpected(std::move(partial));
  }
  commit_token_ = ++context_.last_token;
  commit_settlements_ = 0;
  for (const HeldSettlement& held : std::exchange(held_settlements_, {})) {
    if (SettleOne(held.delivery, held.kind, held.delay, commit_token_)) ++commit_settlements_;
  }
  ShareOutGrants();
  if (commit_settlements_ == 0) FinishCommit();
  return {};
}

// True if it was one of the commit under way.
bool Channel::OnCommitAckLanded(uint64_t token) {
  if (commit_settlements_ == 0 || token != commit_token_) return false;
  if (--commit_settlements_ == 0) FinishCommit();
  return true;
}

void Channel::FinishCommit() {
  if (Answered(Awaited::What::kCommitted)) context_.Send(id_, amqp::TxCommitOk{});
}

// A delivery that is settled in the transaction has lost its lease: only an ack will still count.
std::optional<Delivery> Channel::ExpireHeld(const broker::LeaseExpired& expired) {
  const auto held = std::find_if(
      held_settlements_.begin(), held_settlements_.end(), [&](const HeldSettlement& h) {
        return h.delivery.queue == expired.queue && h.delivery.sequence == expired.sequence &&
               h.delivery.attempt == expired.attempt && !h.delivery.stale;
      });
  if (held == held_settlements_.end()) return std::nullopt;
  const Delivery before = held->delivery;
  held->delivery.stale = true;
  return before;
}

}  // namespace landfall::session
