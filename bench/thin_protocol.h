#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace landfall::bench {

// What all queues of a run have in common.
struct ThinSettings {
  std::vector<std::string> queues;
  bool transient = false;
  bool confirms = true;
  uint32_t prefetch = 2000;
};

// One connection's side of a broker's own protocol, as thin as it can be while publishing,
// confirming, delivering and acknowledging mean what they mean in AMQP. Bytes in, bytes out: it
// knows no socket. What is appended to `out` is to be sent; what is taken off `in` are whole
// answers at its front, and the rest is to be given again with more behind it.
//
// Errors: kProtocol, with what the broker said.
// Thread: one.
class ThinProtocol {
 public:
  using OnBody = std::function<void(ByteView body)>;

  virtual ~ThinProtocol() = default;

  virtual std::string_view product() const = 0;
  // Whether the broker keeps what can be asked for; a reason, empty if all is well.
  virtual std::string_view Refusal(const ThinSettings&) const { return {}; }

  // What comes before everything else. Nothing is awaited.
  virtual void Greet(ByteBuffer&) {}
  // Creates or deletes a queue; each is answered once.
  virtual void Declare(ByteBuffer& out, const std::string& queue) = 0;
  virtual void Delete(ByteBuffer& out, const std::string& queue) = 0;
  // How many requests were answered.
  virtual Result<size_t> TakeAnswers(ByteView& in, ByteBuffer& out) = 0;

  // A producer's part. `queue` is an index into the settings' queues.
  virtual void Publish(ByteBuffer& out, size_t queue, ByteView body) = 0;
  // How many messages were confirmed.
  virtual Result<size_t> TakeConfirms(ByteView& in, ByteBuffer& out) = 0;

  // A consumer's part, of the first queue. Ask for messages, at most `most` beyond those that have
  // been taken; to be called again whenever some were.
  virtual void Ask(ByteBuffer& out, uint64_t most) = 0;
  // Tells each body, and acknowledges each message with the bytes that it appends. Returns how
  // many.
  virtual Result<size_t> TakeDeliveries(ByteView& in, ByteBuffer& out, const OnBody& on_body) = 0;
};

// `scheme` is redis, nats or beanstalk. The settings must outlive it. Null if it is none of them.
std::unique_ptr<ThinProtocol> MakeThinProtocol(std::string_view scheme, const ThinSettings&);

std::unique_ptr<ThinProtocol> MakeRedisProtocol(const ThinSettings&);
std::unique_ptr<ThinProtocol> MakeNatsProtocol(const ThinSettings&);
std::unique_ptr<ThinProtocol> MakeBeanstalkProtocol(const ThinSettings&);

// Takes a line off `in`, without its "\r\n"; false if it is not all there.
bool TakeLine(ByteView& in, ByteView& line);

// Word `index` of a line whose words are parted by single spaces; empty if there are not so many.
ByteView WordOf(ByteView line, size_t index);

// 0 if the word is no number.
size_t NumberOf(ByteView word);

}  // namespace landfall::bench
