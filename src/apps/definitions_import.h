#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/url.h"
#include "server/definitions.h"

namespace landfall::apps {

struct ImportReport {
  size_t done = 0;                   // exchanges, queues and bindings that are there now
  std::vector<std::string> skipped;  // what AMQP cannot make, by its place in the file
};

// Makes exchanges, queues and bindings by plain AMQP, one connection a vhost, as the user of
// `broker`, whose vhost does not matter. Vhosts, policies and users are beyond AMQP. Stops at the
// first refusal, with the place in the file and the broker's words; what was made before it stays.
Result<ImportReport> ImportDefinitions(const server::Definitions& definitions,
                                       const client::BrokerUrl& broker);

// Whether the broker has the vhost, as it tells the user of `broker`; one that this user must not
// enter is there. Errors: as PerfConnection::Open has them, but for the refusal of a vhost.
Result<bool> HasVhost(const client::BrokerUrl& broker, const std::string& vhost);

}  // namespace landfall::apps
