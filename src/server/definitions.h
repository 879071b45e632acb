#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"
#include "server/user_definitions.h"

// What there is on a broker apart from messages, as a file in the JSON format in which RabbitMQ
// exports and imports it ("definitions").
namespace landfall::server {

struct Definitions {
  struct Step {
    std::string place;  // for an error: "queues[3] (orders in /)"
    broker::TopologyRequest request;
  };
  // In an order that works. Each may be done twice.
  std::vector<Step> steps;
  UserDefinitions users;
  // What the file has and does not exist here, each with its place and why:
  // "parameters[1] (s in /): there is no shovel here".
  std::vector<std::string> left_out;
};

// Errors (kInvalidArgument) name the place in the file and repeat no password. Says nothing about
// what only the broker knows, such as a queue that exists with other arguments.
Result<Definitions> ParseDefinitions(std::string_view json);
// As ParseDefinitions; errors begin with the file's name.
Result<Definitions> ReadDefinitions(const std::string& file);

// Whether each vhost that the definitions give permissions in is one of theirs or, as `exists`
// says, there already; asked once for each. kNotFound, with user and vhost, or what `exists` fails
// with.
Result<void> CheckPermissionVhosts(const Definitions& definitions,
                                   const std::function<Result<bool>(const std::string&)>& exists);

// All that survives a restart, sorted; without `users` nothing of users and limits. The hashes of
// passwords are in it. What has a name or an argument that is no UTF-8, which JSON cannot say, is
// left out; how much that is stands under "explanation".
Result<std::string> WriteDefinitions(const broker::TopologySnapshot& snapshot,
                                     const UserTable* users);

}  // namespace landfall::server
