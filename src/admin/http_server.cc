#include "admin/http_server.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <cerrno>
#include <exception>
#include <iterator>
#include <tuple>
#include <type_traits>
#include <utility>

#include "admin/reply_stream.h"
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
// Of a stream, what the kernel keeps for a peer that does not read, and how long it believes in one
// that answers nothing.
constexpr int kStreamSendBuffer = 64 * 1024;
constexpr int kStreamPeerTimeMs = 30'000;

std::string Field(const http::fields& fields, http::field name) {
  const auto it = fields.find(name);
  return it == fields.end() ? "" : std::string(it->value());
}

std::string Field(const http::fields& fields, const char* name) {
  const auto it = fields.find(name);
  return it == fields.end() ? "" : std::string(it->value());
}

// Beast lets others pass and reads no body, which then counts as the next request: whoever is in
// front of us may see it otherwise (RFC 9112, 6.3).
bool HasKnownEncoding(const http::fields& fields) {
  const auto [first, last] = fields.equal_range(http::field::transfer_encoding);
  return first == last || (std::next(first) == last && beast::iequals(first->value(), "chunked"));
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
  virtual ~Connection() = default;
  virtual asio::awaitable<void> Run() = 0;
  virtual void End() = 0;
};

// On a TCP stream or on TLS above one.
template <class Stream>
class HttpServer::ConnectionOn : public Connection {
  static constexpr bool kTls = !std::is_same_v<Stream, beast::tcp_stream>;

 public:
  // `more` is what a Stream needs besides the socket.
  template <class... More>
  ConnectionOn(std::shared_ptr<Books> books, HttpHandler& handler, asio::ip::tcp::socket socket,
               More&... more)
      : books_(std::move(books)),
        limits_(books_->limits),
        handler_(handler),
        stream_(std::move(socket), more...),
        buffer_(kBuffer) {
    error_code ignored;
    const auto remote = tcp().socket().remote_endpoint(ignored);
    peer_ = server::EndpointText(remote);
    loopback_ = server::IsLoopback(remote.address());
    tcp().socket().set_option(asio::ip::tcp::no_delay(true), ignored);
    own_place_ = books_->all.insert(books_->all.end(), this);
  }
  ~ConnectionOn() override {
    SetExpendable(false);
    ReserveBody(0);
    books_->all.erase(own_place_);
  }
  ConnectionOn(const ConnectionOn&) = delete;
  ConnectionOn& operator=(const ConnectionOn&) = delete;

  asio::awaitable<void> Run() override {
    if constexpr (kTls) {
      if (!co_await Handshake()) co_return;
    }
    while (co_await WaitForRequest()) {
      if (!co_await ServeOne()) break;
    }
    if constexpr (kTls) co_await SayGoodbye();
    error_code ignored;
    tcp().socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  }
  void End() override {
    SetExpendable(false);
    ended_ = true;
    tcp().close();
  }

 private:
  beast::tcp_stream& tcp() { return beast::get_lowest_layer(stream_); }

  asio::awaitable<bool> Handshake() {
    SetExpendable(true);
    // Whoever logs in has a name and a password: browsers would ask people for certificates.
    stream_.set_verify_mode(asio::ssl::verify_none);
    tcp().expires_after(limits_.header_time);
    const auto [error] = co_await stream_.async_handshake(asio::ssl::stream_base::server, kAwait);
    if (error)
      server::LogInfo("TLS handshake failed", {{"peer", peer_}, {"error", error.message()}});
    co_return !error;
  }

  // So that nobody can cut a reply short without the peer seeing it.
  asio::awaitable<void> SayGoodbye() {
    SetExpendable(true);
    tcp().expires_after(kDrainTime);
    co_await stream_.async_shutdown(kAwait);
  }

  using Parser = http::request_parser<http::string_body>;
  static constexpr size_t kBuffer = 64 * 1024;

  // False: the peer has gone, or has nothing to ask.
  asio::awaitable<bool> WaitForRequest() {
    if (buffer_.size() > 0) co_return true;
    SetExpendable(true);
    tcp().expires_after(limits_.idle);
    const auto [error, bytes] = co_await stream_.async_read_some(buffer_.prepare(4096), kAwait);
    if (error) co_return false;
    buffer_.commit(bytes);
    co_return true;
  }

  // False: the connection ends with it.
  asio::awaitable<bool> ServeOne() {
    Parser parser;
    parser.header_limit(limits_.header_bytes);
    parser.body_limit(limits_.body_bytes);
    // Until it is complete: whoever sends headers slowly must not keep others out.
    SetExpendable(true);
    tcp().expires_after(limits_.header_time);
    const auto [head_error, head_bytes] =
        co_await http::async_read_header(stream_, buffer_, parser, kAwait);
    if (head_error) co_return co_await RefuseUnread(head_error);
    SetExpendable(false);

    if (!HasKnownEncoding(parser.get())) {
      Reply unknown = BadRequest("the only Transfer-Encoding that is taken is chunked");
      co_return co_await Refuse(std::move(unknown));
    }
    Request request = RequestOf(parser);
    from_console_ = request.from_console;
    auto target = ParseTarget(std::string_view(parser.get().target()));
    if (!target) {
      Reply malformed = BadRequest("the target of the request is malformed");
      co_return co_await Refuse(std::move(malformed));
    }
    request.target = std::move(*target);

    std::optional<Reply> refusal = co_await handler_.Admit(request);
    // Nobody's, so far as we know.
    SetExpendable(request.caller.account == nullptr);
    if (refusal && parser.is_done()) co_return co_await Write(std::move(*refusal), parser.get());
    if (refusal) co_return co_await Refuse(std::move(*refusal));

    if (!parser.is_done()) {
      const error_code body_error = co_await ReadBody(parser, request.body_limit);
      if (body_error == http::error::buffer_overflow) {
        Reply full = ErrorReply(503, "service_unavailable",
                                "too many large requests at a time; try again later");
        co_return co_await Refuse(std::move(full));
      }
      if (body_error) co_return co_await RefuseUnread(body_error);
      request.body = std::move(parser.get().body());
    }
    SetExpendable(false);
    Reply reply = co_await Answer(request);
    ReserveBody(0);
    if (reply.stream) {
      co_await WriteStream(std::move(reply), parser.get());
      co_return false;
    }
    const uint64_t held = HoldAnswer(reply);
    const bool goes_on = co_await Write(std::move(reply), parser.get());
    books_->answer_bytes -= held;
    co_return goes_on;
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
            .fetch_site = Field(message, "Sec-Fetch-Site"),
            .cookie = Field(message, http::field::cookie),
            .if_none_match = Field(message, http::field::if_none_match),
            .accept = Field(message, http::field::accept),
            .from_console = Field(message, "X-Landfall-Console") == "1",
            .tls = kTls};
  }

  asio::awaitable<error_code> ReadBody(Parser& parser, uint64_t limit) {
    limit = std::min(limit, limits_.body_bytes);
    const auto length = parser.content_length();
    if (length && *length > limit) co_return http::error::body_limit;
    parser.body_limit(limit);
    if (!ReserveBody(length ? *length : limit)) co_return http::error::buffer_overflow;
    if (beast::iequals(parser.get()[http::field::expect], "100-continue")) {
      http::response<http::empty_body> go_on(http::status::continue_, 11);
      tcp().expires_after(limits_.header_time);
      const auto [error, bytes] = co_await http::async_write(stream_, go_on, kAwait);
      if (error) co_return error;
    }
    tcp().expires_after(limits_.body_time);
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
    SetExpendable(true);
    http::request<http::string_body> unread;
    unread.version(11);
    unread.keep_alive(false);
    co_await Write(std::move(reply), unread);
    error_code ignored;
    if constexpr (!kTls) tcp().socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
    tcp().expires_after(kDrainTime);
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
    SetHeader(response, reply, request);
    response.keep_alive(request.keep_alive());
    const bool is_head = request.method() == http::verb::head;
    if (reply.status != 204 && reply.status != 304) response.content_length(reply.body.size());
    if (!is_head) response.body() = std::move(reply.body);
    http::response_serializer<http::string_body> serializer(response);
    serializer.split(is_head);
    tcp().expires_after(limits_.write_time);
    error_code error;
    if (is_head) {
      std::tie(error, std::ignore) = co_await http::async_write_header(stream_, serializer, kAwait);
    } else {
      std::tie(error, std::ignore) = co_await http::async_write(stream_, serializer, kAwait);
    }
    co_return !error && request.keep_alive();
  }

  // Every reply has its header from here.
  template <class Response>
  void SetHeader(Response& response, const Reply& reply,
                 const http::request<http::string_body>& request) const {
    response.version(request.version());
    response.result(reply.status);
    response.set(http::field::server, "Landfall");
    response.set(http::field::cache_control, "no-cache");
    response.set("X-Content-Type-Options", "nosniff");
    response.set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
    if (!reply.content_type.empty()) response.set(http::field::content_type, reply.content_type);
    for (const auto& [name, value] : reply.headers) response.set(name, value);
    // To that, a browser would ask the person for a password by itself; the console does it better.
    if (from_console_) response.erase(http::field::www_authenticate);
  }

  asio::awaitable<void> WriteStream(Reply reply, const http::request<http::string_body>& request) {
    http::response<http::empty_body> response;
    SetHeader(response, reply, request);
    const bool chunked = request.version() >= 11;
    response.chunked(chunked);
    response.keep_alive(false);
    http::response_serializer<http::empty_body> serializer(response);
    tcp().expires_after(limits_.piece_time);
    const auto [error, bytes] = co_await http::async_write_header(stream_, serializer, kAwait);
    if (error || request.method() == http::verb::head) co_return;
    WatchPeer();
    while (!HasPeerGone()) {
      const std::optional<std::string> piece = co_await NextPiece(*reply.stream);
      if (!piece) {
        const auto last = http::make_chunk_last();
        tcp().expires_after(limits_.piece_time);
        if (chunked) co_await asio::async_write(stream_, last, kAwait);
        co_return;
      }
      // All of them together may not fill the memory either; another piece will come.
      if (books_->answer_bytes + piece->size() > limits_.all_answer_bytes) continue;
      if (!co_await WritePiece(*piece, chunked)) co_return;
    }
  }

  asio::awaitable<std::optional<std::string>> NextPiece(ReplyStream& stream) {
    std::string what;
    try {
      co_return co_await stream.Next();
    } catch (const std::exception& e) {
      what = e.what();
    }
    server::LogError("a stream over HTTP failed", {{"peer", peer_}, {"error", what}});
    co_return std::nullopt;
  }

  // False: the peer has gone, or takes nothing.
  asio::awaitable<bool> WritePiece(const std::string& piece, bool chunked) {
    const asio::const_buffer bytes = asio::buffer(piece);
    books_->answer_bytes += piece.size();
    tcp().expires_after(limits_.piece_time);
    error_code error;
    if (chunked) {
      const auto chunk = http::make_chunk(bytes);
      std::tie(error, std::ignore) = co_await asio::async_write(stream_, chunk, kAwait);
    } else {
      std::tie(error, std::ignore) = co_await asio::async_write(stream_, bytes, kAwait);
    }
    books_->answer_bytes -= piece.size();
    if (error == beast::error::timeout)
      server::LogInfo("an HTTP stream is not read and is closed", {{"peer", peer_}});
    co_return !error;
  }

  // Nothing is read while a stream is written, so that somebody has to look.
  void WatchPeer() {
    const int socket = tcp().socket().native_handle();
    setsockopt(socket, SOL_SOCKET, SO_SNDBUF, &kStreamSendBuffer, sizeof kStreamSendBuffer);
    setsockopt(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, &kStreamPeerTimeMs, sizeof kStreamPeerTimeMs);
  }

  bool HasPeerGone() {
    if (!tcp().socket().is_open()) return true;
    char byte = 0;
    const ssize_t bytes = recv(tcp().socket().native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR);
  }

  void SetExpendable(bool expendable) {
    if (expendable == is_expendable_ || ended_) return;
    is_expendable_ = expendable;
    if (expendable) {
      place_ = books_->expendable.insert(books_->expendable.end(), this);
    } else {
      books_->expendable.erase(place_);
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

  // How many bytes wait for the peer to take them. If too many of them do, it is an excuse: nobody
  // who asks for much and does not read may fill our memory.
  uint64_t HoldAnswer(Reply& reply) {
    const uint64_t others = books_->answer_bytes;
    if (others > 0 && others + reply.body.size() > limits_.all_answer_bytes) {
      reply = ErrorReply(503, "service_unavailable",
                         "too many large answers at a time; try again later");
    }
    books_->answer_bytes += reply.body.size();
    return reply.body.size();
  }

  const std::shared_ptr<Books> books_;
  const HttpLimits& limits_;
  HttpHandler& handler_;
  Stream stream_;
  beast::flat_buffer buffer_;
  std::string peer_;
  bool loopback_ = false;
  bool is_expendable_ = false;
  bool ended_ = false;
  bool from_console_ = false;  // the request at hand
  std::list<Connection*>::iterator place_;
  std::list<Connection*>::iterator own_place_;
  uint64_t reserved_ = 0;
};

HttpServer::HttpServer(asio::io_context& io, HttpHandler& handler, HttpLimits limits)
    : io_(io),
      handler_(handler),
      listener_(io),
      tls_listener_(io),
      books_(std::make_shared<Books>(Books{.limits = limits, .all = {}, .expendable = {}})) {}

HttpServer::~HttpServer() = default;

Result<void> HttpServer::Open(const std::string& option, const server::Endpoint& endpoint) {
  return listener_.Open(option, endpoint);
}

Result<void> HttpServer::OpenTls(const std::string& option, const server::Endpoint& endpoint,
                                 const server::TlsContext& context) {
  tls_ = &context;
  return tls_listener_.Open(option, endpoint);
}

void HttpServer::Start() {
  if (!address().empty()) Listen(listener_, nullptr);
  if (!tls_address().empty()) Listen(tls_listener_, tls_);
}

void HttpServer::Listen(server::Listener& listener, const server::TlsContext* tls) {
  listener.Start([this, tls] {
    return server::Listener::Taker{
        io_, [this, tls](asio::ip::tcp::socket socket) { Take(std::move(socket), tls); }};
  });
}

void HttpServer::Close() {
  listener_.Close();
  tls_listener_.Close();
  for (Connection* connection : books_->all) connection->End();
}

void HttpServer::Take(asio::ip::tcp::socket socket, const server::TlsContext* tls) {
  if (books_->all.size() >= books_->limits.connections && !MakeRoom()) {
    error_code ignored;
    server::LogWarn("HTTP connection refused: too many are open",
                    {{"peer", server::EndpointText(socket.remote_endpoint(ignored))},
                     {"connections", books_->all.size()}});
    return;
  }
  std::shared_ptr<Connection> connection;
  if (tls == nullptr) {
    connection =
        std::make_shared<ConnectionOn<beast::tcp_stream>>(books_, handler_, std::move(socket));
  } else {
    const std::shared_ptr<SSL_CTX> current = tls->current();
    SSL_CTX_up_ref(current.get());  // Asio's gives one back
    asio::ssl::context context(current.get());
    connection = std::make_shared<ConnectionOn<asio::ssl::stream<beast::tcp_stream>>>(
        books_, handler_, std::move(socket), context);
  }
  asio::co_spawn(
      io_, [connection]() -> asio::awaitable<void> { co_await connection->Run(); }, asio::detached);
}

// The one that goes ends with its next step; until then there is one more than the limit.
bool HttpServer::MakeRoom() {
  if (books_->expendable.empty()) return false;
  books_->expendable.front()->End();
  return true;
}

}  // namespace landfall::admin
