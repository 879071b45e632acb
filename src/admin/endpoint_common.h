#pragma once

#include <algorithm>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/backend.h"
#include "admin/forms.h"
#include "admin/listing.h"
#include "admin/local_channel.h"
#include "admin/router.h"
#include "server/table_json.h"

// What endpoints have in common. Heavy: for their .cc files.
namespace landfall::admin {

using boost::asio::awaitable;
using nlohmann::json;

// In the order of their names.
std::vector<broker::VhostRef> VhostsOf(const broker::TopologySnapshot& topology);
std::vector<broker::VhostRef> VisibleVhosts(const broker::TopologySnapshot& topology,
                                            const Caller& caller);

// The vhost of a path, or why it is not for the caller.
std::expected<broker::VhostRef, Reply> FindVhost(const broker::TopologySnapshot& topology,
                                                 const Caller& caller, const std::string& name);
// A queue to which the caller has that access, or why not. What they may consume (kRead) they may
// see.
std::expected<broker::QueueInfoRef, Reply> FindUsableQueue(const broker::TopologySnapshot& topology,
                                                           const Caller& caller,
                                                           access::Access access,
                                                           const std::string& vhost,
                                                           const std::string& name);
// "amq.default" in a path is the exchange without a name.
std::string ExchangeName(const std::string& segment);

// The connection that has the queue exclusively. Its name is an address, which is not for
// everybody: "" then.
std::string OwnerOf(const broker::QueueInfo& queue, const StatisticsTable& table,
                    const Caller& caller);
// A queue as lists have it.
json QueueEntry(Backend& backend, const broker::Vhost& vhost, const broker::QueueInfo& queue,
                const StatisticsTable& table, const Caller& caller);

// The body as an object; an empty one counts as {}. What it becomes in memory is bounded by
// `max_values` (see CountJsonValues).
std::expected<json, Reply> BodyOf(const Request& request, size_t max_values = 100'000);
// Definitions may have as many as this.
inline constexpr size_t kMaxDefinitionValues = 2'000'000;
// Nothing: there are no more values in the body than that.
std::optional<Reply> RefuseValuesBeyond(size_t max_values, const Request& request);

// What is done with AMQP in the vhost that the first name of the path is. Permissions in it are the
// user's, whatever the tags say.
awaitable<Reply> WithVhostChannel(
    Backend& backend, Call& call, LocalChannel::Use use,
    LocalChannel::Extensions extensions = LocalChannel::Extensions::kNo);

// A method that is answered by a method: one step, one reply.
template <class Answer, class Method>
awaitable<std::expected<Incoming, Reply>> Ask(LocalChannel& channel, const Method& method) {
  Incoming answer = co_await channel.Call(method);
  if (answer.method != Answer::kId) co_return std::unexpected(ReplyToRefusal(answer));
  co_return answer;
}

}  // namespace landfall::admin
