#include "apps/api_client.h"

#include <fmt/format.h>
#include <sodium.h>

#include <algorithm>
#include <boost/algorithm/string/predicate.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <optional>

#include "net/tls_settings.h"

namespace landfall::apps {
namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;
using nlohmann::json;

namespace {

constexpr size_t kPageSize = 500;
constexpr size_t kMaxHeaderBytes = 64 * 1024;

std::string Base64(std::string_view text) {
  constexpr int kVariant = sodium_base64_VARIANT_ORIGINAL;
  std::string out(sodium_base64_ENCODED_LEN(text.size(), kVariant), '\0');
  sodium_bin2base64(out.data(), out.size(), reinterpret_cast<const unsigned char*>(text.data()),
                    text.size(), kVariant);
  out.pop_back();  // the end of a C string
  return out;
}

Result<uint16_t> ParsePort(std::string_view text) {
  uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port == 0)
    return Fail(ErrorCode::kInvalidArgument, fmt::format("'{}' is no port", text));
  return port;
}

bool IsUnreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

Result<ApiAddress> ParseApiUrl(const std::string& url) {
  const auto wrong = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("the URL of the HTTP API {}", why));
  };
  std::string_view rest = url;
  ApiAddress address;
  address.tls = boost::algorithm::istarts_with(rest, "https://");
  if (!address.tls && !boost::algorithm::istarts_with(rest, "http://"))
    return wrong("must be like http://127.0.0.1:15672 or https://broker.example:15671");
  if (address.tls) address.port = 15671;
  rest.remove_prefix(std::string_view(address.tls ? "https://" : "http://").size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  address.path = rest.substr(slash);
  while (address.path.ends_with('/')) address.path.pop_back();
  std::string_view authority = rest.substr(0, slash);
  if (authority.find('@') != std::string_view::npos)
    return wrong("must not have a user or a password in it: say --user and --password-file");
  const size_t bracket = authority.find(']');  // of an IPv6 address
  const size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  if (colon != std::string_view::npos) {
    const auto port = ParsePort(authority.substr(colon + 1));
    if (!port) return std::unexpected(port.error());
    address.port = *port;
    authority = authority.substr(0, colon);
  }
  if (authority.starts_with('[') && authority.ends_with(']'))
    authority = authority.substr(1, authority.size() - 2);
  if (authority.empty()) return wrong("has no host");
  if (address.path.find_first_of("?# \r\n") != std::string::npos)
    return wrong("has a strange path");
  address.host = authority;
  return address;
}

std::string Quoted(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (IsUnreserved(c)) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string WithQuery(std::string path, const QueryFields& fields) {
  char separator = '?';
  for (const auto& [name, value] : fields) {
    path += separator + Quoted(name) + '=' + Quoted(value);
    separator = '&';
  }
  return path;
}

struct ApiClient::Tls {
  asio::ssl::context context{asio::ssl::context::tls_client};
};

// A connection. Beast's timeouts hold for asynchronous operations only, so each is one, run to its
// end.
class ApiClient::Wire {
 public:
  using Request = http::request<http::string_body>;
  using Response = http::response<http::string_body>;

  Wire(std::chrono::seconds timeout, Tls* tls) : timeout_(timeout) {
    if (tls != nullptr) tls_.emplace(stream_, tls->context);
  }

  error_code Connect(const ApiAddress& address) {
    asio::ip::tcp::resolver resolver(io_);
    error_code error;
    const auto found = resolver.resolve(address.host, std::to_string(address.port), error);
    if (error) return error;
    stream_.expires_after(std::min(timeout_, std::chrono::seconds(10)));
    stream_.async_connect(found, [&](error_code e, const auto&) { error = e; });
    Run();
    if (error || !tls_) return error;
    // The server is who its certificate says, and the name is the one that was asked for.
    tls_->set_verify_mode(asio::ssl::verify_peer);
    tls_->set_verify_callback(asio::ssl::host_name_verification(address.host));
    SSL_set_tlsext_host_name(tls_->native_handle(), address.host.c_str());
    tls_->async_handshake(asio::ssl::stream_base::client, [&](error_code e) { error = e; });
    Run();
    return error;
  }

  error_code Exchange(const Request& request, Response& response) {
    return tls_ ? Exchange(*tls_, request, response) : Exchange(stream_, request, response);
  }

 private:
  template <class Stream>
  error_code Exchange(Stream& stream, const Request& request, Response& response) {
    error_code error;
    stream_.expires_after(timeout_);
    http::async_write(stream, request, [&](error_code e, size_t) { error = e; });
    Run();
    if (error) return error;
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswerBytes);
    parser.header_limit(kMaxHeaderBytes);
    http::async_read(stream, buffer_, parser, [&](error_code e, size_t) { error = e; });
    Run();
    if (!error) response = parser.release();
    return error;
  }

  void Run() {
    io_.restart();
    io_.run();
  }

  const std::chrono::seconds timeout_;
  asio::io_context io_;
  beast::tcp_stream stream_{io_};
  std::optional<asio::ssl::stream<beast::tcp_stream&>> tls_;
  beast::flat_buffer buffer_;
};

Result<std::unique_ptr<ApiClient>> ApiClient::Make(ApiAddress address, const Login& login,
                                                   const std::string& ca_file,
                                                   std::chrono::seconds timeout) {
  std::unique_ptr<Tls> tls;
  if (address.tls) {
    tls = std::make_unique<Tls>();
    SSL_CTX* context = tls->context.native_handle();
    net::RestrictTls(context);
    if (ca_file.empty()) {
      SSL_CTX_set_default_verify_paths(context);
    } else if (auto trusted = net::TrustAuthorities(context, {ca_file, "--ca"}); !trusted) {
      return std::unexpected(trusted.error());
    }
  }
  return std::unique_ptr<ApiClient>(
      new ApiClient(std::move(address), login, std::move(tls), timeout));
}

ApiClient::ApiClient(ApiAddress address, const Login& login, std::unique_ptr<Tls> tls,
                     std::chrono::seconds timeout)
    : address_(std::move(address)),
      authorization_("Basic " + Base64(login.user + ":" + login.password)),
      timeout_(timeout),
      tls_(std::move(tls)) {}

ApiClient::~ApiClient() = default;

std::string ApiClient::Where() const {
  const bool v6 = address_.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", address_.host, v6 ? "]" : "", address_.port);
}

Outcome<ApiClient::Answer> ApiClient::Send(std::string_view method, const std::string& target,
                                           const json& body) {
  Wire::Request request(http::string_to_verb(method), address_.path + target, 11);
  request.set(http::field::host, Where());
  request.set(http::field::authorization, authorization_);
  request.set(http::field::user_agent, "landfall");
  request.set(http::field::accept, "application/json");
  if (!body.is_null()) {
    request.set(http::field::content_type, "application/json");
    request.body() = body.dump(-1, ' ', false, json::error_handler_t::replace);
  }
  request.prepare_payload();
  // A connection that has been kept may be closed by now. What changes something must not be sent
  // twice, so it gets a connection of its own.
  if (method != "GET") wire_.reset();
  Wire::Response response;
  for (bool kept = wire_ != nullptr;; kept = false) {
    error_code error;
    if (wire_ == nullptr) {
      wire_ = std::make_unique<Wire>(timeout_, tls_.get());
      error = wire_->Connect(address_);
    }
    if (!error) error = wire_->Exchange(request, response);
    if (!error) break;
    wire_.reset();
    if (!kept)
      return Failing(kExitUnreachable, fmt::format("the HTTP API at {} does not answer: {}",
                                                   Where(), error.message()));
  }
  if (!response.keep_alive()) wire_.reset();
  Answer answer{.status = response.result_int(), .body = nullptr};
  if (response.body().empty()) return answer;
  answer.body = json::parse(response.body(), nullptr, false);
  if (answer.body.is_discarded())
    return Failing(kExitFailed, fmt::format("what answers at {} is not the HTTP API: status {}, "
                                            "and no JSON",
                                            Where(), answer.status));
  return answer;
}

Outcome<json> ApiClient::Ask(std::string_view method, const std::string& target, const json& body) {
  auto answer = Send(method, target, body);
  if (!answer) return std::unexpected(std::move(answer).error());
  if (answer->status / 100 != 2) return std::unexpected(FailureOf(*answer));
  return std::move(answer->body);
}

Outcome<json> ApiClient::GetList(const std::string& path, QueryFields query, size_t at_most) {
  const size_t size = std::clamp<size_t>(at_most, 1, kPageSize);
  query.emplace_back("page_size", std::to_string(size));
  query.emplace_back("page", "");
  json all = json::array();
  for (size_t page = 1; all.size() < at_most; ++page) {
    query.back().second = std::to_string(page);
    auto answer = Send("GET", WithQuery(path, query));
    if (!answer) return std::unexpected(std::move(answer).error());
    // It has become shorter than it was.
    if (answer->status == 400 && page > 1) break;
    if (answer->status != 200) return std::unexpected(FailureOf(*answer));
    if (!answer->body.is_object() || !answer->body.contains("items"))
      return Failing(kExitFailed, fmt::format("{} has not answered with a page", path));
    for (json& item : answer->body["items"]) {
      if (all.size() < at_most) all.push_back(std::move(item));
    }
    if (answer->body["items"].empty() || page >= answer->body.value("page_count", size_t{1})) break;
  }
  return all;
}

Failure FailureOf(const ApiClient::Answer& answer) {
  std::string why;
  if (answer.body.is_object() && answer.body.contains("reason") &&
      answer.body["reason"].is_string())
    why = answer.body["reason"];
  if (why.empty()) why = fmt::format("the broker has answered with status {}", answer.status);
  switch (answer.status) {
    case 401:
    case 403:
    case 429:
      return {kExitRefused, why};
    case 404:
      return {kExitNotFound, why};
    case 408:
    case 503:
    case 504:
      return {kExitUnreachable, why};
    default:
      return {kExitFailed, why};
  }
}

}  // namespace landfall::apps
