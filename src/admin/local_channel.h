#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "admin/backend.h"
#include "admin/caller.h"
#include "admin/incoming.h"
#include "admin/reply.h"
#include "amqp/method.h"
#include "base/bytes.h"
#include "session/exception.h"

namespace landfall::admin {

// An AMQP channel of a user within this process: what the API does to queues, exchanges, bindings
// and messages goes the way on which any client does it, with the same permissions, limits, checks
// and words, and there is no second set of them. The session behind it is a real one; only the
// socket is missing.
//
// Thread: the administration's.
class LocalChannel {
 public:
  // Whether it understands the broker's own methods for what AMQP cannot say.
  enum class Extensions { kNo, kYes };
  using Use = std::function<boost::asio::awaitable<Reply>(LocalChannel&)>;

  // Opens a channel for the caller, uses it and closes it. If it could not be opened, the reply
  // says why.
  static boost::asio::awaitable<Reply> With(Backend& backend, const Caller& caller,
                                            std::string vhost, Extensions extensions, Use use);

  // What Send and Call write; one channel is all there is.
  template <class M>
  void Append(const M& method) {
    amqp::AppendMethodFrame(out_, kNumber, method);
  }
  void AppendPublish(const amqp::BasicPublish& publish, ByteView properties, ByteView body);
  // Bodies that come may be larger than what anybody wants of them: the rest is dropped as it
  // comes. Unless it is called, all of a body is kept. Between two bodies.
  void KeepBodies(size_t at_most);
  void Send();
  // The next thing that the broker sends on the channel; one that closes() is the last.
  boost::asio::awaitable<Incoming> Next();
  // Both, for a method that is answered by one.
  template <class M>
  boost::asio::awaitable<Incoming> Call(const M& method) {
    Append(method);
    Send();
    co_return co_await Next();
  }

 private:
  class Inbox;
  static constexpr uint16_t kNumber = 1;

  LocalChannel(server::WorkerThread& worker, std::shared_ptr<Inbox> inbox, uint32_t frame_max);
  void LogIn(const std::string& vhost, Extensions extensions);

  server::WorkerThread& worker_;
  const std::shared_ptr<Inbox> inbox_;
  const uint32_t frame_max_;
  broker::SessionId session_ = 0;
  ByteBuffer out_;
};

// What the broker refused, as RabbitMQ's API says it.
Reply ReplyToRefusal(const Incoming& closing);

}  // namespace landfall::admin
