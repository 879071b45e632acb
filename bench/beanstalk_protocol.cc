// A queue is a tube, which exists while something is in it or somebody looks at it. Each reserve
// gives one job, and a delete acknowledges it. Commands are sent ahead of the answers.
#include <algorithm>

#include "thin_protocol.h"

namespace landfall::bench {
namespace {

// Reserves under way; the broker works one command after the other, so more bring nothing.
constexpr uint64_t kReserves = 16;
// A job that was reserved comes back after so many seconds; none shall within a run.
constexpr std::string_view kPut = "put 0 0 86400 ";

class BeanstalkProtocol : public ThinProtocol {
 public:
  explicit BeanstalkProtocol(const ThinSettings& settings) : settings_(settings) {}

  std::string_view product() const override { return "beanstalkd"; }

  std::string_view Refusal(const ThinSettings& settings) const override {
    if (settings.transient) return "what is durable is the server's setting, not a job's";
    if (!settings.confirms) return "every put is answered";
    return {};
  }

  void Declare(ByteBuffer& out, const std::string& queue) override {
    out += "use " + queue + "\r\n";
  }

  // A tube goes with its last job, and there is no command that drops them all.
  void Delete(ByteBuffer& out, const std::string& queue) override { Declare(out, queue); }

  Result<size_t> TakeAnswers(ByteView& in, ByteBuffer&) override {
    size_t count = 0;
    for (ByteView line; TakeLine(in, line); ++count) {
      if (!line.starts_with("USING ")) return Unexpected(line);
    }
    return count;
  }

  void Publish(ByteBuffer& out, size_t queue, ByteView body) override {
    if (queue != used_) {
      out += "use " + settings_.queues[queue] + "\r\n";
      used_ = queue;
    }
    out += kPut;
    out += std::to_string(body.size());
    out += "\r\n";
    out += body;
    out += "\r\n";
  }

  Result<size_t> TakeConfirms(ByteView& in, ByteBuffer&) override {
    size_t count = 0;
    for (ByteView line; TakeLine(in, line);) {
      if (line.starts_with("INSERTED ")) {
        ++count;
      } else if (!line.starts_with("USING ")) {
        return Unexpected(line);
      }
    }
    return count;
  }

  void Ask(ByteBuffer& out, uint64_t most) override {
    if (!watches_) out += "watch " + settings_.queues.front() + "\r\n";
    watches_ = true;
    const uint64_t limit = std::min<uint64_t>({most, settings_.prefetch, kReserves});
    for (; reserves_ < limit; ++reserves_) out += "reserve\r\n";
  }

  Result<size_t> TakeDeliveries(ByteView& in, ByteBuffer& out, const OnBody& on_body) override {
    size_t count = 0;
    while (true) {
      ByteView rest = in;
      ByteView line;
      if (!TakeLine(rest, line)) return count;
      if (line.starts_with("RESERVED ")) {
        const size_t size = NumberOf(WordOf(line, 2));
        if (rest.size() < size + 2) return count;
        on_body(rest.substr(0, size));
        rest.remove_prefix(size + 2);
        out += "delete ";
        out += WordOf(line, 1);
        out += "\r\n";
        --reserves_;
        ++count;
      } else if (line != "DELETED" && !line.starts_with("WATCHING ")) {
        return Unexpected(line);
      }
      in = rest;
    }
  }

 private:
  static std::unexpected<Error> Unexpected(ByteView line) {
    return Fail(ErrorCode::kProtocol, "beanstalkd: " + std::string(line));
  }

  const ThinSettings& settings_;
  size_t used_ = ~size_t{0};
  bool watches_ = false;
  uint64_t reserves_ = 0;
};

}  // namespace

std::unique_ptr<ThinProtocol> MakeBeanstalkProtocol(const ThinSettings& settings) {
  return std::make_unique<BeanstalkProtocol>(settings);
}

}  // namespace landfall::bench
