#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "admin/caller.h"

// What somebody asks over HTTP, taken apart. Pure: no socket, no thread.
namespace landfall::admin {

// The parameters behind the ? of a target, decoded. A name may come twice; the first one counts.
class Query {
 public:
  void Add(std::string name, std::string value) {
    parameters_.emplace_back(std::move(name), std::move(value));
  }
  // Null: there is none of that name. The pointer lives as long as the query.
  const std::string* Find(std::string_view name) const;
  std::string_view Get(std::string_view name) const;  // "": not there
  // Of a name that may come several times.
  std::vector<std::string_view> All(std::string_view name) const;
  bool IsTrue(std::string_view name) const { return Get(name) == "true"; }

 private:
  std::vector<std::pair<std::string, std::string>> parameters_;
};

// "/api/queues/%2F/orders?page=1": the path is {"api", "queues", "/", "orders"}. A slash at the end
// counts for nothing.
struct Target {
  std::vector<std::string> path;
  Query query;
};

// Nothing: it does not begin with a slash, or a percent sign is not followed by two hex digits.
std::optional<Target> ParseTarget(std::string_view target);

// As in a path (RFC 3986): everything but letters, digits and -._~ is percent-encoded.
std::string EncodeSegment(std::string_view text);
// Nothing: a percent sign is not followed by two hex digits.
std::optional<std::string> DecodeSegment(std::string_view text);

struct Credentials {
  std::string user;
  std::string password;
};
// Of an Authorization header with the scheme Basic (RFC 7617); nothing: it is no such header.
std::optional<Credentials> ParseBasic(std::string_view header);

// Base64 with the usual alphabet and padding.
std::string EncodeBase64(std::string_view bytes);
std::optional<std::string> DecodeBase64(std::string_view text);

struct Request {
  std::string method;  // "GET"
  Target target;
  std::string body;
  std::string peer;  // "127.0.0.1:4711"
  bool loopback = false;
  // Header fields; "" if they are not there.
  std::string authorization;
  std::string host;
  std::string origin;
  std::string fetch_site;
  std::string cookie;
  std::string if_none_match;
  std::string accept;
  // From the page that we have served: no other one can set its header, which a browser asks us
  // about first.
  bool from_console = false;
  bool tls = false;
  // Bytes; whoever admits the request may make it smaller.
  uint64_t body_limit = std::numeric_limits<uint64_t>::max();
  // Once it is known who asks.
  Caller caller{};
};

// The value of a cookie in a Cookie header; nothing: it is not there.
std::optional<std::string_view> FindCookie(std::string_view header, std::string_view name);

// GET, HEAD and OPTIONS: nothing is changed by them.
bool IsSafe(std::string_view method);

// A page of another origin than ours made the browser send it: with the person's credentials, but
// not on the person's behalf. What only reads is let through, since the page cannot read it.
bool IsForged(const Request& request);

}  // namespace landfall::admin
