// What the shard tells of messages that are traced.
#include <fmt/format.h>

#include <algorithm>
#include <string>

#include "broker/dead_letter.h"
#include "broker/shard.h"

namespace landfall::broker {
namespace {

// Of more bindings than these nobody looks for the one that a message has come by.
constexpr size_t kBindingsSearched = 1000;
constexpr size_t kBindingsTold = 3;
// When so much waits for the journal, what is told keeps no more of headers: one message to very
// many queues must not make a batch of any size.
constexpr size_t kRoomyBatch = size_t{1} << 20;

bool Matches(const Exchange& exchange, const Binding& binding, const RoutingKeys& keys,
             const amqp::PropertiesView& properties) {
  switch (exchange.routing()) {
    case ExchangeType::kFanout:
    case ExchangeType::kConsistentHash:  // by it or by another of the same queue
      return true;
    case ExchangeType::kHeaders: {
      const auto headers = properties.headers.Decode();
      return headers && HeadersMatch(binding.arguments, *headers);
    }
    case ExchangeType::kTopic: {
      TopicTrie alone;
      alone.Add(binding.routing_key, binding);
      bool matches = false;
      keys.ForEach(
          [&](ByteView key) { alone.Match(key, [&](const Destinations&) { matches = true; }); });
      return matches;
    }
    default: {
      bool matches = false;
      keys.ForEach([&](ByteView key) { matches |= key == binding.routing_key; });
      return matches;
    }
  }
}

// By which binding a message has come to the queue, for people.
std::string Way(const TopologySnapshot& topology, const QueueInfo& queue, const Message& message) {
  if (message.exchange().empty()) return "named by its routing key";
  const VhostRef vhost = topology.FindVhost(queue.vhost);
  const ExchangeRef* found =
      vhost ? vhost->exchanges.Find(std::string(message.exchange())) : nullptr;
  const auto properties = amqp::DecodeProperties(message.properties());
  if (found == nullptr || !properties) return "";
  const Exchange& exchange = **found;
  if (exchange.bindings().size() > kBindingsSearched) return "";
  const auto keys = RoutingKeys::Of(message.routing_key(), properties->headers);
  if (!keys) return "";
  std::string way;
  size_t told = 0;
  exchange.bindings().ForEach([&](const std::string&, const BindingRef& binding) {
    if (binding->to_exchange || binding->queue.id != queue.id || told == kBindingsTold) return;
    if (!Matches(exchange, *binding, *keys, *properties)) return;
    way += fmt::format("{}'{}'", told++ == 0 ? "bound by " : ", ", binding->routing_key);
  });
  return told > 0 ? way : "by way of other exchanges";
}

void SayWho(StoryRecord& record, const OriginRef& origin) {
  if (!origin) return;
  record.user = origin->user;
  record.connection = origin->connection;
  record.consumer = origin->consumer;
}

}  // namespace

// Journaled with the batch that is being built: a story is as durable as what it tells.
void Shard::Tell(StoryRecord&& record) {
  record.time = now_;
  ByteBuffer bytes;
  AppendRecord(bytes, Record(std::move(record)));
  stories_.Add(bytes, now_);
  if (journaled_) entries_ += bytes;
}

StoryId Shard::StoryOf(const Queue& queue, Sequence sequence) const {
  const auto it = queue.stories.find(sequence);
  return it == queue.stories.end() ? 0 : it->second;
}

void Shard::TellArrival(Queue& queue, Sequence sequence, const Message& message, StoryId story,
                        StoryEvent event, const OriginRef& origin, bool always) {
  const double rate = queue.config().trace;
  if (rate <= 0) return;
  if (story == 0) story = rng_.Next();
  if (!always && StoryDraw(message, story) >= rate) return;
  if (sequence != 0 && stories_.open >= stories_.limits().open) return;
  const QueueInfoRef info = ports_.topology().FindQueue(queue.id());
  if (!info) return;  // the drop is on its way
  StoryRecord record{.story = story,
                     .queue = queue.id(),
                     .sequence = sequence,
                     .event = event,
                     .exchange = std::string(message.exchange()),
                     .routing_key = std::string(message.routing_key()),
                     .detail = Way(ports_.topology(), *info, message),
                     .vhost = info->vhost,
                     .queue_name = info->name,
                     .properties = StoryProperties(message, entries_.size() < kRoomyBatch),
                     .body_bytes = message.body().size()};
  SayWho(record, origin);
  Tell(std::move(record));
  if (sequence == 0) return;
  queue.stories[sequence] = story;
  ++stories_.open;
}

void Shard::TellMore(Queue& queue, Sequence sequence, StoryRecord&& record) {
  const auto it = queue.stories.find(sequence);
  if (it == queue.stories.end()) return;
  record.story = it->second;
  record.queue = queue.id();
  record.sequence = sequence;
  if (EndsStory(record.event)) {
    queue.stories.erase(it);
    --stories_.open;
  }
  Tell(std::move(record));
}

void Shard::TellLanded(Queue& queue, Sequence after, Sequence upto) {
  // What is told must not change what is walked over.
  std::vector<Sequence> landed;
  for (auto it = queue.stories.upper_bound(after); it != queue.stories.end() && it->first <= upto;
       ++it) {
    landed.push_back(it->first);
  }
  for (const Sequence sequence : landed) {
    const Entry* entry = queue.Find(sequence);
    if (entry == nullptr) continue;
    StoryRecord record{.event = StoryEvent::kLanded};
    if (entry->journaled) {
      record.batch = landing_seq_;
      record.lsn = landing_lsn_;
    } else {
      record.detail = "in memory only: it does not survive a restart";
    }
    TellMore(queue, sequence, std::move(record));
  }
}

void Shard::TellDelivery(Queue& queue, Sequence sequence, const Entry& entry,
                         const Holder& holder) {
  StoryRecord record{.event = StoryEvent::kDelivered, .attempt = entry.attempts};
  SayWho(record, holder.origin);
  if (entry.redelivered) record.detail = "as a repeat";
  TellMore(queue, sequence, std::move(record));
}

// Of all that are traced in the queue: it, or they, go at once.
void Shard::TellEndOfAll(Queue& queue, StoryEvent event) {
  while (!queue.stories.empty()) {
    TellMore(queue, queue.stories.begin()->first, {.event = event});
  }
}

// Those that have gone without a word.
void Shard::TellGone(Queue& queue, StoryEvent event, std::string_view detail) {
  if (queue.stories.empty()) return;
  std::vector<Sequence> gone;
  for (const auto& [sequence, story] : queue.stories) {
    if (!queue.Holds(sequence)) gone.push_back(sequence);
  }
  for (const Sequence sequence : gone) {
    TellMore(queue, sequence, {.event = event, .detail = std::string(detail)});
  }
}

std::string Shard::NamesOf(const QueueTargets& targets) const {
  std::string names;
  for (const QueueTarget& target : targets) {
    if (names.size() > 512) return names + ", …";
    const QueueInfoRef info = ports_.topology().FindQueue(target.id);
    if (info) names += (names.empty() ? "to " : ", ") + info->name;
  }
  return names;
}

void Shard::Replay(const StoryRecord& r) {
  ByteBuffer bytes;
  AppendRecord(bytes, Record(r));
  stories_.Add(bytes, r.time);
  if (r.sequence == 0) return;
  // Stories outlive their queues, so that there is none is nothing to count.
  Queue* queue = FindOrCreate(r.queue);
  if (queue == nullptr) return;
  if (EndsStory(r.event)) {
    stories_.open -= queue->stories.erase(r.sequence);
  } else if (r.event <= StoryEvent::kArrived) {
    stories_.open += queue->stories.insert_or_assign(r.sequence, r.story).second;
  }
}

void Shard::Replay(const StoryBlock& r) {
  NoteFile(r.file, r.place);
  next_file_ = std::max(next_file_, r.file + 1);
  stories_.RestoreBlock(r);
}

void Shard::Replay(const OpenStoriesRecord& r) {
  Queue* queue = FindOrCreate(r.queue);
  if (queue == nullptr) return;
  for (const OpenStory& open : r.stories) {
    stories_.open += queue->stories.insert_or_assign(open.sequence, open.story).second;
  }
}

}  // namespace landfall::broker
