#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "base/bytes.h"
#include "base/error.h"
#include "client/url.h"
#include "net/tls_client.h"

namespace landfall::apps {

// Plain AMQP 0-9-1 to any broker over one socket, with one channel, as light as it can be. Two ways
// to use it, one after the other: Call() and its kin wait for answers, while a run is set up;
// Receive(), Reserve() and Flush() never wait, for the event loop.
//
// Thread: one at a time.
class PerfConnection {
 public:
  static constexpr uint16_t kChannel = 1;
  static constexpr size_t kOutputSize = 256 << 10;

  // Connects, logs in, opens the vhost and channel 1. Heartbeats are off. With TLS it begins with
  // `tls`, from client::MakeTlsContext, so that many connections share what that has read; null:
  // with one of its own. The process ignores SIGPIPE from then on, because OpenSSL's writes raise
  // it. `interrupted` is asked ten times a second by whatever waits, here and later; once it says
  // yes, there is no more waiting (kUnavailable).
  // Errors: kUnavailable, kTimeout, kAccessRefused, kUntrusted, kProtocol, kInvalidArgument.
  static Result<std::unique_ptr<PerfConnection>> Open(const client::BrokerUrl& broker,
                                                      std::shared_ptr<SSL_CTX> tls = nullptr,
                                                      std::function<bool()> interrupted = nullptr);

  ~PerfConnection();
  PerfConnection(const PerfConnection&) = delete;
  PerfConnection& operator=(const PerfConnection&) = delete;

  int fd() const { return fd_; }
  uint32_t frame_max() const { return frame_max_; }
  // What the broker calls itself, such as "RabbitMQ 3.10.8".
  const std::string& product() const { return product_; }

  // Sends a method and waits for its answer. The views in the answer live until the next use of the
  // connection. A close from the broker is an error with the broker's words, and whatever is waited
  // for after it, because no answer will come.
  template <class Answer, class Request>
  Result<Answer> Call(const Request& request) {
    Send(request);
    return Wait<Answer>();
  }

  // The two halves of Call, so that many requests can be on the way at once.
  template <class Request>
  void Send(const Request& request) {
    ByteBuffer bytes;
    amqp::AppendMethodFrame(bytes, kChannel, request);
    Append(bytes);
  }
  template <class Answer>
  Result<Answer> Wait() {
    auto payload = WaitForMethod(Answer::kId, Answer::kName);
    if (!payload) return std::unexpected(payload.error());
    return amqp::Decode<Answer>(*payload);
  }

  // After the broker has closed the channel.
  Result<void> ReopenChannel();
  bool channel_closed() const { return closed_.has_value(); }
  // For each answer from now on; a minute unless it is said.
  void WaitAtMost(std::chrono::seconds patience) { patience_ = patience; }

  // Says goodbye and waits a moment for the answer, so that the broker has read all we sent.
  void Close();

  // Reads once. 0: there is nothing to read now. Errors: the broker has gone away.
  Result<size_t> Receive();
  // TLS has more for Receive, although the socket may have nothing to read.
  bool has_pending_input() const { return tls_ && tls_->HasPending(); }
  // What was received and not consumed.
  ByteView input() const { return {input_.get() + input_begin_, input_end_ - input_begin_}; }
  void Consume(size_t n) { input_begin_ += n; }

  // Where up to room() bytes for the broker may be written; Commit says how many were.
  char* Reserve() { return output_.get() + output_end_; }
  size_t room() const { return output_size_ - output_end_; }
  void Commit(size_t n) { output_end_ += n; }
  void Append(ByteView bytes);
  // Makes the output buffer hold at least n bytes. Nothing may be pending.
  void GrowOutput(size_t n);
  bool pending() const { return output_begin_ != output_end_; }
  // Writes what the socket takes.
  Result<void> Flush();

  // The error that a connection.close or channel.close from the broker means.
  static Error ClosedByBroker(ByteView method_payload);

 private:
  using Clock = std::chrono::steady_clock;

  PerfConnection(int fd, std::string address, std::function<bool()> interrupted);

  Result<void> ShakeHands(const client::BrokerUrl& broker, const std::shared_ptr<SSL_CTX>& tls);
  Result<void> Login(const client::BrokerUrl& broker);
  // Waits for that method; other methods than a close are skipped.
  Result<ByteView> WaitForMethod(amqp::MethodId id, std::string_view name);
  Result<amqp::Frame> WaitForFrame(Clock::time_point deadline, std::string_view what);
  Result<void> WaitForSocket(short events, Clock::time_point deadline, std::string_view what);
  Error OnClose(ByteView method_payload);
  Result<void> FlushAll(Clock::time_point deadline);
  // Some bytes in or out, or 0 if the socket would block.
  Result<size_t> ReadSome(char* to, size_t size);
  Result<size_t> WriteSome(const char* from, size_t size);
  Result<size_t> Checked(const net::TlsStream::Transferred& transferred) const;
  std::unexpected<Error> Gone(int error) const;
  std::unexpected<Error> Ended(net::TlsStream::Status status) const;

  int fd_;
  std::string address_;
  std::unique_ptr<net::TlsStream> tls_;
  net::TlsClientOptions tls_options_;
  bool shaking_hands_ = false;
  std::string product_ = "unknown broker";
  uint32_t frame_max_ = amqp::kMinFrameMax;
  bool open_ = false;
  std::optional<Error> closed_;  // why the broker has closed the channel or the connection
  std::function<bool()> interrupted_;
  std::chrono::seconds patience_{60};

  size_t input_size_;
  std::unique_ptr<char[]> input_;
  size_t input_begin_ = 0;
  size_t input_end_ = 0;
  size_t output_size_ = kOutputSize;
  std::unique_ptr<char[]> output_;
  size_t output_begin_ = 0;
  size_t output_end_ = 0;
};

// Calls on_frame(type, payload) for each whole frame at the start of `input`; it returns false to
// stop after that frame. Returns how many bytes the frames took. Errors: kProtocol.
template <class OnFrame>
Result<size_t> ScanPerfFrames(ByteView input, uint32_t frame_max, OnFrame&& on_frame) {
  const char* const begin = input.data();
  const char* const end = begin + input.size();
  const char* p = begin;
  while (static_cast<size_t>(end - p) >= amqp::kFrameOverhead) {
    const size_t size = LoadBig<uint32_t>(p + 3);
    const size_t total = size + amqp::kFrameOverhead;
    if (total > frame_max) [[unlikely]] {
      return Fail(ErrorCode::kProtocol, "the broker sent a frame of " + std::to_string(total) +
                                            " bytes, above the negotiated " +
                                            std::to_string(frame_max));
    }
    if (static_cast<size_t>(end - p) < total) break;
    if (p[total - 1] != amqp::kFrameEnd) [[unlikely]] {
      return Fail(ErrorCode::kProtocol, "the broker sent a frame that does not end in 0xCE");
    }
    const auto type = static_cast<amqp::FrameType>(*p);
    const ByteView payload(p + amqp::kFrameHeaderSize, size);
    p += total;
    if (!on_frame(type, payload)) break;
  }
  return static_cast<size_t>(p - begin);
}

}  // namespace landfall::apps
