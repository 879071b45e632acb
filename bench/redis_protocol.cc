// A queue is a stream with one consumer group. XADD is answered once its record is where
// `appendfsync` wants it. XACK takes a message off the group's list of what is pending; the stream
// keeps it, as it does for every user who does not trim.
#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <initializer_list>
#include <span>

#include "thin_protocol.h"

namespace landfall::bench {
namespace {

constexpr std::string_view kGroup = "bench";

void AppendNumber(ByteBuffer& out, char mark, size_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out += mark;
  out.append(digits, end);
  out += "\r\n";
}

void AppendWord(ByteBuffer& out, ByteView word) {
  AppendNumber(out, '$', word.size());
  out += word;
  out += "\r\n";
}

void AppendCommand(ByteBuffer& out, std::initializer_list<ByteView> words) {
  AppendNumber(out, '*', words.size());
  for (const ByteView word : words) AppendWord(out, word);
}

class RedisProtocol : public ThinProtocol {
 public:
  explicit RedisProtocol(const ThinSettings& settings)
      : settings_(settings), reader_(redisReaderCreate()) {
    for (const std::string& queue : settings.queues) {
      ByteBuffer& add = adds_.emplace_back();
      AppendCommand(add, {"XADD", queue, "*", "b"});
      add[1] = '5';  // and the body
    }
  }

  std::string_view product() const override { return "redis"; }

  std::string_view Refusal(const ThinSettings& settings) const override {
    if (settings.transient) return "what is durable is the server's setting, not a message's";
    if (!settings.confirms) return "every XADD is answered";
    return {};
  }

  void Declare(ByteBuffer& out, const std::string& queue) override {
    AppendCommand(out, {"XGROUP", "CREATE", queue, kGroup, "0", "MKSTREAM"});
  }

  void Delete(ByteBuffer& out, const std::string& queue) override {
    AppendCommand(out, {"DEL", queue});
  }

  Result<size_t> TakeAnswers(ByteView& in, ByteBuffer&) override {
    return TakeReplies(in, [](const redisReply&) { return 1; });
  }

  void Publish(ByteBuffer& out, size_t queue, ByteView body) override {
    out += adds_[queue];
    AppendWord(out, body);
  }

  Result<size_t> TakeConfirms(ByteView& in, ByteBuffer&) override {
    return TakeReplies(in, [](const redisReply&) { return 1; });
  }

  void Ask(ByteBuffer& out, uint64_t most) override {
    if (asked_ || most == 0) return;
    asked_ = true;
    const std::string count = std::to_string(std::min<uint64_t>(most, settings_.prefetch));
    AppendCommand(out, {"XREADGROUP", "GROUP", kGroup, "consumer", "COUNT", count, "BLOCK", "0",
                        "STREAMS", settings_.queues.front(), ">"});
  }

  Result<size_t> TakeDeliveries(ByteView& in, ByteBuffer& out, const OnBody& on_body) override {
    return TakeReplies(in, [&](const redisReply& reply) -> size_t {
      if (reply.type != REDIS_REPLY_ARRAY) return 0;  // of an XACK
      asked_ = false;
      return TakeMessages(reply, out, on_body);
    });
  }

 private:
  struct Free {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
    void operator()(void* reply) const { freeReplyObject(reply); }
  };

  static std::span<redisReply*> Elements(const redisReply& reply) {
    return {reply.element, reply.elements};
  }

  static ByteView Text(const redisReply& reply) { return {reply.str, reply.len}; }

  // [[stream, [[id, ["b", body]], …]]]
  size_t TakeMessages(const redisReply& reply, ByteBuffer& out, const OnBody& on_body) {
    size_t count = 0;
    for (const redisReply* stream : Elements(reply)) {
      const auto messages = Elements(*Elements(*stream)[1]);
      AppendNumber(out, '*', 3 + messages.size());
      AppendWord(out, "XACK");
      AppendWord(out, Text(*Elements(*stream)[0]));
      AppendWord(out, kGroup);
      for (const redisReply* message : messages) {
        AppendWord(out, Text(*Elements(*message)[0]));
        on_body(Text(*Elements(*Elements(*message)[1])[1]));
      }
      count += messages.size();
    }
    return count;
  }

  // The sum of what `take` makes of each whole reply. The reader keeps what is not whole.
  template <class Take>
  Result<size_t> TakeReplies(ByteView& in, const Take& take) {
    redisReaderFeed(reader_.get(), in.data(), in.size());
    in = {};
    size_t sum = 0;
    while (true) {
      void* raw = nullptr;
      if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK) {
        return Fail(ErrorCode::kProtocol, std::string("redis: ") + reader_->errstr);
      }
      if (raw == nullptr) return sum;
      const std::unique_ptr<void, Free> owner(raw);
      const auto& reply = *static_cast<const redisReply*>(raw);
      // A group that is there already is what a second run finds.
      if (reply.type == REDIS_REPLY_ERROR && !Text(reply).starts_with("BUSYGROUP")) {
        return Fail(ErrorCode::kProtocol, "redis: " + std::string(Text(reply)));
      }
      sum += take(reply);
    }
  }

  const ThinSettings& settings_;
  std::unique_ptr<redisReader, Free> reader_;
  std::vector<ByteBuffer> adds_;  // by queue: an XADD up to the body
  bool asked_ = false;
};

}  // namespace

std::unique_ptr<ThinProtocol> MakeRedisProtocol(const ThinSettings& settings) {
  return std::make_unique<RedisProtocol>(settings);
}

}  // namespace landfall::bench
