#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

#include "amqp/frame.h"
#include "amqp/method.h"

namespace landfall::crashtest {

// The broker is gone, or not there yet: what these tests provoke.
struct LinkLost : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// The broker closed connection or channel with an error that a crash does not explain, or spoke no
// AMQP.
struct LinkRefused : std::runtime_error {
  LinkRefused(const std::string& text, uint16_t reply_code)
      : std::runtime_error(text), code(reply_code) {}
  uint16_t code;
};

// The plainest AMQP connection there is: as guest to 127.0.0.1, with one channel. It knows nothing
// of what our own client library does well, so that the two cannot be wrong in the same way, and
// asks nothing of a broker that not every one has.
//
// Thread: one.
class Link {
 public:
  static constexpr uint16_t kChannel = 1;

  // Connects, logs in and opens the channel; throws LinkLost or LinkRefused, as do all others.
  explicit Link(uint16_t port);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // Collects what Work sends; frames of content go here as well.
  ByteBuffer& out() { return out_; }
  size_t unsent() const { return out_.size() - sent_; }
  template <class M>
  void Write(const M& method) {
    amqp::AppendMethodFrame(out_, kChannel, method);
  }

  // Sends what the socket takes and reads what there is, waiting at most `patience` for either.
  // Throws only once everything has been read that the broker sent before it went.
  void Work(std::chrono::milliseconds patience);
  // The next frame that has arrived; it lives until the next call of Work.
  std::optional<amqp::Frame> Next();

  // Writes a method, and waits for the answer while throwing away everything else. The answer's
  // views live until the next call of Work.
  template <class Answer, class M>
  Answer Call(const M& method) {
    Write(method);
    auto answer = amqp::Decode<Answer>(Await(Answer::kId));
    if (!answer) throw LinkRefused(answer.error().message, 0);
    return *answer;
  }
  // Closes the connection, so that the broker has seen everything before.
  void Close();

  uint32_t frame_max() const { return frame_max_; }
  // What the broker calls itself, such as "RabbitMQ 3.10.8".
  const std::string& product() const { return product_; }

 private:
  void Login();
  ByteView Await(amqp::MethodId method);

  int socket_ = -1;
  uint32_t frame_max_ = 131072;
  std::string product_ = "unknown broker";
  ByteBuffer out_;
  size_t sent_ = 0;
  ByteBuffer in_;
  size_t used_ = 0;
};

}  // namespace landfall::crashtest
