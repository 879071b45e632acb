// A queue is a JetStream stream of its own with work-queue retention, which forgets what has been
// acknowledged, and one durable pull consumer. A publish names an inbox for its answer, which is
// its confirm. The protocol: docs.nats.io, "Client Protocol" and "JetStream wire API".
#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>

#include "thin_protocol.h"

namespace landfall::bench {
namespace {

constexpr std::string_view kApi = "$JS.API.";
constexpr std::string_view kConsumer = "bench";
constexpr std::string_view kAnswers = "inbox.answer";
constexpr std::string_view kDeliveries = "inbox.delivery";
// A message that was delivered comes back after so long; none shall within a run.
constexpr int64_t kAckWaitNanoseconds = 86'400'000'000'000;

void AppendPublish(ByteBuffer& out, ByteView subject, ByteView reply, ByteView body) {
  out += "PUB ";
  out += subject;
  if (!reply.empty()) out += ' ';
  out += reply;
  out += ' ';
  out += std::to_string(body.size());
  out += "\r\n";
  out += body;
  out += "\r\n";
}

std::string Subject(std::string_view verb, std::string_view queue) {
  return std::string(kApi).append(verb).append(queue);
}

// MSG <subject> <sid> [reply] <bytes>, or HMSG with the headers' bytes before those of all.
struct Message {
  ByteView subject;
  ByteView reply;
  ByteView headers;
  ByteView body;
};

class NatsProtocol : public ThinProtocol {
 public:
  explicit NatsProtocol(const ThinSettings& settings) : settings_(settings) {}

  std::string_view product() const override { return "nats-server"; }

  void Greet(ByteBuffer& out) override {
    out += "CONNECT {\"verbose\":false,\"pedantic\":false,\"headers\":true,\"protocol\":1}\r\n";
    // Nobody else listens to the inboxes of this connection.
    const std::string own = "." + std::to_string(std::random_device()());
    answers_ = std::string(kAnswers) + own;
    deliveries_ = std::string(kDeliveries) + own;
    out += "SUB " + answers_ + " 1\r\nSUB " + deliveries_ + " 2\r\n";
  }

  void Declare(ByteBuffer& out, const std::string& queue) override {
    const nlohmann::json stream = {{"name", queue},
                                   {"subjects", {queue}},
                                   {"retention", "workqueue"},
                                   {"storage", settings_.transient ? "memory" : "file"},
                                   {"num_replicas", 1}};
    const nlohmann::json consumer = {{"stream_name", queue},
                                     {"config",
                                      {{"durable_name", kConsumer},
                                       {"ack_policy", "explicit"},
                                       {"ack_wait", kAckWaitNanoseconds},
                                       {"max_ack_pending", 100'000}}}};
    AppendPublish(out, Subject("STREAM.CREATE.", queue), answers_, stream.dump());
    // Its answer is the one that counts: what is asked of a consumer before is lost.
    AppendPublish(out, Subject("CONSUMER.DURABLE.CREATE.", queue) + "." + std::string(kConsumer),
                  answers_, consumer.dump());
  }

  void Delete(ByteBuffer& out, const std::string& queue) override {
    AppendPublish(out, Subject("STREAM.DELETE.", queue), answers_, {});
  }

  Result<size_t> TakeAnswers(ByteView& in, ByteBuffer& out) override {
    return TakeMessages(in, out, [](const Message& m) -> size_t {
      return m.body.find("stream_create_response") == ByteView::npos ? 1 : 0;
    });
  }

  void Publish(ByteBuffer& out, size_t queue, ByteView body) override {
    AppendPublish(out, settings_.queues[queue], settings_.confirms ? answers_ : ByteView(), body);
  }

  Result<size_t> TakeConfirms(ByteView& in, ByteBuffer& out) override {
    return TakeMessages(in, out, [](const Message&) -> size_t { return 1; });
  }

  // Asks anew when half of the last request has come, so that the server never waits for us.
  void Ask(ByteBuffer& out, uint64_t most) override {
    const uint64_t limit = std::min<uint64_t>(most, settings_.prefetch);
    if (asked_ >= limit || asked_ > limit / 2) return;
    const std::string batch = "{\"batch\":" + std::to_string(limit - asked_) + "}";
    asked_ = limit;
    AppendPublish(
        out, Subject("CONSUMER.MSG.NEXT.", settings_.queues.front()) + "." + std::string(kConsumer),
        deliveries_, batch);
  }

  Result<size_t> TakeDeliveries(ByteView& in, ByteBuffer& out, const OnBody& on_body) override {
    return TakeMessages(in, out, [&](const Message& m) -> size_t {
      if (m.reply.empty()) return 0;
      on_body(m.body);
      AppendPublish(out, m.reply, {}, {});
      --asked_;
      return 1;
    });
  }

 private:
  // The sum of what `take` makes of each whole message.
  template <class Take>
  Result<size_t> TakeMessages(ByteView& in, ByteBuffer& out, const Take& take) {
    size_t sum = 0;
    while (true) {
      ByteView rest = in;
      ByteView line;
      if (!TakeLine(rest, line)) return sum;
      const bool headed = line.starts_with("HMSG ");
      if (headed || line.starts_with("MSG ")) {
        const size_t words = static_cast<size_t>(std::count(line.begin(), line.end(), ' ')) + 1;
        const size_t size = NumberOf(WordOf(line, words - 1));
        const size_t header_size = headed ? NumberOf(WordOf(line, words - 2)) : 0;
        if (rest.size() < size + 2) return sum;
        const Message message{.subject = WordOf(line, 1),
                              .reply = words == (headed ? 6 : 5) ? WordOf(line, 3) : ByteView(),
                              .headers = rest.substr(0, header_size),
                              .body = rest.substr(header_size, size - header_size)};
        rest.remove_prefix(size + 2);
        if (auto ok = Check(message); !ok) return std::unexpected(ok.error());
        sum += take(message);
      } else if (line == "PING") {
        out += "PONG\r\n";
      } else if (line.starts_with("-ERR")) {
        return Fail(ErrorCode::kProtocol, "nats-server: " + std::string(line));
      }
      in = rest;
    }
  }

  // An answer of the API that says it failed, or a status instead of a message.
  Result<void> Check(const Message& message) const {
    const bool answer = message.subject == answers_;
    if (answer && message.body.find("\"error\"") != ByteView::npos) {
      return Fail(ErrorCode::kProtocol, "nats-server: " + std::string(message.body));
    }
    if (!message.headers.empty()) {
      return Fail(ErrorCode::kProtocol, "nats-server: " + std::string(message.headers));
    }
    return {};
  }

  const ThinSettings& settings_;
  std::string answers_;
  std::string deliveries_;
  uint64_t asked_ = 0;
};

}  // namespace

std::unique_ptr<ThinProtocol> MakeNatsProtocol(const ThinSettings& settings) {
  return std::make_unique<NatsProtocol>(settings);
}

}  // namespace landfall::bench
