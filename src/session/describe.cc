// What others get to see of a connection and its channels.
#include "session/channel.h"
#include "session/connection.h"

namespace landfall::session {

SessionInfo Session::Connection::Describe() const {
  SessionInfo info{.id = context_.id,
                   .user = context_.user,
                   .vhost = context_.vhost,
                   .state = "starting",
                   .mechanism = mechanism_,
                   .channel_max = channel_max_,
                   .frame_max = context_.frame_max,
                   .heartbeat_seconds = heartbeat_seconds_,
                   .connected_at = connected_at_,
                   .bytes_received = received_,
                   .bytes_sent = written_,
                   .client_properties = client_properties_};
  if (phase_ == Phase::kRunning) {
    info.state = alarm_          ? (context_.has_published ? "blocked" : "blocking")
                 : wants_input() ? "running"
                                 : "flow";
  } else if (phase_ > Phase::kRunning) {
    info.state = "closing";
  }
  for (const auto& slot : slots_) {
    if (slot && slot->channel) info.channels.push_back(slot->channel->Describe());
  }
  return info;
}

ChannelInfo Channel::Describe() const {
  ChannelInfo info{.number = id_,
                   .prefetch = prefetch_,
                   .global_prefetch = consumers_.budget(),
                   .confirms = publishing_.confirms_selected(),
                   .transactional = publishing_.transactional(),
                   .unacked = tags_.size(),
                   .unconfirmed = publishing_.confirms_selected() ? publishing_.unconfirmed() : 0};
  consumers_.ForEach([&](const Consumer& consumer) {
    info.consumers.push_back({.id = consumer.id,
                              .tag = consumer.tag,
                              .queue = consumer.queue,
                              .no_ack = consumer.no_ack});
  });
  return info;
}

}  // namespace landfall::session
