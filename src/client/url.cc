#include "client/url.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <utility>

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

// The URL for error messages: without what may be its password, or a secret among its parameters.
std::string WithoutSecrets(std::string_view url) {
  const size_t scheme = url.find("://");
  size_t start = scheme == std::string_view::npos ? 0 : scheme + 3;
  const size_t at = url.rfind('@');
  const size_t query = url.find('?');
  const std::string shown(url.substr(0, start));
  // Whether the '?' belongs to the password or the '@' to a parameter nobody can say.
  if (at != std::string_view::npos && query < at) return shown + "…";
  if (at != std::string_view::npos && at >= start) start = at;
  return shown + (start == at ? "…" : "") +
         std::string(url.substr(start, query == std::string_view::npos ? query : query - start)) +
         (query == std::string_view::npos ? "" : "?…");
}

std::unexpected<Error> Bad(std::string_view url, std::string_view why) {
  return Fail(ErrorCode::kInvalidArgument,
              "cannot read the broker URL '" + WithoutSecrets(url) + "': " + std::string(why) +
                  " (expected amqp://user:password@host:port/vhost, or amqps://)");
}

// Of a parameter with a value of its own kind: what to say if it is another.
using Wrong = std::optional<std::string>;

Wrong SetText(std::string& field, std::string value) {
  if (value.empty() || value.find('\0') != std::string::npos) return "needs a value";
  field = std::move(value);
  return std::nullopt;
}

Wrong SetVerify(BrokerTls& tls, const std::string& value) {
  if (value != "verify_peer" && value != "verify_none") return "is verify_peer or verify_none";
  tls.verify = value == "verify_peer";
  return std::nullopt;
}

Wrong SetMechanism(BrokerUrl& url, std::string value) {
  for (char& c : value) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  if (value != "plain" && value != "external") return "is plain or external";
  url.mechanism = value == "plain" ? SaslMechanism::kPlain : SaslMechanism::kExternal;
  return std::nullopt;
}

Wrong SetParameter(BrokerUrl& url, std::string_view name, std::string value) {
  if (name == "auth_mechanism") return SetMechanism(url, std::move(value));
  if (!url.tls)
    return "has no meaning here: among the parameters of amqp:// is only auth_mechanism";
  if (name == "cacertfile") return SetText(url.tls->ca_file, std::move(value));
  if (name == "certfile") return SetText(url.tls->certificate_file, std::move(value));
  if (name == "keyfile") return SetText(url.tls->key_file, std::move(value));
  if (name == "server_name_indication") return SetText(url.tls->server_name, std::move(value));
  if (name == "verify") return SetVerify(*url.tls, value);
  return "is none of cacertfile, certfile, keyfile, verify, server_name_indication, auth_mechanism";
}

// What is after '?'. Gives what is wrong.
Wrong ReadParameters(BrokerUrl& url, std::string_view query) {
  std::set<std::string_view> seen;
  while (!query.empty()) {
    const size_t end = std::min(query.find('&'), query.size());
    const std::string_view setting = query.substr(0, end);
    query.remove_prefix(std::min(end + 1, query.size()));
    const size_t equals = std::min(setting.find('='), setting.size());
    const std::string_view name = setting.substr(0, equals);
    const std::string parameter = "the parameter '" + std::string(name) + "' ";
    if (!seen.insert(name).second) return parameter + "is given twice";
    auto value = PercentDecode(setting.substr(std::min(equals + 1, setting.size())));
    if (!value) return parameter + "has a '%' that is not followed by two hex digits";
    if (auto wrong = SetParameter(url, name, *std::move(value))) return parameter + *wrong;
  }
  return std::nullopt;
}

}  // namespace

std::string BrokerUrl::Address() const {
  const bool v6 = host.find(':') != std::string::npos;
  return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

Result<BrokerUrl> ParseBrokerUrl(std::string_view url) {
  BrokerUrl result;
  std::string_view rest = url;
  if (rest.starts_with("amqps://")) {
    result.tls.emplace();
    result.port = 5671;
  } else if (!rest.starts_with("amqp://")) {
    return Bad(url, "it does not start with amqp:// or amqps://");
  }
  rest.remove_prefix(rest.find("://") + 3);
  if (rest.find('#') != std::string_view::npos) return Bad(url, "'#' is written %23");
  const size_t query = rest.find('?');
  if (query != std::string_view::npos) {
    // A password with a '?' in it must not be taken for parameters, and shown as such.
    if (rest.find('@', query) != std::string_view::npos) {
      return Bad(url, "a '?' before the '@' is written %3F, an '@' after a '?' %40");
    }
    if (const Wrong wrong = ReadParameters(result, rest.substr(query + 1))) return Bad(url, *wrong);
    rest = rest.substr(0, query);
  }

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
  if (result.host.empty() || result.host == ".") return Bad(url, "it names no host");
  // One that C strings would take for a shorter one must not be checked as that.
  if (result.host.find('\0') != std::string::npos) return Bad(url, "the host has a NUL in it");
  if (result.tls && result.tls->server_name == ".") return Bad(url, "'.' is the name of no server");
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
