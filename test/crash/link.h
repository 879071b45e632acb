#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "amqp/frame.h"
#include "amqp/method.h"

namespace landfall::crash {

// The broker is gone, or not there yet. Nothing else is ever expected here.
struct LinkLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The plainest AMQP connection there is, with one channel. It knows nothing of what our own client
// library does well, so that the two cannot be wrong in the same way.
class Link {
 public:
  static constexpr uint16_t kChannel = 1;

  // Connects and opens the channel; throws LinkLost.
  explicit Link(uint16_t port);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Collects what Flush sends; frames of content go here as well.
  ByteBuffer& out() { return out_; }
  size_t unsent() const { return out_.size() - sent_; }
  template <class M>
  void Write(const M& method) {
    amqp::AppendMethodFrame(out_, kChannel, method);
  }

  // Sends what the socket takes and reads what there is, waiting at most `patience` for either.
  void Work(std::chrono::milliseconds patience);
  // The next frame that has arrived; it lives until the next call of Work.
  std::optional<amqp::Frame> Next();

  // Writes a method, and waits for the answer while throwing away everything else.
  template <class Answer, class M>
  void Call(const M& method) {
    Write(method);
    Await(Answer::kId);
  }
  // Closes the connection, so that the broker has seen everything before.
  void Close();

  uint32_t frame_max() const { return frame_max_; }

 private:
  ByteView Await(amqp::MethodId method);

  int socket_ = -1;
  uint32_t frame_max_ = 131072;
  ByteBuffer out_;
  size_t sent_ = 0;
  ByteBuffer in_;
  size_t used_ = 0;
};

}  // namespace landfall::crash
