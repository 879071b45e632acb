#include "apps/perf_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "amqp/table.h"
#include "base/assert.h"
#include "client/broker_tls.h"

namespace landfall::apps {
namespace {

constexpr auto kConnectTimeout = std::chrono::seconds(10);
constexpr auto kCloseTimeout = std::chrono::seconds(5);
// How long poll goes without a look at whether a person has lost patience.
constexpr auto kLook = std::chrono::milliseconds(100);
constexpr uint32_t kFrameMax = 131072;
// One whole frame must fit, with much of the next ones behind it.
constexpr size_t kInputSize = size_t{2} * kFrameMax;

std::string SystemError(int error) { return std::strerror(error); }

struct AddressList {
  addrinfo* first = nullptr;
  ~AddressList() {
    if (first != nullptr) freeaddrinfo(first);
  }
};

// A non-blocking socket whose connect has at least begun, or -1 with errno.
int BeginConnect(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, address.ai_addr, address.ai_addrlen) == 0 || errno == EINPROGRESS) return fd;
  const int error = errno;
  close(fd);
  errno = error;
  return -1;
}

// 0 once the socket is ready, otherwise ETIMEDOUT or EINTR.
int PollUntil(int fd, short events, std::chrono::steady_clock::time_point deadline,
              const std::function<bool()>& interrupted) {
  while (true) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) return ETIMEDOUT;
    if (interrupted && interrupted()) return EINTR;
    pollfd p{.fd = fd, .events = events, .revents = 0};
    if (poll(&p, 1, static_cast<int>(std::min(left, kLook).count())) > 0) return 0;
  }
}

// 0, or why the connect that was begun failed.
int FinishConnect(int fd, const std::function<bool()>& interrupted) {
  const auto deadline = std::chrono::steady_clock::now() + kConnectTimeout;
  if (const int failed = PollUntil(fd, POLLOUT, deadline, interrupted); failed != 0) return failed;
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

Result<int> Connect(const client::BrokerUrl& broker, const std::function<bool()>& interrupted) {
  const std::string what = "cannot connect to " + broker.Address() + ": ";
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  AddressList list;
  const int failed =
      getaddrinfo(broker.host.c_str(), std::to_string(broker.port).c_str(), &hints, &list.first);
  if (failed != 0) return Fail(ErrorCode::kUnavailable, what + gai_strerror(failed));
  int error = 0;
  for (const addrinfo* a = list.first; a != nullptr; a = a->ai_next) {
    const int fd = BeginConnect(*a);
    if (fd < 0) {
      error = errno;
      continue;
    }
    error = FinishConnect(fd, interrupted);
    if (error == 0) return fd;
    close(fd);
    if (error == EINTR) return Fail(ErrorCode::kUnavailable, what + "interrupted");
  }
  return Fail(ErrorCode::kUnavailable, what + SystemError(error) + "; does a broker listen there?");
}

ByteBuffer ClientProperties() {
  amqp::Table capabilities;
  // Without it RabbitMQ closes the socket of a refused login without a word.
  for (const char* name : {"publisher_confirms", "basic.nack", "consumer_cancel_notify",
                           "authentication_failure_close"}) {
    capabilities.Append(name, amqp::Value(true));
  }
  return amqp::Table{{"product", "landfall perf"}, {"capabilities", capabilities}}.Encode();
}

}  // namespace

PerfConnection::PerfConnection(int fd, std::string address, std::function<bool()> interrupted)
    : fd_(fd),
      address_(std::move(address)),
      interrupted_(std::move(interrupted)),
      input_size_(kInputSize),
      input_(std::make_unique_for_overwrite<char[]>(input_size_)),
      output_(std::make_unique_for_overwrite<char[]>(output_size_)) {}

PerfConnection::~PerfConnection() {
  if (tls_) tls_->Shutdown();
  tls_.reset();
  close(fd_);
}

Result<std::unique_ptr<PerfConnection>> PerfConnection::Open(const client::BrokerUrl& broker,
                                                             std::shared_ptr<SSL_CTX> tls,
                                                             std::function<bool()> interrupted) {
  if (!tls) {
    auto made = client::MakeTlsContext(broker);
    if (!made) return std::unexpected(made.error());
    tls = *std::move(made);
  }
  auto fd = Connect(broker, interrupted);
  if (!fd) return std::unexpected(fd.error());
  std::unique_ptr<PerfConnection> connection(
      new PerfConnection(*fd, broker.Address(), std::move(interrupted)));
  if (tls) {
    if (auto ok = connection->ShakeHands(broker, tls); !ok) return std::unexpected(ok.error());
  }
  if (auto ok = connection->Login(broker); !ok) return std::unexpected(ok.error());
  if (auto ok = connection->Call<amqp::ChannelOpenOk>(amqp::ChannelOpen{}); !ok) {
    return std::unexpected(ok.error());
  }
  return connection;
}

Result<void> PerfConnection::ShakeHands(const client::BrokerUrl& broker,
                                        const std::shared_ptr<SSL_CTX>& tls) {
  std::signal(SIGPIPE, SIG_IGN);
  tls_options_ = client::ClientOptionsOf(broker);
  tls_ = std::make_unique<net::TlsStream>(tls, fd_, tls_options_.server_name);
  const auto deadline = Clock::now() + kConnectTimeout;
  shaking_hands_ = true;
  while (true) {
    const net::TlsStream::Status status = tls_->Handshake();
    if (status == net::TlsStream::Status::kDone) break;
    const bool reads = status == net::TlsStream::Status::kWantRead;
    if (!reads && status != net::TlsStream::Status::kWantWrite) return Ended(status);
    auto ok = WaitForSocket(reads ? POLLIN : POLLOUT, deadline, "the TLS handshake");
    if (!ok) return ok;
  }
  shaking_hands_ = false;
  return {};
}

Result<void> PerfConnection::Login(const client::BrokerUrl& broker) {
  Append(amqp::kProtocolHeader);
  auto start = Wait<amqp::ConnectionStart>();
  if (!start) return std::unexpected(start.error());
  const amqp::TableView& server = start->server_properties;
  if (const auto product = server.FindString("product")) {
    product_ = std::string(*product) + " " + std::string(server.FindString("version").value_or(""));
  }

  const ByteBuffer properties = ClientProperties();
  const bool external = broker.mechanism == client::SaslMechanism::kExternal;
  std::string login;
  if (!external) {
    login += '\0';
    login += broker.user;
    login += '\0';
    login += broker.password;
  }
  ByteBuffer out;
  amqp::AppendMethodFrame(out, 0,
                          amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                                  .mechanism = external ? "EXTERNAL" : "PLAIN",
                                                  .response = login,
                                                  .locale = "en_US"});
  Append(out);
  auto tune = Wait<amqp::ConnectionTune>();
  if (!tune) {
    if (tune.error().code == ErrorCode::kUnavailable) {
      return Fail(ErrorCode::kAccessRefused, address_ + " closed the connection at the login of '" +
                                                 broker.user + "'; are user and password right?");
    }
    return std::unexpected(tune.error());
  }
  frame_max_ = tune->frame_max == 0 ? kFrameMax : std::min(tune->frame_max, kFrameMax);
  out.clear();
  amqp::AppendMethodFrame(
      out, 0,
      amqp::ConnectionTuneOk{
          .channel_max = tune->channel_max, .frame_max = frame_max_, .heartbeat = 0});
  amqp::AppendMethodFrame(out, 0, amqp::ConnectionOpen{.virtual_host = broker.vhost});
  Append(out);
  if (auto ok = Wait<amqp::ConnectionOpenOk>(); !ok) return std::unexpected(ok.error());
  open_ = true;
  return {};
}

Result<void> PerfConnection::ReopenChannel() {
  LANDFALL_ASSERT(closed_);
  if (!open_) return std::unexpected(*closed_);
  closed_.reset();
  if (auto ok = Call<amqp::ChannelOpenOk>(amqp::ChannelOpen{}); !ok) {
    return std::unexpected(ok.error());
  }
  return {};
}

void PerfConnection::Close() {
  if (!open_) return;
  open_ = false;
  ByteBuffer out;
  amqp::AppendMethodFrame(out, 0,
                          amqp::ConnectionClose{.reply_code = 200, .reply_text = "finished"});
  Append(out);
  const auto deadline = Clock::now() + kCloseTimeout;
  if (!FlushAll(deadline)) return;
  while (true) {
    const auto frame = WaitForFrame(deadline, "connection.close-ok");
    if (!frame || (frame->type == amqp::FrameType::kMethod &&
                   amqp::PeekMethodId(frame->payload) == amqp::ConnectionCloseOk::kId)) {
      return;
    }
  }
}

Result<size_t> PerfConnection::Receive() {
  // Moving the rest of a frame to the front is cheap, as it happens once for a whole buffer.
  if (input_begin_ == input_end_) {
    input_begin_ = input_end_ = 0;
  } else if (input_size_ - input_end_ < input_size_ / 2) {
    std::memmove(input_.get(), input_.get() + input_begin_, input_end_ - input_begin_);
    input_end_ -= input_begin_;
    input_begin_ = 0;
  }
  const auto n = ReadSome(input_.get() + input_end_, input_size_ - input_end_);
  if (n) input_end_ += *n;
  return n;
}

Result<size_t> PerfConnection::ReadSome(char* to, size_t size) {
  if (tls_) return Checked(tls_->Read(to, size));
  const ssize_t n = recv(fd_, to, size, 0);
  if (n > 0) return static_cast<size_t>(n);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return 0;
  return Gone(n == 0 ? 0 : errno);
}

Result<size_t> PerfConnection::WriteSome(const char* from, size_t size) {
  if (tls_) return Checked(tls_->Write(from, size));
  while (true) {
    const ssize_t n = send(fd_, from, size, MSG_NOSIGNAL);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EAGAIN) return 0;
    if (errno != EINTR) return Gone(errno);
  }
}

Result<size_t> PerfConnection::Checked(const net::TlsStream::Transferred& transferred) const {
  switch (transferred.status) {
    case net::TlsStream::Status::kDone:
      return transferred.bytes;
    case net::TlsStream::Status::kWantRead:
    case net::TlsStream::Status::kWantWrite:
      return 0;
    case net::TlsStream::Status::kClosed:
    case net::TlsStream::Status::kFailed:
      break;
  }
  return Ended(transferred.status);
}

void PerfConnection::Append(ByteView bytes) {
  if (room() < bytes.size()) {
    // Only requests come here; messages stay within their room.
    const size_t pending_size = output_end_ - output_begin_;
    const size_t size = std::max(output_size_, 2 * (pending_size + bytes.size()));
    auto wider = std::make_unique_for_overwrite<char[]>(size);
    std::memcpy(wider.get(), output_.get() + output_begin_, pending_size);
    output_ = std::move(wider);
    output_size_ = size;
    output_begin_ = 0;
    output_end_ = pending_size;
  }
  std::memcpy(Reserve(), bytes.data(), bytes.size());
  Commit(bytes.size());
}

void PerfConnection::GrowOutput(size_t n) {
  LANDFALL_ASSERT(!pending());
  if (n <= output_size_) return;
  output_ = std::make_unique_for_overwrite<char[]>(n);
  output_size_ = n;
}

Result<void> PerfConnection::Flush() {
  while (pending()) {
    const auto n = WriteSome(output_.get() + output_begin_, output_end_ - output_begin_);
    if (!n) return std::unexpected(n.error());
    if (*n == 0) return {};
    output_begin_ += *n;
  }
  output_begin_ = output_end_ = 0;
  return {};
}

Error PerfConnection::ClosedByBroker(ByteView payload) {
  const auto text = [](std::string_view what, const auto& method) {
    return "the broker closed the " + std::string(what) + ": " +
           std::to_string(method->reply_code) + " " + std::string(method->reply_text);
  };
  constexpr uint16_t kAccessRefused = 403;
  if (const auto close = amqp::Decode<amqp::ConnectionClose>(payload)) {
    return {close->reply_code == kAccessRefused ? ErrorCode::kAccessRefused : ErrorCode::kProtocol,
            text("connection", close)};
  }
  if (const auto close = amqp::Decode<amqp::ChannelClose>(payload)) {
    return {close->reply_code == kAccessRefused ? ErrorCode::kAccessRefused : ErrorCode::kProtocol,
            text("channel", close)};
  }
  return {ErrorCode::kProtocol, "the broker sent a close that cannot be read"};
}

Result<ByteView> PerfConnection::WaitForMethod(amqp::MethodId id, std::string_view name) {
  if (closed_) return std::unexpected(*closed_);
  const auto deadline = Clock::now() + patience_;
  if (auto ok = FlushAll(deadline); !ok) return std::unexpected(ok.error());
  while (true) {
    auto frame = WaitForFrame(deadline, name);
    if (!frame) return std::unexpected(frame.error());
    if (frame->type != amqp::FrameType::kMethod) continue;
    const amqp::MethodId got = amqp::PeekMethodId(frame->payload);
    if (got == id) return frame->payload;
    if (got == amqp::ConnectionClose::kId || got == amqp::ChannelClose::kId) {
      return std::unexpected(OnClose(frame->payload));
    }
  }
}

Error PerfConnection::OnClose(ByteView payload) {
  closed_ = ClosedByBroker(payload);
  // Until it has this, the broker disregards whatever else comes.
  if (amqp::PeekMethodId(payload) == amqp::ChannelClose::kId) {
    Send(amqp::ChannelCloseOk{});
  } else {
    open_ = false;
    ByteBuffer bytes;
    amqp::AppendMethodFrame(bytes, 0, amqp::ConnectionCloseOk{});
    Append(bytes);
    (void)Flush();  // the broker goes away either way
  }
  return *closed_;
}

Result<amqp::Frame> PerfConnection::WaitForFrame(Clock::time_point deadline,
                                                 std::string_view what) {
  while (true) {
    const amqp::FrameResult r = amqp::ParseFrame(input(), std::max(frame_max_, kFrameMax));
    if (r.status == amqp::FrameResult::Status::kFrame) {
      Consume(r.consumed);
      return r.frame;
    }
    if (r.status == amqp::FrameResult::Status::kError) {
      return Fail(ErrorCode::kProtocol,
                  address_ + " does not speak AMQP 0-9-1 as it should: " + r.text);
    }
    if (auto ok = WaitForSocket(POLLIN, deadline, what); !ok) return std::unexpected(ok.error());
    if (auto n = Receive(); !n) return std::unexpected(n.error());
  }
}

Result<void> PerfConnection::WaitForSocket(short events, Clock::time_point deadline,
                                           std::string_view what) {
  if ((events & POLLIN) != 0 && has_pending_input()) return {};
  switch (PollUntil(fd_, events, deadline, interrupted_)) {
    case 0:
      return {};
    case EINTR:
      return Fail(ErrorCode::kUnavailable,
                  "interrupted while " + address_ + " was waited for, for " + std::string(what));
    default:
      return Fail(ErrorCode::kTimeout,
                  address_ + " did not answer while we waited for " + std::string(what));
  }
}

Result<void> PerfConnection::FlushAll(Clock::time_point deadline) {
  while (true) {
    if (auto ok = Flush(); !ok) return ok;
    if (!pending()) return {};
    // While we cannot write, the broker may be waiting for us to read.
    if (auto ok = WaitForSocket(POLLOUT | POLLIN, deadline, "room to write"); !ok) return ok;
    if (input_end_ - input_begin_ < input_size_ / 2) {
      if (auto n = Receive(); !n) return std::unexpected(n.error());
    } else if (auto ok = WaitForSocket(POLLOUT, deadline, "room to write"); !ok) {
      return ok;
    }
  }
}

std::unexpected<Error> PerfConnection::Gone(int error) const {
  return Fail(ErrorCode::kUnavailable,
              address_ + " closed the connection" + (error == 0 ? "" : ": " + SystemError(error)));
}

std::unexpected<Error> PerfConnection::Ended(net::TlsStream::Status status) const {
  Error why = net::DescribeTlsEnd(*tls_, status, shaking_hands_, tls_options_);
  why.message = address_ + ": " + why.message;
  return std::unexpected(std::move(why));
}

}  // namespace landfall::apps
