#include "client/io_shell.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstring>
#include <thread>
#include <utility>

#include "base/assert.h"
#include "client/broker_socket.h"

namespace landfall::client {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

constexpr size_t kReadBuffer = 256u << 10;
// A buffer that a large message has blown up beyond this is given back.
constexpr size_t kKeepBuffer = 4u << 20;

}  // namespace

class IoShell::Io {
 public:
  Io(IoDriven& driven, Duration connect_timeout, std::string thread_name)
      : driven_(driven), connect_timeout_(connect_timeout), thread_name_(std::move(thread_name)) {}

  ~Io() { Join(); }

  void Start() {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    thread_ = std::thread([this] { Run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
    pthread_setname_np(thread_.native_handle(), thread_name_.c_str());
  }

  void Wake() {
    if (wake_pending_.exchange(true)) return;
    asio::post(context_, [this] {
      wake_pending_ = false;
      AfterEvent();
    });
  }

  void Join() {
    if (!thread_.joinable()) return;
    // Waiting for oneself would wait forever: a callback must not destroy its Sender or Receiver.
    LANDFALL_ASSERT(!OnOwnThread());
    thread_.join();
  }

  bool OnOwnThread() const { return std::this_thread::get_id() == own_id_.load(); }

  Time Now() const {
    return clock_start_ +
           std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - steady_start_);
  }

 private:
  void Run() {
    own_id_ = std::this_thread::get_id();
    AfterEvent();
    context_.run();
    // The system gives the id to another thread one day, which must not be taken for this one.
    own_id_ = std::thread::id();
  }

  void AfterEvent() {
    driven_.Pump(Now());
    DoCommands();
    StartWrite();
    StartRead();
    ArmTimer();
    if (driven_.link().closed()) {
      CloseSocket();
      timer_.cancel();
      work_.reset();
    }
  }

  void DoCommands() {
    for (;;) {
      if (ClientConnection* c = driven_.link().connection(); c != nullptr && c->done())
        LastWords(*c);
      const Link::Command command = driven_.link().TakeCommand();
      if (command.what == Link::Do::kNothing) return;
      if (command.what == Link::Do::kDisconnect) {
        CloseSocket();
      } else {
        Connect(command.broker);
      }
    }
  }

  // What a connection that is over has left to say (usually connection.close-ok), if it goes
  // without waiting.
  void LastWords(ClientConnection& connection) {
    if (waiting_to_write_ || !socket_.is_open() || connection.output().empty()) return;
    socket_.Write(connection.output());
  }

  void CloseSocket() {
    socket_.Close();
    writing_.clear();
    written_ = 0;
    waiting_to_write_ = false;
    waiting_to_read_ = false;
    paused_ = false;
    input_end_ = 0;
  }

  void Connect(size_t broker) {
    CloseSocket();
    socket_.Open(driven_.link().broker(broker), connect_timeout_, [this](const Result<void>& how) {
      if (!how) return Failed(how.error());
      driven_.link().OnConnected(Now());
      AfterEvent();
    });
  }

  void Failed(const Error& why) {
    CloseSocket();
    driven_.link().OnDisconnected(why, Now());
    AfterEvent();
  }

  void StartWrite() {
    ClientConnection* connection = driven_.link().connection();
    if (waiting_to_write_ || !socket_.is_open() || connection == nullptr) return;
    while (true) {
      if (written_ == writing_.size()) {
        written_ = 0;
        writing_.clear();
        if (writing_.capacity() > kKeepBuffer) writing_ = {};
        if (connection->output().empty()) return;
        std::swap(writing_, connection->output());
        connection->OnOutputTaken(Now());
      }
      const auto [status, bytes] = socket_.Write(ByteView(writing_).substr(written_));
      switch (status) {
        case BrokerSocket::Status::kDone:
          written_ += bytes;
          continue;
        case BrokerSocket::Status::kWantRead:
        case BrokerSocket::Status::kWantWrite:
          waiting_to_write_ = true;
          socket_.Wait(status, [this] {
            waiting_to_write_ = false;
            AfterEvent();
          });
          return;
        case BrokerSocket::Status::kClosed:
        case BrokerSocket::Status::kFailed:
          return Failed(socket_.DescribeEnd(status));
      }
    }
  }

  void StartRead() {
    ClientConnection* connection = driven_.link().connection();
    if (waiting_to_read_ || !socket_.is_open() || connection == nullptr) return;
    const bool wants = driven_.WantsInput();
    if (paused_ == wants) {
      paused_ = !wants;
      connection->OnReadingPaused(paused_, Now());
    }
    if (!paused_) WaitToRead(BrokerSocket::Status::kWantRead);
  }

  void WaitToRead(BrokerSocket::Status what) {
    waiting_to_read_ = true;
    socket_.Wait(what, [this] {
      waiting_to_read_ = false;
      Read();
    });
  }

  void Read() {
    if (input_.size() < input_end_ + kReadBuffer / 4) input_.resize(input_end_ + kReadBuffer);
    const auto [status, bytes] =
        socket_.Read(input_.data() + input_end_, input_.size() - input_end_);
    switch (status) {
      case BrokerSocket::Status::kDone:
        return Received(bytes);
      case BrokerSocket::Status::kWantRead:
      case BrokerSocket::Status::kWantWrite:
        return WaitToRead(status);
      case BrokerSocket::Status::kClosed:
      case BrokerSocket::Status::kFailed:
        return Failed(socket_.DescribeEnd(status));
    }
  }

  void Received(size_t bytes) {
    input_end_ += bytes;
    const size_t used = driven_.link().OnBytes(ByteView(input_.data(), input_end_), Now());
    std::memmove(input_.data(), input_.data() + used, input_end_ - used);
    input_end_ -= used;
    AfterEvent();
  }

  // A timer that goes off too early does no harm, so it is only ever moved forward.
  void ArmTimer() {
    const Time next = driven_.NextDeadline();
    if (next >= armed_for_) return;
    armed_for_ = next;
    const Time now = Now();
    timer_.expires_after(next <= now ? Duration::zero() : next - now);
    timer_.async_wait([this](error_code error) {
      if (error) return;
      armed_for_ = kNever;
      driven_.OnTick(Now());
      AfterEvent();
    });
  }

  IoDriven& driven_;
  const Duration connect_timeout_;
  const std::string thread_name_;
  const std::chrono::steady_clock::time_point steady_start_ = std::chrono::steady_clock::now();
  const Time clock_start_ =
      std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now());

  asio::io_context context_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  BrokerSocket socket_{context_};
  asio::steady_timer timer_{context_};
  bool waiting_to_write_ = false;
  bool waiting_to_read_ = false;
  bool paused_ = false;
  ByteBuffer writing_;  // from written_ on
  size_t written_ = 0;
  ByteBuffer input_;
  size_t input_end_ = 0;
  Time armed_for_ = kNever;

  std::atomic<bool> wake_pending_{false};
  std::atomic<std::thread::id> own_id_{};
  std::thread thread_;
};

IoShell::IoShell(IoDriven& driven, Duration connect_timeout, std::string thread_name)
    : io_(std::make_unique<Io>(driven, connect_timeout, std::move(thread_name))) {}
IoShell::~IoShell() = default;
void IoShell::Start() { io_->Start(); }
void IoShell::Wake() { io_->Wake(); }
void IoShell::Join() { io_->Join(); }
bool IoShell::OnOwnThread() const { return io_->OnOwnThread(); }
Time IoShell::Now() const { return io_->Now(); }

}  // namespace landfall::client
