#include "admin/http_server.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <exception>
#include <tuple>
#include <utility>

#include "server/log.h"

namespace landfall::admin {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

namespace {

constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);
// What is read and thrown away of a request that is refused: without it the refusal may be lost
// with the connection.
constexpr size_t kDrainBytes = size_t{1} << 20;
constexpr std::chrono::seconds kDrainTime{2};

std::string Field(const http::fields& fields, http::field name) {
  const auto it = fields.find(name);
  return it == fields.end() ? "" : std::string(it->value());
}

std::string Field(const http::fields& fields, const char* name) {
  const auto it = fields.find(name);
  return it == fields.end() ? "" : std::string(it->value());
}

Reply ReplyToParseError(error_code error) {
  if (error == http::error::body_limit)
    return ErrorReply(413, "payload_too_large", "the body of the request is too large");
  if (error == http::error::header_limit)
    return ErrorReply(431, "header_too_large", "the header of the request is too large");
  return BadRequest("this is no HTTP request: " + error.message());
}

}  // namespace

// One connection, from accept to close: a coroutine that holds it.
class HttpServer::Connection {
 public:
  Connection(std::shared_ptr<Books> books, HttpHandler& handler, asio::ip::tcp::socket socket)
      : books_(std::move(books)),
        limits_(books_->limits),
        handler_(handler),
        stream_(std::move(socket)),
        buffer_(kBuffer) {
    error_code ignored;
    const auto remote = stream_.socket().remote_endpoint(ignored);
    peer_ = server::EndpointText(remote);
    loopback_ = server::IsLoopback(remote.address());
    stream_.socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    ++books_->connections;
  }
  ~Connection() {
    SetIdle(false);
    ReserveBody(0);
    --books_->connections;
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  asio::awaitable<void> Run() {
    while (co_await WaitForRequest()) {
      if (!co_await ServeOne()) break;
    }
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }
  // Of an idle one.
  void Cancel() {
    SetIdle(false);
    stream_.cancel();
  }

 private:
  using Parser = http::request_parser<http::string_body>;
  static constexpr size_t kBuffer = 64 * 1024;

  // False: the peer has gone, or has nothing to ask.
  asio::awaitable<bool> WaitForRequest() {
    if (buffer_.size() > 0) co_return true;
    SetIdle(true);
    stream_.expires_after(limits_.idle);
    const auto [error, bytes] = co_await stream_.async_read_some(buffer_.prepare(4096), kAwait);
    SetIdle(false);
    if (error) co_return false;
    buffer_.commit(bytes);
    co_return true;
  }

  // False: the connection ends with it.
  asio::awaitable<bool> ServeOne() {
    Parser parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(limits_.body_bytes);
    stream_.expires_after(limits_.header_time);
    const auto [head_error, head_bytes] =
        co_await http::async_read_header(stream_, buffer_, parser, kAwait);
    if (head_error) co_return co_await RefuseUnread(head_error);

    Request request = RequestOf(parser);
    auto target = ParseTarget(std::string_view(parser.get().target()));
    if (!target) {
      Reply malformed = BadRequest("the target of the request is malformed");
      co_return co_await Refuse(std::move(malformed));
    }
    request.target = std::move(*target);

    std::optional<Reply> refusal = co_await handler_.Admit(request);
    if (refusal && parser.is_done()) co_return co_await Write(std::move(*refusal), parser.get());
    if (refusal) co_return co_await Refuse(std::move(*refusal));

    if (!parser.is_done()) {
      const error_code body_error = co_await ReadBody(parser);
      if (body_error == http::error::buffer_overflow) {
        Reply full = ErrorReply(503, "service_unavailable",
                                "too many large requests at a time; try again later");
        co_return co_await Refuse(std::move(full));
      }
      if (body_error) co_return co_await RefuseUnread(body_error);
      request.body = std::move(parser.get().body());
    }
    Reply reply = co_await Answer(request);
    ReserveBody(0);
    co_return co_await Write(std::move(reply), parser.get());
  }

  Request RequestOf(const Parser& parser) const {
    const auto& message = parser.get();
    return {.method = std::string(message.method_string()),
            .target = {},
            .body = {},
            .peer = peer_,
            .loopback = loopback_,
            .authorization = Field(message, http::field::authorization),
            .host = Field(message, http::field::host),
            .origin = Field(message, http::field::origin),
            .fetch_site = Field(message, "Sec-Fetch-Site")};
  }

  asio::awaitable<error_code> ReadBody(Parser& parser) {
    const auto length = parser.content_length();
    if (!ReserveBody(length ? *length : limits_.body_bytes)) co_return http::error::buffer_overflow;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      stream_.expires_after(limits_.header_time);
      const auto [error, bytes] = co_await http::async_write(stream_, go_on, kAwait);
      if (error) co_return error;
    }
    stream_.expires_after(limits_.body_time);
    const auto [error, bytes] = co_await http::async_read(stream_, buffer_, parser, kAwait);
    co_return error;
  }

  // Whatever is wrong with one request, the next one is served.
  asio::awaitable<Reply> Answer(Request& request) {
    std::string what;
    try {
      co_return co_await handler_.Serve(request);
    } catch (const std::exception& e) {
      what = e.what();
    }
    server::LogError("an HTTP request failed", {{"peer", peer_}, {"error", what}});
    co_return ErrorReply(500, "internal_server_error", "the broker's log says why");
  }

  // To something that is no request, or one that came too slowly.
  asio::awaitable<bool> RefuseUnread(error_code error) {
    if (error == beast::error::timeout || error == http::error::end_of_stream ||
        error.category() != make_error_code(http::error::bad_method).category())
      co_return false;
    Reply reply = ReplyToParseError(error);
    co_return co_await Refuse(std::move(reply));
  }

  // Something of the request has not been read: with the answer the connection ends.
  asio::awaitable<bool> Refuse(Reply reply) {
    http::request<http::string_body> unread;
    unread.version(11);
    unread.keep_alive(false);
    co_await Write(std::move(reply), unread);
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    stream_.expires_after(kDrainTime);
    for (size_t drained = 0; drained < kDrainBytes;) {
      buffer_.clear();
      const auto [error, bytes] =
          co_await stream_.async_read_some(buffer_.prepare(kBuffer), kAwait);
      if (error) break;
      drained += bytes;
    }
    co_return false;
  }

  asio::awaitable<bool> Write(Reply reply, const http::request<http::string_body>& request) {
    http::response<http::string_body> response;
    response.version(request.version());
    response.result(reply.status);
    response.set(http::field::server, "Landfall");
    response.set(http::field::cache_control, "no-cache");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    if (!reply.content_type.empty()) response.set(http::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    response.keep_alive(request.keep_alive());
    const bool is_head = request.method() == http::verb::head;
    if (reply.status != 204) response.content_length(reply.body.size());
    if (!is_head) response.body() = std::move(reply.body);
    http::response_serializer<http::string_body> serializer(response);
    serializer.split(is_head);
    stream_.expires_after(limits_.write_time);
    error_code error;
    if (is_head) {
      std::tie(error, std::ignore) = co_await http::async_write_header(stream_, serializer, kAwait);
    } else {
      std::tie(error, std::ignore) = co_await http::async_write(stream_, serializer, kAwait);
    }
    co_return !error && request.keep_alive();
  }

  void SetIdle(bool idle) {
    if (idle == is_idle_) return;
    is_idle_ = idle;
    if (idle) {
      place_ = books_->idle.insert(books_->idle.end(), this);
    } else {
      books_->idle.erase(place_);
    }
  }

  // False: there is no room for it. 0 gives back what it had.
  bool ReserveBody(uint64_t bytes) {
    books_->body_bytes -= std::exchange(reserved_, 0);
    if (books_->body_bytes + bytes > limits_.all_body_bytes) return false;
    reserved_ = bytes;
    books_->body_bytes += bytes;
    return true;
  }

  const std::shared_ptr<Books> books_;
  const HttpLimits& limits_;
  HttpHandler& handler_;
  beast::tcp_stream stream_;
  beast::flat_buffer buffer_;
  std::string peer_;
  bool loopback_ = false;
  bool is_idle_ = false;
  std::list<Connection*>::iterator place_;
  uint64_t reserved_ = 0;
};

HttpServer::HttpServer(asio::io_context& io, HttpHandler& handler, HttpLimits limits)
    : io_(io),
      handler_(handler),
      listener_(io),
      books_(std::make_shared<Books>(Books{.limits = limits, .idle = {}})) {}

HttpServer::~HttpServer() = default;

Result<void> HttpServer::Open(const std::string& option, const server::Endpoint& endpoint) {
  return listener_.Open(option, endpoint);
}

void HttpServer::Start() {
  listener_.Start([this] {
    return server::Listener::Taker{
        io_, [this](asio::ip::tcp::socket socket) { Take(std::move(socket)); }};
  });
}

void HttpServer::Close() { listener_.Close(); }

void HttpServer::Take(asio::ip::tcp::socket socket) {
  if (books_->connections >= books_->limits.connections && !MakeRoom()) {
    error_code ignored;
    server::LogWarn("HTTP connection refused: too many are open",
                    {{"peer", server::EndpointText(socket.remote_endpoint(ignored))},
                     {"connections", books_->connections}});
    return;
  }
  auto connection = std::make_shared<Connection>(books_, handler_, std::move(socket));
  asio::co_spawn(
      io_, [connection]() -> asio::awaitable<void> { co_await connection->Run(); }, asio::detached);
}

// The one that goes ends with its next step; until then there is one more than the limit.
bool HttpServer::MakeRoom() {
  if (books_->idle.empty()) return false;
  books_->idle.front()->Cancel();
  return true;
}

}  // namespace landfall::admin
