#include "admin/statistics_table.h"

#include <algorithm>

namespace landfall::admin {

QueueRates& QueueRates::operator+=(const QueueRates& other) {
  publish += other.publish;
  deliver += other.deliver;
  redeliver += other.redeliver;
  ack += other.ack;
  messages += other.messages;
  ready += other.ready;
  unacked += other.unacked;
  return *this;
}

const QueueRow& StatisticsTable::Of(broker::QueueId id) const {
  static const QueueRow kNothing;
  const auto it = queues.find(id);
  return it == queues.end() ? kNothing : it->second;
}

const ConnectionRow* StatisticsTable::ConnectionOf(broker::SessionId id) const {
  const auto id_of = [](const ConnectionRow& row) { return row.info.session.id; };
  const auto it = std::ranges::lower_bound(connections, id, {}, id_of);
  return it == connections.end() || id_of(*it) != id ? nullptr : &*it;
}

std::string_view StatisticsTable::TagOf(const broker::ConsumerReport& consumer) const {
  const ConnectionRow* row = ConnectionOf(consumer.session);
  if (row == nullptr) return "";
  const auto& channels = row->info.session.channels;
  const auto channel =
      std::ranges::lower_bound(channels, consumer.channel, {}, &session::ChannelInfo::number);
  if (channel == channels.end() || channel->number != consumer.channel) return "";
  const auto& consumers = channel->consumers;
  const auto found =
      std::ranges::lower_bound(consumers, consumer.consumer, {}, &session::ConsumerInfo::id);
  if (found == consumers.end() || found->id != consumer.consumer) return "";
  return found->tag;
}

}  // namespace landfall::admin
