#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <string>

#include "admin/backend.h"
#include "admin/caller.h"
#include "admin/jobs.h"
#include "admin/message_filter.h"
#include "broker/move_by_hand.h"
#include "broker/topology_snapshot.h"

namespace landfall::admin {

// What an operator wants moved.
struct MoveWish {
  broker::QueueInfoRef from;
  broker::MoveTarget to;
  MessageFilter filter;
  uint64_t limit = UINT64_MAX;  // no more messages than this
  double rate = 0;              // no more of them a second; 0: as fast as it goes
  bool dry_run = false;
};

// Why the caller may not take messages out of that queue and publish them there; "": they may.
std::string RefusalOfMove(const broker::TopologySnapshot& topology, const Caller& caller,
                          const MoveWish& wish);

// Moves what was in the queue at its start, some messages at a time: each leaves its queue and
// arrives where it is to go in one step, so that whatever happens to the broker meanwhile, none is
// lost and none is there twice. Waits while publishers are blocked. Ends early if the job is
// cancelled; fails if its user may no longer do it, or the queue (or the one that it moves to) is
// no more.
boost::asio::awaitable<void> RunMove(Backend& backend, Caller caller, MoveWish wish, JobRef job);

}  // namespace landfall::admin
