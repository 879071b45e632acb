#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "amqp/frame.h"
#include "base/bytes.h"

namespace landfall::apps {

// For tests of `landfall perf`: a broker with a single queue in memory, whatever name it is called
// by, that can be told to misbehave. Listens on 127.0.0.1 from construction to destruction.
class PerfFakeBroker {
 public:
  enum class Fate {
    kDeliver,  // and confirm
    kLose,     // confirm
    kRepeat,   // confirm, deliver twice
    kNack,
    kReturn,  // and confirm
    kIgnore,  // neither confirm nor deliver
    kHangUp,  // close the connection
    kDeafen,  // read nothing more from this connection
  };

  // `fate` decides about the n-th message published, from 0; called on the broker's thread.
  explicit PerfFakeBroker(std::function<Fate(uint64_t n)> fate);
  ~PerfFakeBroker();

  std::string Url() const;
  // How many messages consumers have acked.
  uint64_t acked() const { return acked_; }

 private:
  struct Peer {
    int fd = -1;
    ByteBuffer in;
    ByteBuffer out;
    bool deaf = false;
    bool greeted = false;
    bool confirms = false;
    bool consumes = false;
    uint64_t published = 0;  // the last tag to confirm
    uint64_t unconfirmed = 0;
    uint64_t delivered = 0;
    uint64_t acked = 0;
    ByteBuffer routing_key;  // of the message that is coming in
    uint64_t body_left = 0;
    ByteBuffer body;
  };

  void Run();
  void Accept();
  bool Read(Peer& peer);
  bool OnFrame(Peer& peer, const amqp::Frame& frame);
  void OnMethod(Peer& peer, ByteView payload);
  bool OnMessage(Peer& peer);
  void Confirm(Peer& peer);
  void Deliver();

  std::function<Fate(uint64_t)> fate_;
  uint64_t messages_ = 0;
  std::deque<ByteBuffer> queue_;
  std::vector<std::unique_ptr<Peer>> peers_;
  int listener_;
  uint16_t port_ = 0;
  std::atomic<uint64_t> acked_ = 0;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace landfall::apps
