// `landfall perf` for brokers that do not speak AMQP: the same options, as far as they apply, the
// same loads, the same JSON. One thread, one connection for the producer and one for the consumer.
//
//   thin_client --broker redis://127.0.0.1:6379 --producers 1 --consumers 1 --size 16 --window 3000
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "apps/perf_message.h"
#include "apps/perf_options.h"
#include "apps/perf_report.h"
#include "apps/perf_tally.h"
#include "base/wire.h"
#include "thin_protocol.h"

namespace landfall::bench {
namespace {

using apps::PerfNow;

constexpr size_t kReadSize = 256 << 10;
// More is not appended before the socket has taken some.
constexpr size_t kMaxUnsent = 256 << 10;
// Requests about queues that are under way at once.
constexpr size_t kQueueBatch = 200;
constexpr int kPollMilliseconds = 10;
constexpr int kFinishSeconds = 5;

std::unexpected<Error> SystemError(const std::string& what) {
  return Fail(ErrorCode::kIo, what + ": " + std::strerror(errno));
}

// A socket with what is still to be sent and what has not been taken yet.
class Connection {
 public:
  Connection(const ThinSettings& settings, std::string_view scheme)
      : protocol_(MakeThinProtocol(scheme, settings)) {}
  ~Connection() {
    if (fd_ >= 0) close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  Result<void> Open(uint16_t port) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port);
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    const int on = 1;
    if (fd_ < 0 || connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
        setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        fcntl(fd_, F_SETFL, O_NONBLOCK) != 0) {
      return SystemError("cannot connect to port " + std::to_string(port));
    }
    protocol_->Greet(out_);
    return {};
  }

  ThinProtocol& protocol() { return *protocol_; }
  ByteBuffer& out() { return out_; }
  size_t unsent() const { return out_.size() - sent_; }

  pollfd Interest() const {
    const int events = POLLIN | (unsent() == 0 ? 0 : POLLOUT);
    return {.fd = fd_, .events = static_cast<short>(events), .revents = 0};
  }

  // Sends what the socket takes now.
  Result<void> Send() {
    if (unsent() == 0) return {};
    const ssize_t n = send(fd_, out_.data() + sent_, unsent(), MSG_NOSIGNAL);
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return {};
      return SystemError("cannot send");
    }
    sent_ += static_cast<size_t>(n);
    if (unsent() == 0 || sent_ > kMaxUnsent) {
      out_.erase(0, sent_);
      sent_ = 0;
    }
    return {};
  }

  // Closes once the broker has read everything: what is unread when a socket closes with answers
  // that nobody took is lost, and acknowledgements would be.
  void Finish() {
    if (fd_ < 0) return;
    fcntl(fd_, F_SETFL, 0);
    const timeval patience{.tv_sec = kFinishSeconds, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (!Send()) return;
    shutdown(fd_, SHUT_WR);
    in_.resize(kReadSize);
    while (recv(fd_, in_.data(), in_.size(), 0) > 0) {
    }
  }

  // Reads what is there, and has `take` take what is whole; its sum.
  template <class Take>
  Result<size_t> Receive(const Take& take) {
    const size_t before = in_.size();
    in_.resize(before + kReadSize);
    const ssize_t n = recv(fd_, in_.data() + before, kReadSize, 0);
    in_.resize(before + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return Fail(ErrorCode::kIo, "the broker has closed the connection");
    if (n < 0) {
      if (errno == EAGAIN || errno == EINTR) return 0;
      return SystemError("cannot receive");
    }
    ByteView rest = in_;
    Result<size_t> taken = take(rest, out_);
    in_.erase(0, in_.size() - rest.size());
    return taken;
  }

 private:
  std::unique_ptr<ThinProtocol> protocol_;
  int fd_ = -1;
  ByteBuffer out_;
  size_t sent_ = 0;  // of out_
  ByteBuffer in_;
};

// One run; what PerfRun is for AMQP.
class ThinRun {
 public:
  ThinRun(const apps::PerfOptions& options, std::string scheme, uint16_t port)
      : options_(options),
        scheme_(std::move(scheme)),
        port_(port),
        settings_{.queues = options.QueueNames(),
                  .transient = options.transient,
                  .confirms = options.window != 0,
                  .prefetch = options.prefetch},
        control_(settings_, scheme_),
        producer_(settings_, scheme_),
        consumer_(settings_, scheme_),
        body_(options.size, 'x') {}

  apps::PerfResult Run() {
    const auto note = [this](const Result<void>& ok) {
      if (!ok) result_.errors.push_back(ok.error().message);
      return ok.has_value();
    };
    if (note(SetUp())) {
      rusage before{};
      getrusage(RUSAGE_SELF, &before);
      note(Go());
      CountCpu(before);
      Conclude();
      producer_.Finish();
      consumer_.Finish();
    }
    if (options_.declare && !options_.keep) note(ForEachQueue(&ThinProtocol::Delete));
    return std::move(result_);
  }

 private:
  Result<void> SetUp() {
    result_.product = control_.protocol().product();
    if (const auto reason = control_.protocol().Refusal(settings_); !reason.empty()) {
      return Fail(ErrorCode::kInvalidArgument,
                  result_.product + " cannot do this: " + std::string(reason));
    }
    if (auto ok = control_.Open(port_); !ok) return ok;
    if (options_.declare) {
      if (auto ok = ForEachQueue(&ThinProtocol::Declare); !ok) return ok;
    }
    if (auto ok = producer_.Open(port_); !ok) return ok;
    return consumer_.Open(port_);
  }

  Result<void> ForEachQueue(void (ThinProtocol::*request)(ByteBuffer&, const std::string&)) {
    const size_t count = settings_.queues.size();
    size_t asked = 0;
    for (size_t answered = 0; answered < count;) {
      for (; asked < count && asked - answered < kQueueBatch; ++asked) {
        (control_.protocol().*request)(control_.out(), settings_.queues[asked]);
      }
      if (auto ok = control_.Send(); !ok) return ok;
      pollfd interest = control_.Interest();
      poll(&interest, 1, kPollMilliseconds);
      auto taken = control_.Receive(
          [&](ByteView& in, ByteBuffer& out) { return control_.protocol().TakeAnswers(in, out); });
      if (!taken) return std::unexpected(taken.error());
      answered += *taken;
    }
    return {};
  }

  Result<void> Go() {
    const auto nanoseconds = [](double seconds) {
      return static_cast<uint64_t>(seconds * apps::kPerfSecond);
    };
    start_ = PerfNow();
    const uint64_t end =
        options_.seconds == 0 ? apps::kPerfNever : start_ + nanoseconds(options_.seconds);
    uint64_t give_up = apps::kPerfNever;
    while (true) {
      const uint64_t now = PerfNow();
      const bool publishing =
          options_.producers != 0 && now < end &&
          (options_.messages == 0 || tally_.counts.published < options_.messages);
      if (!publishing) {
        if (Finished(now >= end)) return {};
        if (give_up == apps::kPerfNever) give_up = now + nanoseconds(options_.drain);
        if (options_.producers != 0 && now >= give_up) return {};
      }
      if (publishing) Publish(now);
      if (options_.consumers != 0) consumer_.protocol().Ask(consumer_.out(), Wanted());
      if (auto ok = Exchange(); !ok) return ok;
    }
  }

  // Without producers, `messages` is how many are to be consumed.
  uint64_t Wanted() const {
    if (options_.producers != 0 || options_.messages == 0) return apps::kPerfNever;
    return options_.messages - std::min(options_.messages, tally_.counts.delivered);
  }

  bool Finished(bool time_is_over) const {
    if (options_.producers == 0) return time_is_over || Wanted() == 0;
    return producer_.unsent() == 0 && (!settings_.confirms || sent_at_.empty()) &&
           (options_.consumers == 0 || tally_.counts.delivered >= tally_.counts.published);
  }

  void Publish(uint64_t now) {
    uint64_t left =
        options_.messages == 0 ? apps::kPerfNever : options_.messages - tally_.counts.published;
    if (settings_.confirms) left = std::min<uint64_t>(left, options_.window - sent_at_.size());
    for (; left != 0 && producer_.unsent() < kMaxUnsent; --left) {
      if (body_.size() >= apps::kPerfStampSize) StoreBig(body_.data(), now);
      producer_.protocol().Publish(producer_.out(), next_queue_, body_);
      next_queue_ = (next_queue_ + 1) % settings_.queues.size();
      if (settings_.confirms) sent_at_.push_back(now);
      ++tally_.counts.published;
      tally_.last_publish = now;
    }
  }

  // Sends and receives what is possible now, or waits a little.
  Result<void> Exchange() {
    for (Connection* connection : {&producer_, &consumer_}) {
      if (auto ok = connection->Send(); !ok) return ok;
    }
    pollfd polled[] = {producer_.Interest(), consumer_.Interest()};
    poll(polled, std::size(polled), kPollMilliseconds);
    if (polled[0].revents & ~POLLOUT) {
      auto confirmed = producer_.Receive([&](ByteView& in, ByteBuffer& out) {
        return producer_.protocol().TakeConfirms(in, out);
      });
      if (!confirmed) return std::unexpected(confirmed.error());
      if (*confirmed > sent_at_.size()) {
        return Fail(ErrorCode::kProtocol, "more confirms than messages");
      }
      OnConfirmed(*confirmed);
    }
    if (polled[1].revents & ~POLLOUT) {
      auto delivered = consumer_.Receive([&](ByteView& in, ByteBuffer& out) {
        const uint64_t now = PerfNow();
        return consumer_.protocol().TakeDeliveries(in, out, [&](ByteView body) {
          if (options_.producers == 0 || body.size() < apps::kPerfStampSize) return;
          const uint64_t sent_at = LoadBig<uint64_t>(body.data());
          if (sent_at >= start_ && sent_at <= now) tally_.end_to_end_latency.Record(now - sent_at);
        });
      });
      if (!delivered) return std::unexpected(delivered.error());
      if (*delivered != 0) tally_.last_delivery = PerfNow();
      tally_.counts.delivered += *delivered;
      tally_.counts.acked += *delivered;
    }
    return {};
  }

  void OnConfirmed(size_t count) {
    if (count == 0) return;
    const uint64_t now = PerfNow();
    tally_.last_confirm = now;
    tally_.counts.confirmed += count;
    for (; count != 0; --count) {
      tally_.confirm_latency.Record(now - sent_at_.front());
      sent_at_.pop_front();
    }
  }

  void CountCpu(const rusage& before) {
    rusage after{};
    getrusage(RUSAGE_SELF, &after);
    const auto seconds = [](const timeval& from, const timeval& to) {
      return static_cast<double>(to.tv_sec - from.tv_sec) +
             static_cast<double>(to.tv_usec - from.tv_usec) / 1e6;
    };
    result_.user_cpu_seconds = seconds(before.ru_utime, after.ru_utime);
    result_.system_cpu_seconds = seconds(before.ru_stime, after.ru_stime);
  }

  void Conclude() {
    const auto since_start = [this](uint64_t time) {
      return time <= start_ ? 0 : static_cast<double>(time - start_) / apps::kPerfSecond;
    };
    result_.counts = tally_.counts;
    result_.confirm = tally_.confirm_latency;
    result_.end_to_end = tally_.end_to_end_latency;
    result_.seconds = since_start(PerfNow());
    result_.publish_seconds = since_start(tally_.last_publish);
    result_.confirm_seconds = since_start(tally_.last_confirm);
    result_.delivery_seconds = since_start(tally_.last_delivery);
    result_.unconfirmed = sent_at_.size();
    if (result_.unconfirmed != 0) {
      result_.errors.push_back(std::to_string(result_.unconfirmed) +
                               " messages were not confirmed");
    }
    if (options_.producers == 0 || options_.consumers == 0) return;
    const uint64_t expected = tally_.counts.published - result_.unconfirmed;
    result_.lost = expected - std::min(expected, tally_.counts.delivered);
    if (*result_.lost != 0) {
      result_.errors.push_back(std::to_string(*result_.lost) + " messages did not come");
    }
  }

  const apps::PerfOptions& options_;
  const std::string scheme_;
  const uint16_t port_;
  const ThinSettings settings_;
  Connection control_;
  Connection producer_;
  Connection consumer_;
  std::string body_;
  size_t next_queue_ = 0;
  std::deque<uint64_t> sent_at_;  // of what is unconfirmed; answers come in the order of requests
  uint64_t start_ = 0;
  apps::PerfTally tally_;
  apps::PerfResult result_;
};

int Main(int argc, char** argv) {
  CLI::App app(
      "Measures redis, nats-server and beanstalkd as `landfall perf` measures AMQP brokers");
  apps::PerfOptions options;
  apps::AddPerfOptions(app, options);
  CLI11_PARSE(app, argc, argv);

  const size_t colon = options.url.rfind(':');
  const std::string scheme = options.url.substr(0, options.url.find("://"));
  const size_t port = NumberOf(std::string_view(options.url).substr(colon + 1));
  if (!MakeThinProtocol(scheme, {.queues = {"none"}}) || port == 0 || port > 65535) {
    std::fprintf(stderr,
                 "thin_client: --broker %s is not redis://127.0.0.1:PORT, nats:// or "
                 "beanstalk://\n",
                 options.url.c_str());
    return 2;
  }
  if (options.producers > 1 || options.consumers > 1 ||
      (options.consumers == 1 && options.queues != 1) || !options.queue_args.empty() ||
      !options.exchange.empty() || options.rate != 0 || options.auto_ack ||
      options.idle_connections != 0 || options.prefetch == 0) {
    std::fprintf(stderr,
                 "thin_client: at most one producer and one consumer, which has one queue "
                 "and a prefetch; none of what only AMQP has\n");
    return 2;
  }
  if (options.seconds == 0 && options.messages == 0) options.seconds = 10;
  const apps::PerfResult result = ThinRun(options, scheme, static_cast<uint16_t>(port)).Run();

  apps::PerfPlan plan;
  plan.options = options;
  plan.broker.host = "127.0.0.1";
  plan.broker.port = static_cast<uint16_t>(port);
  plan.queues = options.QueueNames();
  std::fputs(apps::FormatPerfSummary(plan, result).c_str(), options.json ? stderr : stdout);
  if (options.json) std::printf("%s\n", apps::FormatPerfJson(plan, result).c_str());
  return result.errors.empty() ? 0 : 1;
}

}  // namespace
}  // namespace landfall::bench

int main(int argc, char** argv) { return landfall::bench::Main(argc, argv); }
