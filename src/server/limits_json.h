#pragma once

#include <nlohmann/json.hpp>

#include "access/accounts.h"
#include "server/user_table.h"

// Limits as RabbitMQ writes them in definitions and in its HTTP API. Heavy (nlohmann/json): for .cc
// files.
namespace landfall::server {

inline constexpr const char* kMaxConnectionsLimit = "max-connections";
inline constexpr const char* kMaxChannelsLimit = "max-channels";
inline constexpr const char* kMaxQueuesLimit = "max-queues";

// An object of those that are set; empty: none is.
nlohmann::json LimitsForm(const access::VhostLimits& limits);
nlohmann::json LimitsForm(const User& user);

}  // namespace landfall::server
