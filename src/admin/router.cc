#include "admin/router.h"

#include <optional>

#include "base/assert.h"

namespace landfall::admin {
namespace {

// What AMQP names with; anything longer names nothing.
constexpr size_t kMaxNameBytes = 255;

bool IsName(const std::string& segment) { return segment.starts_with('{'); }

// The key of a binding is a routing key that has been encoded.
bool Fits(const std::string& pattern, const std::string& name) {
  return name.size() <= kMaxNameBytes || pattern == "{key}";
}

std::optional<std::vector<std::string>> MatchPath(const std::vector<std::string>& pattern,
                                                  const std::vector<std::string>& path) {
  if (pattern.size() != path.size()) return std::nullopt;
  std::vector<std::string> names;
  for (size_t i = 0; i < path.size(); ++i) {
    if (IsName(pattern[i]) && Fits(pattern[i], path[i])) {
      names.push_back(path[i]);
    } else if (pattern[i] != path[i]) {
      return std::nullopt;
    }
  }
  return names;
}

}  // namespace

void Router::Add(std::initializer_list<Route> routes) {
  for (const Route& route : routes) {
    auto target = ParseTarget(route.pattern);
    LANDFALL_ASSERT(target.has_value());
    routes_.push_back(route);
    patterns_.push_back(std::move(target->path));
  }
}

Router::Match Router::Find(std::string_view method, const std::vector<std::string>& path) const {
  if (method == "HEAD") method = "GET";
  Match match;
  for (size_t i = 0; i < routes_.size(); ++i) {
    auto names = MatchPath(patterns_[i], path);
    if (!names) continue;
    if (routes_[i].method == method) {
      match.route = &routes_[i];
      match.names = std::move(*names);
      return match;
    }
    if (!match.allowed.empty()) match.allowed += ", ";
    match.allowed += routes_[i].method;
  }
  return match;
}

}  // namespace landfall::admin
