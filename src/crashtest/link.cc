#include "crashtest/link.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

namespace landfall::crashtest {

namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{20'000};

[[noreturn]] void Refused(const std::string& what, uint16_t code, ByteView text) {
  // What a broker says that ends in order.
  if (code == static_cast<uint16_t>(amqp::ReplyCode::kConnectionForced)) {
    throw LinkLost("the broker shuts down");
  }
  throw LinkRefused(what + ": " + std::to_string(code) + " " + std::string(text), code);
}

}  // namespace

Link::Link(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  try {
    if (connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw LinkLost(std::strerror(errno));
    }
    Login();
  } catch (...) {
    close(socket_);
    throw;
  }
}

Link::~Link() { close(socket_); }

void Link::Login() {
  out_ += amqp::kProtocolHeader;
  const auto start = amqp::Decode<amqp::ConnectionStart>(Await(amqp::ConnectionStart::kId));
  if (!start) throw LinkRefused("a strange connection.start", 0);
  if (const auto product = start->server_properties.FindString("product")) {
    product_ = std::string(*product) + " " +
               std::string(start->server_properties.FindString("version").value_or(""));
  }
  amqp::AppendMethodFrame(
      out_, 0,
      amqp::ConnectionStartOk{.mechanism = "PLAIN",
                              .response = std::string_view("\0guest\0guest", 12),
                              .locale = "en_US"});
  const auto tune = amqp::Decode<amqp::ConnectionTune>(Await(amqp::ConnectionTune::kId));
  if (!tune) throw LinkRefused("a strange connection.tune", 0);
  if (tune->frame_max != 0) frame_max_ = std::min(frame_max_, tune->frame_max);
  amqp::AppendMethodFrame(
      out_, 0, amqp::ConnectionTuneOk{.channel_max = 1, .frame_max = frame_max_, .heartbeat = 0});
  amqp::AppendMethodFrame(out_, 0, amqp::ConnectionOpen{.virtual_host = "/"});
  Await(amqp::ConnectionOpenOk::kId);
  Call<amqp::ChannelOpenOk>(amqp::ChannelOpen{});
}

void Link::Work(milliseconds patience) {
  in_.erase(0, used_);
  used_ = 0;
  pollfd poll_socket{.fd = socket_, .events = POLLIN, .revents = 0};
  if (unsent() > 0) poll_socket.events |= POLLOUT;
  if (poll(&poll_socket, 1, static_cast<int>(patience.count())) < 0 && errno != EINTR) {
    throw LinkLost(std::strerror(errno));
  }
  if (poll_socket.revents & POLLOUT) {
    const ssize_t written =
        send(socket_, out_.data() + sent_, unsent(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (written > 0) sent_ += static_cast<size_t>(written);
    // A failure shows in recv as well, which first gives what had come before it.
    if (written < 0 && errno != EAGAIN) poll_socket.revents |= POLLHUP;
    if (unsent() == 0) {
      out_.clear();
      sent_ = 0;
    }
  }
  if (poll_socket.revents & (POLLIN | POLLHUP | POLLERR)) {
    char buffer[1 << 16];
    const ssize_t got = recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
    if (got == 0) throw LinkLost("end of file");
    if (got < 0 && errno != EAGAIN) throw LinkLost(std::strerror(errno));
    if (got > 0) in_.append(buffer, static_cast<size_t>(got));
  }
}

std::optional<amqp::Frame> Link::Next() {
  const amqp::FrameResult result = amqp::ParseFrame(ByteView(in_).substr(used_), frame_max_);
  if (result.status == amqp::FrameResult::Status::kError) {
    Refused("a broken frame from the broker", static_cast<uint16_t>(result.reply), result.text);
  }
  if (result.status == amqp::FrameResult::Status::kNeedMore) return std::nullopt;
  used_ += result.consumed;
  if (result.frame.type == amqp::FrameType::kMethod) {
    const ByteView payload = result.frame.payload;
    if (const auto close = amqp::Decode<amqp::ConnectionClose>(payload)) {
      Refused("the broker closed the connection", close->reply_code, close->reply_text);
    }
    if (const auto close = amqp::Decode<amqp::ChannelClose>(payload)) {
      Refused("the broker closed the channel", close->reply_code, close->reply_text);
    }
  }
  return result.frame;
}

ByteView Link::Await(amqp::MethodId method) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    while (const auto frame = Next()) {
      if (frame->type == amqp::FrameType::kMethod && amqp::PeekMethodId(frame->payload) == method) {
        return frame->payload;
      }
    }
    Work(milliseconds(100));
  }
  throw LinkLost("no answer");
}

void Link::Close() {
  amqp::AppendMethodFrame(out_, 0, amqp::ConnectionClose{.reply_code = 200, .reply_text = "bye"});
  Await(amqp::ConnectionCloseOk::kId);
}

}  // namespace landfall::crashtest
