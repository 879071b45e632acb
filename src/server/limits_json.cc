#include "server/limits_json.h"

namespace landfall::server {

using nlohmann::json;

json LimitsForm(const access::VhostLimits& limits) {
  json form = json::object();
  if (limits.max_connections) form[kMaxConnectionsLimit] = *limits.max_connections;
  if (limits.max_queues) form[kMaxQueuesLimit] = *limits.max_queues;
  return form;
}

json LimitsForm(const User& user) {
  json form = json::object();
  if (user.max_connections) form[kMaxConnectionsLimit] = *user.max_connections;
  if (user.max_channels) form[kMaxChannelsLimit] = *user.max_channels;
  return form;
}

}  // namespace landfall::server
