#include "client/url.h"

#include <charconv>
#include <optional>

#include "amqp/table.h"

namespace landfall::client {
namespace {

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> PercentDecode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = HexDigit(text[i + 1]);
    const int low = HexDigit(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high << 4 | low);
    i += 2;
  }
  return out;
}

// The URL without what may be its password, for error messages.
std::string WithoutPassword(std::string_view url) {
  const size_t at = url.rfind('@');
  if (at == std::string_view::npos) return std::string(url);
  const size_t scheme = url.find("://");
  const size_t start = scheme == std::string_view::npos || scheme > at ? 0 : scheme + 3;
  return std::string(url.substr(0, start)) + "…" + std::string(url.substr(at));
}

std::unexpected<Error> Bad(std::string_view url, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument, "cannot read the broker URL '" + WithoutPassword(url) +
                                               "': " + std::string(why) +
                                               " (expected amqp://user:password@host:port/vhost)");
}

}  // namespace

std::string BrokerUrl::Address() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<BrokerUrl> ParseBrokerUrl(std::string_view url) {
  constexpr std::string_view kScheme = "amqp://";
  if (url.starts_with("amqps://")) {
    return Fail(
        ErrorCode::kInvalidArgument,
        "cannot use '" + WithoutPassword(url) + "': TLS (amqps) is not supported yet; use amqp://");
  }
  if (!url.starts_with(kScheme)) return Bad(url, "it does not start with amqp://");
  std::string_view rest = url.substr(kScheme.size());
  if (rest.find_first_of("?#") != std::string_view::npos) {
    return Bad(url, "parameters after '?' or '#' are not supported");
  }

  BrokerUrl result;
  const size_t slash = rest.find('/');
  if (slash != std::string_view::npos) {
    const auto vhost = PercentDecode(rest.substr(slash + 1));
    if (!vhost) return Bad(url, "the vhost has a '%' that is not followed by two hex digits");
    if (rest.substr(slash + 1).find('/') != std::string_view::npos) {
      return Bad(url, "a '/' inside the vhost is written %2F");
    }
    if (vhost->size() > amqp::kMaxShortString) return Bad(url, "the vhost is above 255 bytes");
    if (!vhost->empty()) result.vhost = *vhost;
    rest = rest.substr(0, slash);
  }

  const size_t at = rest.rfind('@');
  if (at != std::string_view::npos) {
    const std::string_view login = rest.substr(0, at);
    const size_t colon = login.find(':');
    const auto user = PercentDecode(login.substr(0, colon));
    const auto password = PercentDecode(colon == std::string_view::npos ? std::string_view()
                                                                        : login.substr(colon + 1));
    if (!user || !password) {
      return Bad(url, "user or password has a '%' that is not followed by two hex digits");
    }
    if (user->empty()) return Bad(url, "the user before '@' is empty");
    result.user = *user;
    result.password = *password;
    rest = rest.substr(at + 1);
  }

  std::string_view port;
  if (rest.starts_with('[')) {
    const size_t end = rest.find(']');
    if (end == std::string_view::npos) return Bad(url, "the ']' of the IPv6 address is missing");
    result.host = rest.substr(1, end - 1);
    port = rest.substr(end + 1);
    if (!port.empty() && port.front() != ':') return Bad(url, "something follows the ']'");
  } else {
    const size_t colon = rest.find(':');
    result.host = rest.substr(0, colon);
    if (colon != std::string_view::npos) port = rest.substr(colon);
  }
  if (result.host.empty()) return Bad(url, "it names no host");
  if (!port.empty()) {
    port.remove_prefix(1);
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), result.port);
    if (error != std::errc() || end != port.data() + port.size() || result.port == 0) {
      return Bad(url, "the port is not a number from 1 to 65535");
    }
  }
  return result;
}

}  // namespace landfall::client
