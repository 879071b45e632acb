#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "admin/caller.h"
#include "admin/reply.h"
#include "admin/request.h"

namespace landfall::admin {

class Backend;

// A request on its way through an endpoint.
struct Call {
  Request& request;
  Caller caller;
  // What stands in place of the pattern's {…}, in order.
  std::vector<std::string> names{};

  const Query& query() const { return request.target.query; }
};

using Endpoint = boost::asio::awaitable<Reply> (*)(Backend&, Call&);

// Of what is sent to an endpoint that does not say otherwise.
inline constexpr uint64_t kBodyBytes = uint64_t{1} << 20;

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/api/queues/{vhost}/{name}"
  Need need = Need::kManagement;
  Endpoint endpoint = nullptr;
  // Of what is sent to it, besides the bound for all.
  uint64_t body_limit = kBodyBytes;
  // Of a PUT: what the path names is made, so its names have to be such that JSON can say them.
  bool makes_names = true;
};

// Which endpoint serves what. Routes are tried in order.
class Router {
 public:
  void Add(std::initializer_list<Route> routes);

  struct Match {
    const Route* route = nullptr;  // null: nothing is there, or not with this method
    std::vector<std::string> names;
    std::string allowed;  // the methods of the path, "GET, PUT"; "": there is no such path
  };
  // HEAD counts as GET.
  Match Find(std::string_view method, const std::vector<std::string>& path) const;
  const std::vector<Route>& routes() const { return routes_; }

 private:
  std::vector<Route> routes_;
  std::vector<std::vector<std::string>> patterns_;  // of the same index, taken apart
};

}  // namespace landfall::admin
