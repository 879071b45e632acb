#include "admin/local_channel.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <exception>
#include <optional>
#include <utility>

#include "admin/on_thread.h"
#include "amqp/frame.h"
#include "amqp/properties.h"
#include "base/assert.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// Of frames that come in: what the broker makes needs no judgement.
constexpr uint32_t kNoLimit = 0;
// For an answer. A disk may take its time; a request must not wait for ever.
constexpr std::chrono::seconds kPatience{60};

}  // namespace

// Puts frames together to methods. Thread: the administration's.
class LocalChannel::Inbox : public std::enable_shared_from_this<Inbox> {
 public:
  explicit Inbox(const asio::any_io_executor& executor)
      : arrived_(executor, asio::steady_timer::time_point::max()) {}

  void KeepBodies(size_t at_most) { kept_of_body_ = at_most; }

  // Empty: there is nothing more to come.
  void Receive(ByteView bytes) {
    if (bytes.empty()) {
      methods_.emplace_back();
      arrived_.cancel();
      return;
    }
    rest_ += bytes;
    size_t used = 0;
    while (true) {
      const amqp::FrameResult result = amqp::ParseFrame(ByteView(rest_).substr(used), kNoLimit);
      if (result.status == amqp::FrameResult::Status::kNeedMore) break;
      LANDFALL_ASSERT(result.status == amqp::FrameResult::Status::kFrame);
      used += result.consumed;
      Take(result.frame);
    }
    rest_.erase(0, used);
    arrived_.cancel();
  }

  asio::awaitable<Incoming> Next() {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (methods_.empty()) {
      arrived_.expires_at(deadline);
      const auto [cancelled] = co_await arrived_.async_wait(asio::as_tuple(asio::use_awaitable));
      if (!cancelled && methods_.empty()) methods_.emplace_back();
    }
    Incoming next = std::move(methods_.front());
    // The last one stays the last one.
    if (!next.closes()) {
      methods_.pop_front();
    } else {
      methods_.front() = next;
    }
    co_return next;
  }

 private:
  void Take(const amqp::Frame& frame) {
    switch (frame.type) {
      case amqp::FrameType::kMethod:
        partial_ = Incoming{.method = amqp::PeekMethodId(frame.payload),
                            .payload = ByteBuffer(frame.payload)};
        if (!amqp::MethodHasContent(partial_.method)) Finish();
        return;
      case amqp::FrameType::kHeader: {
        const auto header = amqp::DecodeContentHeader(frame.payload);
        LANDFALL_ASSERT(header.has_value());
        partial_.properties = header->properties;
        partial_.body_size = header->body_size;
        missing_ = header->body_size;
        if (missing_ == 0) Finish();
        return;
      }
      case amqp::FrameType::kBody:
        partial_.body += frame.payload.substr(0, kept_of_body_ - partial_.body.size());
        missing_ -= std::min<uint64_t>(missing_, frame.payload.size());
        if (missing_ == 0) Finish();
        return;
      case amqp::FrameType::kHeartbeat:
        return;
    }
  }
  void Finish() {
    // Steps of the handshake, which has been sent in one go, and news about alarms.
    const bool of_connection =
        partial_.method >> 16 == amqp::ConnectionClose::kId >> 16 && !partial_.closes();
    if (!of_connection) methods_.push_back(std::move(partial_));
    partial_ = {};
  }

  ByteBuffer rest_;
  Incoming partial_;
  uint64_t missing_ = 0;  // of its body
  size_t kept_of_body_ = SIZE_MAX;
  std::deque<Incoming> methods_;
  asio::steady_timer arrived_;  // cancelled when something has come
};

LocalChannel::LocalChannel(server::WorkerThread& worker, std::shared_ptr<Inbox> inbox,
                           uint32_t frame_max)
    : worker_(worker), inbox_(std::move(inbox)), frame_max_(frame_max) {}

asio::awaitable<Reply> LocalChannel::With(Backend& backend, const Caller& caller, std::string vhost,
                                          Extensions extensions, Use use) {
  const asio::any_io_executor here = co_await asio::this_coro::executor;
  server::WorkerThread& worker = backend.broker().worker(0);
  LocalChannel channel(worker, std::make_shared<Inbox>(here), backend.broker().config().frame_max);
  auto open = [&worker, here, inbox = channel.inbox_,
               who = session::Peer{.loopback = caller.loopback,
                                   .name = "HTTP API",
                                   .certificate_user = caller.user}] {
    return worker.OpenLocal(who, [here, inbox](ByteBuffer bytes) {
      asio::post(here, [inbox, bytes = std::move(bytes)] { inbox->Receive(bytes); });
    });
  };
  channel.session_ = co_await OnWorker(worker, std::move(open));
  channel.LogIn(vhost, extensions);
  const Incoming opened = co_await channel.Next();
  Reply reply;
  std::exception_ptr failure;
  if (opened.closes()) {
    reply = ReplyToRefusal(opened);
  } else {
    try {
      reply = co_await use(channel);
    } catch (...) {
      failure = std::current_exception();
    }
  }
  asio::post(worker.io(), [&worker, id = channel.session_] { worker.CloseLocal(id); });
  if (failure) std::rethrow_exception(failure);
  co_return reply;
}

// All of it at once: the session reads on when the step before is done.
void LocalChannel::LogIn(const std::string& vhost, Extensions extensions) {
  const amqp::Table capabilities{{"authentication_failure_close", true},
                                 {"landfall.extensions", extensions == Extensions::kYes}};
  const ByteBuffer properties =
      amqp::Table{{"product", "Landfall HTTP API"}, {"capabilities", capabilities}}.Encode();
  out_ += amqp::kProtocolHeader;
  amqp::AppendMethodFrame(out_, 0,
                          amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                                  .mechanism = "EXTERNAL",
                                                  .response = "",
                                                  .locale = "en_US"});
  amqp::AppendMethodFrame(out_, 0, amqp::ConnectionTuneOk{});
  amqp::AppendMethodFrame(out_, 0, amqp::ConnectionOpen{.virtual_host = vhost});
  Append(amqp::ChannelOpen{});
  Send();
}

void LocalChannel::AppendPublish(const amqp::BasicPublish& publish, ByteView properties,
                                 ByteView body) {
  Append(publish);
  amqp::AppendContent(out_, kNumber, properties, body, frame_max_);
}

void LocalChannel::Send() {
  asio::post(worker_.io(), [&worker = worker_, id = session_, bytes = std::exchange(out_, {})] {
    worker.FeedLocal(id, bytes);
  });
}

void LocalChannel::KeepBodies(size_t at_most) { inbox_->KeepBodies(at_most); }

asio::awaitable<Incoming> LocalChannel::Next() { return inbox_->Next(); }

Reply ReplyToRefusal(const Incoming& closing) {
  uint16_t code = 0;
  std::string text = "the broker has closed the connection, or does not answer";
  if (closing.method == amqp::ChannelClose::kId) {
    const auto close = closing.As<amqp::ChannelClose>();
    code = close.reply_code;
    text = close.reply_text;
  } else if (closing.method == amqp::ConnectionClose::kId) {
    const auto close = closing.As<amqp::ConnectionClose>();
    code = close.reply_code;
    text = close.reply_text;
  }
  if (code == 0) return ErrorReply(503, "service_unavailable", text);
  switch (static_cast<amqp::ReplyCode>(code)) {
    case amqp::ReplyCode::kNotFound:
      return NotFound(text);
    case amqp::ReplyCode::kAccessRefused:
    case amqp::ReplyCode::kNotAllowed:
      return NotAuthorised(text);
    case amqp::ReplyCode::kConnectionForced:
      return ErrorReply(503, "service_unavailable", text);
    default:
      return BadRequest(text);
  }
}

}  // namespace landfall::admin
