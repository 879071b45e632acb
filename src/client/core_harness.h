#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/time.h"
#include "client/fake_broker.h"
#include "client/link.h"

namespace landfall::client {

// Stands where the socket shell stands: brings a core and a fake broker together, under a virtual
// clock. `Core` has link(), OnTick(Time) and NextDeadline().
template <class Core>
class CoreHarness {
 public:
  explicit CoreHarness(FakeBroker& fake) : broker(fake) {}

  FakeBroker& broker;
  Core* core = nullptr;
  Time now{std::chrono::hours(24 * 365 * 50)};
  std::shared_ptr<FakeSession> session;

  // --- The network
  bool reachable = true;
  // Bytes stay on the way, until this ends or the connection does: TCP loses none in between.
  bool stall_upstream = false;
  bool stall_downstream = false;
  Rng rng{1};
  size_t largest_chunk = SIZE_MAX;  // bytes arrive in pieces up to this
  std::vector<size_t> connects;     // indexes of the brokers asked for

  // Brings bytes to and fro until nothing moves. `advance` fills the core's output.
  template <class Advance>
  void Settle(Advance advance) {
    for (bool moved = true; moved;) {
      moved = false;
      advance();
      for (;;) {
        const Link::Command command = core->link().TakeCommand();
        if (command.what == Link::Do::kNothing) break;
        moved = true;
        if (command.what == Link::Do::kDisconnect) {
          HangUp();
        } else {
          connects.push_back(command.broker);
          if (reachable) {
            session = FakeSession::Open(broker);
            core->link().OnConnected(now);
          } else {
            core->link().OnDisconnected({ErrorCode::kUnavailable, "refused"}, now);
          }
        }
      }
      moved |= Exchange();
      if (core->NextDeadline() <= now) {
        core->OnTick(now);
        moved = true;
      }
    }
  }

  // Lets time pass, with every deadline on the way.
  template <class Advance>
  void Pass(Duration duration, Advance advance) {
    const Time end = now + duration;
    Settle(advance);
    while (core->NextDeadline() <= end) {
      now = std::max(now, core->NextDeadline());
      core->OnTick(now);
      Settle(advance);
    }
    now = end;
    core->OnTick(now);
    Settle(advance);
  }

  // The connection breaks and both sides notice.
  void Cut() {
    HangUp();
    core->link().OnDisconnected({ErrorCode::kUnavailable, "cut"}, now);
  }

 private:
  void HangUp() {
    if (session) session->Disconnect();
    session.reset();
    incoming_.clear();
    outgoing_.clear();
    offered_ = 0;
  }

  bool Exchange() {
    bool moved = false;
    ClientConnection* connection = core->link().connection();
    if (connection != nullptr && !connection->output().empty() && !connection->done()) {
      const ByteBuffer bytes = std::exchange(connection->output(), {});
      connection->OnOutputTaken(now);
      outgoing_ += bytes;
      moved = true;
    }
    if (session && !stall_upstream && !outgoing_.empty()) {
      session->Receive(std::exchange(outgoing_, {}));
      moved = true;
    }
    if (session && !session->output().empty()) {
      incoming_ += std::exchange(session->output(), {});
      moved = true;
    }
    while (!stall_downstream && !incoming_.empty() && core->link().connection() != nullptr) {
      const bool all = offered_ == incoming_.size();
      if (!all) {
        const size_t step = std::min<size_t>(largest_chunk, incoming_.size() - offered_);
        offered_ += 1 + rng.Below(step);
      }
      // A frame that has not arrived whole is offered again with more.
      const size_t used = core->link().OnBytes(ByteView(incoming_).substr(0, offered_), now);
      if (used == 0 && all) break;
      incoming_.erase(0, used);
      offered_ -= used;
    }
    return moved;
  }

  ByteBuffer outgoing_;
  ByteBuffer incoming_;
  size_t offered_ = 0;
};

}  // namespace landfall::client
