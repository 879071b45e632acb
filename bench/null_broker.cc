// The least that a broker can do: takes the bytes of AMQP 0-9-1 from a publisher, writes them to a
// file as they are, syncs it, and confirms. It keeps no queue and delivers nothing; what a broker's
// numbers are short of its numbers is what being a broker costs.
//
//   null_broker DIRECTORY        listens on a free port of 127.0.0.1 and prints which
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/table.h"
#include "base/wire.h"

namespace landfall::bench {
namespace {

constexpr uint32_t kFrameMax = 131072;
// What one read may take; several frames of the largest size.
constexpr size_t kBufferSize = 1 << 20;
// Written over and over, so that a sync has no metadata to write: a journal's segment, as it were.
constexpr size_t kFileSize = 64 << 20;

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "null_broker: %s: %s\n", what.c_str(), std::strerror(errno));
  std::exit(1);
}

class File {
 public:
  explicit File(std::string path) {
    path += "/null_broker-XXXXXX";
    fd_ = mkstemp(path.data());
    if (fd_ < 0) Die("cannot create a file like " + path);
    unlink(path.c_str());
    const std::vector<char> zeros(kFileSize, '\0');
    Write({zeros.data(), zeros.size()});
    if (fsync(fd_) != 0) Die("fsync");
  }

  void Write(ByteView bytes) {
    if (offset_ + bytes.size() > kFileSize) offset_ = 0;
    if (pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset_)) !=
        static_cast<ssize_t>(bytes.size())) {
      Die("write");
    }
    offset_ += bytes.size();
  }

  void Sync() {
    if (fdatasync(fd_) != 0) Die("fdatasync");
  }

 private:
  int fd_ = -1;
  size_t offset_ = 0;
};

class Peer {
 public:
  explicit Peer(int fd) : fd_(fd) {}
  ~Peer() { close(fd_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  int fd() const { return fd_; }

  // One read and all that follows from it. False if the peer has gone.
  bool Serve(File& file) {
    const ssize_t n = recv(fd_, buffer_.data() + kept_, buffer_.size() - kept_, 0);
    if (n <= 0) return n < 0 && errno == EINTR;
    const uint64_t before = published_;
    ByteView rest(buffer_.data(), kept_ + static_cast<size_t>(n));
    if (!greeted_ && !Greet(rest)) {
      kept_ = rest.size();
      return kept_ < amqp::kProtocolHeader.size();
    }
    while (TakeFrame(rest)) {
    }
    if (confirms_ && (published_ != before || publishing_)) {
      file.Write({buffer_.data() + kept_, static_cast<size_t>(n)});
    }
    kept_ = rest.size();
    std::memmove(buffer_.data(), rest.data(), rest.size());
    if (confirms_ && published_ != before) {
      file.Sync();
      amqp::AppendMethodFrame(out_, 1,
                              amqp::BasicAck{.delivery_tag = published_, .multiple = true});
    }
    // Answers are small, and the client reads them: the socket's buffer has room.
    const ssize_t sent = send(fd_, out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent != static_cast<ssize_t>(out_.size())) return false;
    out_.clear();
    return true;
  }

 private:
  bool Greet(ByteView& rest) {
    if (amqp::ParseProtocolHeader(rest) != amqp::HeaderStatus::kOk) return false;
    rest.remove_prefix(amqp::kProtocolHeader.size());
    greeted_ = true;
    const ByteBuffer properties = amqp::Table{{"product", "null_broker"}}.Encode();
    amqp::AppendMethodFrame(out_, 0,
                            amqp::ConnectionStart{.version_minor = 9,
                                                  .server_properties = amqp::TableView(properties),
                                                  .mechanisms = "PLAIN",
                                                  .locales = "en_US"});
    return true;
  }

  // False if it is not all there.
  bool TakeFrame(ByteView& rest) {
    const amqp::FrameResult r = amqp::ParseFrame(rest, kFrameMax);
    if (r.status == amqp::FrameResult::Status::kError) std::exit(1);
    if (r.status != amqp::FrameResult::Status::kFrame) return false;
    rest.remove_prefix(r.consumed);
    switch (r.frame.type) {
      case amqp::FrameType::kMethod:
        OnMethod(r.frame.channel, r.frame.payload);
        break;
      case amqp::FrameType::kHeader:
        // Class and weight, two bytes each, come before the body's size.
        OnBody(LoadBig<uint64_t>(r.frame.payload.data() + 4), 0);
        break;
      case amqp::FrameType::kBody:
        OnBody(body_left_, r.frame.payload.size());
        break;
      default:
        break;
    }
    return true;
  }

  void OnBody(uint64_t left, size_t size) {
    body_left_ = left - std::min<uint64_t>(left, size);
    if (body_left_ != 0) return;
    ++published_;
    publishing_ = false;
  }

  void OnMethod(uint16_t channel, ByteView payload) {
    const auto answer = [&](const auto& method) { amqp::AppendMethodFrame(out_, channel, method); };
    switch (amqp::PeekMethodId(payload)) {
      case amqp::BasicPublish::kId:
        publishing_ = true;
        return;
      case amqp::ConnectionStartOk::kId:
        return answer(amqp::ConnectionTune{.frame_max = kFrameMax});
      case amqp::ConnectionOpen::kId:
        return answer(amqp::ConnectionOpenOk{});
      case amqp::ConnectionClose::kId:
        return answer(amqp::ConnectionCloseOk{});
      case amqp::ChannelOpen::kId:
        return answer(amqp::ChannelOpenOk{});
      case amqp::ChannelClose::kId:
        return answer(amqp::ChannelCloseOk{});
      case amqp::QueueDeclare::kId:
        return answer(amqp::QueueDeclareOk{});
      case amqp::QueueDelete::kId:
        return answer(amqp::QueueDeleteOk{});
      case amqp::ConfirmSelect::kId:
        confirms_ = true;
        return answer(amqp::ConfirmSelectOk{});
      default:
        return;
    }
  }

  const int fd_;
  std::vector<char> buffer_ = std::vector<char>(kBufferSize);
  size_t kept_ = 0;  // bytes at its front of a frame that is not whole
  ByteBuffer out_;
  bool greeted_ = false;
  bool confirms_ = false;
  bool publishing_ = false;  // a basic.publish has come, its message has not all
  uint64_t body_left_ = 0;
  uint64_t published_ = 0;
};

int Listen() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  socklen_t size = sizeof address;
  if (fd < 0 || bind(fd, any, size) != 0 || listen(fd, SOMAXCONN) != 0 ||
      getsockname(fd, any, &size) != 0) {
    Die("cannot listen");
  }
  std::printf("listening amqp 127.0.0.1:%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  return fd;
}

void Accept(int listener, std::vector<std::unique_ptr<Peer>>& peers) {
  const int fd = accept(listener, nullptr, nullptr);
  if (fd < 0) Die("accept");
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peers.push_back(std::make_unique<Peer>(fd));
}

[[noreturn]] void Run(const std::string& directory) {
  File file(directory);
  const int listener = Listen();
  std::vector<std::unique_ptr<Peer>> peers;
  std::vector<pollfd> polled;
  while (true) {
    polled.assign(1, {.fd = listener, .events = POLLIN, .revents = 0});
    for (const auto& peer : peers) {
      polled.push_back({.fd = peer->fd(), .events = POLLIN, .revents = 0});
    }
    poll(polled.data(), polled.size(), -1);
    for (size_t i = 1; i < polled.size(); ++i) {
      if (polled[i].revents != 0 && !peers[i - 1]->Serve(file)) peers[i - 1].reset();
    }
    std::erase(peers, nullptr);
    if (polled[0].revents != 0) Accept(listener, peers);
  }
}

}  // namespace
}  // namespace landfall::bench

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: null_broker DIRECTORY\n");
    return 2;
  }
  landfall::bench::Run(argv[1]);
}
