// GET /api/landfall/queues/…/messages and /api/landfall/dead-letters: what is in a queue, without
// taking anything out of it.
#include <fmt/format.h>

#include <charconv>
#include <map>
#include <tuple>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/message_json.h"
#include "admin/queue_walk.h"
#include "broker/dead_letter.h"

namespace landfall::admin {
namespace {

constexpr uint64_t kMaxCount = 500;
constexpr uint64_t kDefaultCount = 50;
constexpr uint64_t kMaxTruncate = uint64_t{1} << 20;
constexpr uint64_t kDefaultTruncate = 50'000;
// One answer looks at no more messages than this, and says where to go on.
constexpr uint64_t kScannedAtOnce = 50'000;
constexpr uint64_t kSearchedAtOnce = uint64_t{256} << 20;
constexpr size_t kAnswerBytes = size_t{8} << 20;

constexpr uint64_t kMaxGrouped = 1'000'000;
constexpr uint64_t kDefaultGrouped = 10'000;
// Of whatever publishers write into x-death; the rest counts together.
constexpr size_t kMaxGroups = 1000;

struct Bounds {
  uint64_t least = 0;
  uint64_t most = 0;
};

std::expected<uint64_t, Reply> NumberIn(const Query& query, std::string_view name, Bounds bounds,
                                        uint64_t otherwise) {
  const std::string* text = query.Find(name);
  if (text == nullptr) return otherwise;
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), n);
  const bool is_number = error == std::errc{} && end == text->data() + text->size();
  if (!is_number || n < bounds.least || n > bounds.most) {
    return std::unexpected(BadRequest(
        fmt::format("{} must be a whole number from {} to {}", name, bounds.least, bounds.most)));
  }
  return n;
}

// -------------------------------------------------------------------------------------------- peek

struct PeekWish {
  uint64_t count = 0;
  uint64_t truncate = 0;
  broker::Sequence after = 0;
  MessageFilter filter;
};

std::expected<PeekWish, Reply> ReadPeekWish(const Query& query) {
  PeekWish wish;
  const auto count = NumberIn(query, "count", {1, kMaxCount}, kDefaultCount);
  if (!count) return std::unexpected(count.error());
  const auto truncate = NumberIn(query, "truncate", {0, kMaxTruncate}, kDefaultTruncate);
  if (!truncate) return std::unexpected(truncate.error());
  const auto after = NumberIn(query, "after", {0, UINT64_MAX}, 0);
  if (!after) return std::unexpected(after.error());
  wish.count = *count;
  wish.truncate = *truncate;
  wish.after = *after;
  wish.filter.search = query.Get("search");
  if (const std::string* header = query.Find("header")) {
    if (const auto read = ReadHeaderCondition(*header, wish.filter); !read)
      return std::unexpected(BadRequest(read.error().message));
  }
  if (const auto checked = CheckFilter(wish.filter); !checked)
    return std::unexpected(BadRequest(checked.error().message));
  return wish;
}

awaitable<Reply> GetMessages(Backend& backend, Call& call) {
  const auto wish = ReadPeekWish(call.query());
  if (!wish) co_return wish.error();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto queue =
      FindUsableQueue(*topology, call.caller, access::Access::kRead, call.names[0], call.names[1]);
  if (!queue) co_return queue.error();
  const Turnstile::Pass pass = co_await backend.readers().Enter();
  QueueWalk walk(backend, *queue, wish->after);
  std::string messages;
  uint64_t count = 0;
  uint64_t scanned = 0;
  uint64_t searched = 0;
  broker::Sequence next = wish->after;
  bool more = true;
  const auto full = [&] { return count >= wish->count || messages.size() >= kAnswerBytes; };
  while (more && !full() && scanned < kScannedAtOnce && searched < kSearchedAtOnce) {
    const auto page = co_await walk.Next(wish->filter);
    if (!page) co_return ReplyTo(page.error());
    scanned += page->scanned;
    searched += page->searched;
    next = page->upto;
    more = page->more;
    for (const broker::SeenMessage& seen : page->messages) {
      if (count++ != 0) messages += ',';
      messages += JsonText(SeenForm(seen, wish->truncate));
      if (!full()) continue;
      next = seen.sequence;
      more = next < page->end;
      break;
    }
  }
  co_return Reply{.body = fmt::format(R"({{"messages":[{}],"next":{},"scanned":{}}})", messages,
                                      more ? fmt::format("\"{}\"", next) : "null", scanned)};
}

// ------------------------------------------------------------------------------------ dead letters

struct Group {
  uint64_t count = 0;
  Time oldest = kNever;
  Time newest{};
};
// Of what a header says, as much as a name can have.
std::string NameIn(std::string_view text) {
  return std::string(text.substr(0, amqp::kMaxShortString));
}

// Reason, queue, exchange, routing key; all of them "" where the message has not been
// dead-lettered.
using Groups = std::map<std::tuple<std::string, std::string, std::string, std::string>, Group>;

void CountIn(Groups& groups, const broker::SeenMessage& seen) {
  const auto death = broker::LastDeathOf(*seen.message);
  auto key = death ? std::tuple(NameIn(death->reason), NameIn(death->queue),
                                NameIn(death->exchange), NameIn(death->routing_key))
                   : std::tuple(std::string(), std::string(), std::string(), std::string());
  if (groups.size() >= kMaxGroups && !groups.contains(key)) key = {"(others)", "", "", ""};
  Group& group = groups[std::move(key)];
  ++group.count;
  if (seen.born == Time{}) return;
  group.oldest = std::min(group.oldest, seen.born);
  group.newest = std::max(group.newest, seen.born);
}

json FormOf(const Groups& groups) {
  std::vector<const Groups::value_type*> most;
  for (const auto& group : groups) most.push_back(&group);
  std::ranges::sort(most, std::greater(), [](const auto* group) { return group->second.count; });
  json forms = json::array();
  for (const auto* each : most) {
    const auto& [key, group] = *each;
    const auto& [reason, queue, exchange, routing_key] = key;
    json form = {{"reason", reason},
                 {"queue", queue},
                 {"exchange", exchange},
                 {"routing_key", routing_key},
                 {"count", group.count}};
    if (group.newest != Time{}) {
      form["oldest"] = MillisecondsOf(group.oldest);
      form["newest"] = MillisecondsOf(group.newest);
    }
    forms.push_back(std::move(form));
  }
  return forms;
}

awaitable<Reply> GetDeadLetters(Backend& backend, Call& call) {
  const auto at_most = NumberIn(call.query(), "at_most", {1, kMaxGrouped}, kDefaultGrouped);
  if (!at_most) co_return at_most.error();
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto queue =
      FindUsableQueue(*topology, call.caller, access::Access::kRead, call.names[0], call.names[1]);
  if (!queue) co_return queue.error();
  const Turnstile::Pass pass = co_await backend.readers().Enter();
  QueueWalk walk(backend, *queue);
  const auto groups = std::make_shared<Groups>();
  const MessageFilter all;
  const QueueWalk::LookAt count = [groups](const broker::SeenMessage& seen) {
    CountIn(*groups, seen);
    return false;
  };
  uint64_t scanned = 0;
  bool more = true;
  while (more && scanned < *at_most) {
    const auto page = co_await walk.Next(all, count);
    if (!page) co_return ReplyTo(page.error());
    scanned += page->scanned;
    more = page->more;
  }
  co_return JsonReply({{"groups", FormOf(*groups)}, {"scanned", scanned}, {"complete", !more}});
}

}  // namespace

void AddPeekEndpoints(Router& router) {
  router.Add({
      {"GET", "/api/landfall/queues/{vhost}/{queue}/messages", Need::kManagement, GetMessages},
      {"GET", "/api/landfall/dead-letters/{vhost}/{queue}", Need::kManagement, GetDeadLetters},
  });
}

}  // namespace landfall::admin
