#include "client/io_shell.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>
#include <thread>
#include <utility>

#include "base/assert.h"

namespace landfall::client {

namespace asio = boost::asio;
using asio::ip::tcp;
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
    if (writing_now_ || !socket_.is_open() || connection.output().empty()) return;
    error_code ignored;
    socket_.non_blocking(true, ignored);
    socket_.write_some(asio::buffer(connection.output()), ignored);
  }

  void CloseSocket() {
    // Completions of what is cancelled here carry the old number.
    ++socket_number_;
    error_code ignored;
    socket_.close(ignored);
    resolver_.cancel();
    connect_timer_.cancel();
    writing_now_ = false;
    reading_now_ = false;
    paused_ = false;
    connected_ = false;
    input_end_ = 0;
  }

  void Connect(size_t broker) {
    CloseSocket();
    const uint64_t number = socket_number_;
    const BrokerUrl& url = driven_.link().broker(broker);
    connect_timer_.expires_after(connect_timeout_);
    connect_timer_.async_wait([this, number](error_code error) {
      if (error || number != socket_number_) return;
      Failed({ErrorCode::kTimeout, "cannot connect: no answer in time"});
    });
    error_code is_a_name;
    const asio::ip::address address = asio::ip::make_address(url.host, is_a_name);
    if (!is_a_name) {
      socket_.async_connect({address, url.port}, [this, number](error_code failed) {
        if (number == socket_number_) ConnectEnded(failed);
      });
      return;
    }
    // The C library's look-up takes as long as it takes. One that is given up keeps the context's
    // one resolver thread until the C library gives up too (by default after 10 s or so), and until
    // then other names wait behind it and the end of this object waits for it. Only addresses in
    // numbers get past: whoever needs to reach a second broker while the name server is silent
    // gives those.
    resolver_.async_resolve(
        url.host, std::to_string(url.port),
        [this, number](error_code error, const tcp::resolver::results_type& found) {
          if (number != socket_number_) return;
          if (error) {
            return Failed({ErrorCode::kUnavailable, "cannot find the host: " + error.message()});
          }
          asio::async_connect(socket_, found,
                              [this, number](error_code failed, const tcp::endpoint&) {
                                if (number == socket_number_) ConnectEnded(failed);
                              });
        });
  }

  void ConnectEnded(error_code failed) {
    if (failed) return Failed({ErrorCode::kUnavailable, "cannot connect: " + failed.message()});
    Connected();
  }

  void Connected() {
    connect_timer_.cancel();
    error_code ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    connected_ = true;
    driven_.link().OnConnected(Now());
    AfterEvent();
  }

  void Failed(const Error& why) {
    CloseSocket();
    driven_.link().OnDisconnected(why, Now());
    AfterEvent();
  }

  void StartWrite() {
    ClientConnection* connection = driven_.link().connection();
    if (writing_now_ || !connected_ || connection == nullptr || connection->output().empty())
      return;
    writing_.clear();
    if (writing_.capacity() > kKeepBuffer) writing_ = {};
    std::swap(writing_, connection->output());
    connection->OnOutputTaken(Now());
    writing_now_ = true;
    const uint64_t number = socket_number_;
    asio::async_write(socket_, asio::buffer(writing_), [this, number](error_code error, size_t) {
      if (number != socket_number_) return;
      writing_now_ = false;
      if (error) return Failed({ErrorCode::kUnavailable, "cannot send: " + error.message()});
      AfterEvent();
    });
  }

  void StartRead() {
    ClientConnection* connection = driven_.link().connection();
    if (reading_now_ || !connected_ || connection == nullptr) return;
    const bool wants = driven_.WantsInput();
    if (paused_ == wants) {
      paused_ = !wants;
      connection->OnReadingPaused(paused_, Now());
    }
    if (paused_) return;
    if (input_.size() < input_end_ + kReadBuffer / 4) input_.resize(input_end_ + kReadBuffer);
    reading_now_ = true;
    const uint64_t number = socket_number_;
    socket_.async_read_some(
        asio::buffer(input_.data() + input_end_, input_.size() - input_end_),
        [this, number](error_code error, size_t bytes) {
          if (number != socket_number_) return;
          reading_now_ = false;
          if (error == asio::error::eof) {
            return Failed({ErrorCode::kUnavailable, "the broker closed the connection"});
          }
          if (error) return Failed({ErrorCode::kUnavailable, "cannot receive: " + error.message()});
          Received(bytes);
        });
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
  tcp::resolver resolver_{context_};
  tcp::socket socket_{context_};
  asio::steady_timer timer_{context_};
  asio::steady_timer connect_timer_{context_};
  uint64_t socket_number_ = 0;
  bool connected_ = false;
  bool writing_now_ = false;
  bool reading_now_ = false;
  bool paused_ = false;
  ByteBuffer writing_;
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
