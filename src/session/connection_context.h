#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "access/accounts.h"
#include "amqp/method.h"
#include "base/bytes.h"
#include "base/rng.h"
#include "broker/topology_request.h"
#include "broker/topology_snapshot.h"
#include "broker/types.h"
#include "session/session.h"
#include "session/shard_outbox.h"
#include "session/written_credit.h"

namespace landfall::session {

// What the peer said it understands (client-properties, "capabilities").
struct PeerCapabilities {
  bool consumer_cancel_notify = false;
  bool connection_blocked = false;
  bool authentication_failure_close = false;
  bool landfall_extensions = false;
};

// What the channels of a connection share.
struct ConnectionContext {
  ConnectionContext(broker::SessionId session, const SessionOptions& session_options,
                    SessionPorts& session_ports, uint64_t seed)
      : id(session),
        options(session_options),
        ports(session_ports),
        shards(session, session_ports),
        credit(session_options.max_unwritten_bytes),
        rng(seed) {}

  template <class M>
  void Send(broker::ChannelId channel, const M& method) {
    amqp::AppendMethodFrame(out, channel, method);
  }
  // Of the next byte of output, counted from the start of the connection.
  uint64_t OutputOffset() const { return taken + out.size(); }

  broker::VhostRef FindVhost() const { return ports.topology().FindVhost(vhost); }
  broker::QueueInfoRef FindQueue(ByteView name) const {
    return ports.topology().FindQueue(vhost, name);
  }
  // Takes the user's account and permissions from there; without an account there are none. The
  // next check of every channel sees it.
  void Adopt(const access::AccountsRef& accounts) {
    account = accounts->Find(user);
    permissions = account ? account->In(vhost) : nullptr;
    max_queues = accounts->LimitsOf(vhost).max_queues;
    ++access_version;
  }
  // Null: no queue keeps stories.
  broker::OriginRef OriginForStories() const {
    return ports.topology().traced_queues > 0 ? origin : nullptr;
  }
  // To the topology, and for shards that this session is not known to yet.
  void AskTopology(broker::ChannelId channel, broker::TopologyRequestBody body) {
    ports.ToTopology(broker::TopologyRequest{id, channel, vhost, std::move(body)});
  }
  // Sends a command to a shard that will have to be told when the session ends.
  void ToShard(broker::ShardId shard, broker::CommandBody body) {
    TouchShard(shard);
    shards.Send(shard, std::move(body));
  }
  void TouchShard(broker::ShardId shard) {
    if (!touched_shards.empty() && touched_shards.back() == shard) return;
    for (broker::ShardId& s : touched_shards) {
      if (s == shard) {
        std::swap(s, touched_shards.back());
        return;
      }
    }
    touched_shards.push_back(shard);
  }

  const broker::SessionId id;
  const SessionOptions options;
  SessionPorts& ports;
  PeerCapabilities peer;
  std::string user;
  std::string vhost;
  broker::OriginRef origin;            // from the login on
  access::AccountRef account;          // from the login on; null again: the user is gone
  access::PermissionsRef permissions;  // in `vhost`
  std::optional<uint32_t> max_queues;  // there may be in `vhost`
  uint64_t access_version = 0;         // +1 with each change of these
  uint32_t frame_max = 0;

  ByteBuffer out;
  uint64_t taken = 0;  // bytes of output that the shell has taken before out[0]

  ShardOutbox shards;
  WrittenCredit credit;
  Rng rng;
  // Those that must hear that the session has ended, the last used one at the end.
  std::vector<broker::ShardId> touched_shards;
  // Channels whose confirms wait to be written.
  std::vector<broker::ChannelId> unflushed_confirms;
  // Bodies of which a part has arrived, over all channels.
  uint64_t assembling_bytes = 0;
  // Publishes that a channel still keeps: not settled, or settled behind one that is not.
  uint64_t open_publishes = 0;
  // Channels whose transactions have landed and are not answered yet.
  std::vector<broker::ChannelId> landed_commits;
  // Published in transactions that have not been committed, over all channels.
  uint64_t transaction_bytes = 0;
  uint64_t transaction_messages = 0;
  broker::ConsumerId last_consumer = 0;
  uint64_t last_token = 0;
  uint64_t reply_consumers = 0;  // made so far
  bool has_published = false;
  bool may_own_queues = false;  // exclusive ones
  bool may_hold_deliveries = false;
  bool leases_paused = false;
};

}  // namespace landfall::session
