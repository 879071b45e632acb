#include "admin/story_search.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "amqp/properties.h"
#include "broker/shard_record.h"

namespace landfall::admin {
namespace {

using broker::StoryEvent;
using broker::StoryRecord;
using nlohmann::json;

constexpr size_t kMaxStories = 200;
// Of one story, and of all of an answer; a message may be requeued without end.
constexpr size_t kMaxEventsOfOne = 500;
constexpr size_t kMaxEvents = 10'000;
constexpr size_t kMaxNames = 10'000;
// Shards look at the clock one after the other.
constexpr Duration kSlack = std::chrono::seconds(5);
constexpr std::string_view kTraceparent = "traceparent";

int64_t Milliseconds(Time t) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(t.time_since_epoch()).count();
}

bool IsArrival(StoryEvent event) { return event <= StoryEvent::kRefused; }
// Nothing of it is older.
bool IsFirst(StoryEvent event) { return IsArrival(event) && event != StoryEvent::kArrived; }

std::string TextOf(const amqp::Value& value) {
  if (const auto text = value.AsString()) return std::string(*text);
  if (const auto number = value.AsInteger()) return std::to_string(*number);
  if (const auto flag = value.AsBool()) return *flag ? "true" : "false";
  if (const auto number = value.AsDouble()) return fmt::format("{}", *number);
  if (const auto seconds = value.AsTimestamp()) return std::to_string(*seconds);
  return "";
}

// "00-TRACE-PARENT-FLAGS" (W3C Trace Context): all spans of a trace have the second part.
std::string_view TraceIdOf(std::string_view traceparent) {
  constexpr size_t kTraceId = 32;
  if (traceparent.size() < 3 + kTraceId || traceparent[2] != '-') return traceparent;
  return traceparent.substr(3, kTraceId);
}

bool HasHeader(const amqp::PropertiesView& properties, const std::string& name,
               const std::string& value) {
  const auto found = properties.headers.Find(name);
  if (!found) return false;
  const std::string text = TextOf(*found);
  if (name == kTraceparent) return TraceIdOf(text) == TraceIdOf(value);
  return text == value;
}

std::optional<size_t> ReadLimit(std::string_view text) {
  size_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return n >= 1 && n <= kMaxStories ? std::optional(n) : std::nullopt;
}

void Set(json& form, const char* name, const std::string& value) {
  if (!value.empty()) form[name] = value;
}

// Why, by which binding, or where to: what `detail` says.
void SetDetail(json& form, const StoryRecord& record) {
  if (record.detail.empty()) return;
  if (IsArrival(record.event)) {
    form["route"] = record.detail;
    return;
  }
  constexpr std::string_view kTo = " to ";
  const size_t to = record.detail.find(kTo);
  if (record.event != StoryEvent::kDeadLettered || to == std::string::npos) {
    form["reason"] = record.detail;
    return;
  }
  form["reason"] = record.detail.substr(0, to);
  form["to"] = record.detail.substr(to + kTo.size());
}

}  // namespace

Result<StoryWish> ReadStoryWish(const Query& query) {
  StoryWish wish;
  const auto text = [&](const char* name) {
    const std::string* value = query.Find(name);
    return value == nullptr ? std::optional<std::string>() : *value;
  };
  wish.vhost = text("vhost").value_or("/");
  wish.message_id = text("message_id");
  wish.correlation_id = text("correlation_id");
  wish.queue = text("queue");
  if (const auto header = text("header")) {
    const size_t colon = header->find(':');
    if (colon == std::string::npos || colon == 0)
      return Fail(ErrorCode::kInvalidArgument, "header must be NAME:VALUE");
    wish.header = {header->substr(0, colon), header->substr(colon + 1)};
  }
  if (const auto limit = text("limit")) {
    const auto n = ReadLimit(*limit);
    if (!n)
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("limit must be a number from 1 to {}", kMaxStories));
    wish.limit = *n;
  }
  if (!wish.message_id && !wish.correlation_id && !wish.header && !wish.queue)
    return Fail(ErrorCode::kInvalidArgument,
                "say what to look for: message_id, correlation_id, header or queue");
  return wish;
}

StorySearch::StorySearch(StoryWish wish, StoryRights rights,
                         const std::vector<broker::StoryView>& views, ReadBlock read)
    : wish_(std::move(wish)),
      rights_(std::move(rights)),
      read_(std::move(read)),
      shards_(views.size()) {
  for (const broker::StoryView& view : views) {
    dropped_bytes_ += view.dropped_bytes;
    for (const broker::StoryBlock& block : view.blocks) {
      pieces_.push_back(
          {.shard = view.shard, .block = block, .first = block.first, .last = block.last});
    }
    for (const broker::StoryChunk& chunk : view.chunks) {
      pieces_.push_back({.shard = view.shard,
                         .block = {},
                         .chunk = chunk.bytes,
                         .first = chunk.first,
                         .last = chunk.last});
    }
  }
  // Of one shard the order stays, turned round.
  std::ranges::reverse(pieces_);
  std::ranges::stable_sort(pieces_, std::ranges::greater{}, &Piece::last);
  if (pieces_.empty()) phase_ = Phase::kDone;
}

StorySearch::~StorySearch() = default;

void StorySearch::Step() {
  if (done()) return;
  const Piece& piece = pieces_[next_++];
  auto records = Read(piece);
  if (records) {
    if (phase_ == Phase::kLooking) {
      Look(*records);
    } else {
      Collect(piece, std::move(*records));
    }
  }
  if (phase_ == Phase::kLooking && LookedFarEnough()) EndLooking();
  if (phase_ == Phase::kCollecting && CollectedFarEnough()) phase_ = Phase::kDone;
}

void StorySearch::GiveUp() {
  if (done()) return;
  given_up_ = true;
  phase_ = Phase::kDone;
}

void StorySearch::EndLooking() {
  phase_ = stories_.empty() ? Phase::kDone : Phase::kCollecting;
  next_ = 0;
}

Result<std::vector<StoryRecord>> StorySearch::Read(const Piece& piece) {
  // Each is counted once.
  const bool first_time = phase_ == Phase::kLooking;
  Result<ByteBuffer> block;
  if (!piece.chunk) block = read_(piece.shard, piece.block);
  if (!block) {
    const bool is_gone = block.error().code == ErrorCode::kNotFound;
    if (first_time) ++(is_gone ? gone_ : unreadable_);
    return std::unexpected(block.error());
  }
  const ByteView bytes = piece.chunk ? ByteView(*piece.chunk) : ByteView(*block);
  auto records = broker::ReadStories(bytes);
  if (first_time) {
    bytes_ += bytes.size();
    ++blocks_;
    if (!records) ++unreadable_;
  }
  return records;
}

// ------------------------------------------------------------------------------------------
// looking

void StorySearch::Look(const std::vector<StoryRecord>& records) {
  for (const StoryRecord& record : records) {
    if (!IsArrival(record.event) || !Fits(record)) continue;
    Story& story = stories_[record.story];
    if (record.time < story.newest) continue;
    by_time_.erase({story.newest, record.story});
    story.newest = record.time;
    by_time_.emplace(record.time, record.story);
    if (stories_.size() <= wish_.limit) continue;
    stories_.erase(by_time_.begin()->second);
    by_time_.erase(by_time_.begin());
  }
}

bool StorySearch::LookedFarEnough() const {
  if (next_ == pieces_.size()) return true;
  return stories_.size() == wish_.limit && pieces_[next_].last < by_time_.begin()->first;
}

bool StorySearch::Fits(const StoryRecord& record) {
  if (record.vhost != wish_.vhost) return false;
  if (wish_.queue && record.queue_name != *wish_.queue) return false;
  return HasProperties(record) && MayRead(record.queue_name);
}

bool StorySearch::HasProperties(const StoryRecord& record) const {
  if (!wish_.message_id && !wish_.correlation_id && !wish_.header) return true;
  const auto properties = amqp::DecodeProperties(record.properties);
  if (!properties) return false;
  const auto is = [&](amqp::PropertyFlag flag, ByteView value,
                      const std::optional<std::string>& wanted) {
    return !wanted || (properties->Has(flag) && value == *wanted);
  };
  return is(amqp::kHasMessageId, properties->message_id, wish_.message_id) &&
         is(amqp::kHasCorrelationId, properties->correlation_id, wish_.correlation_id) &&
         (!wish_.header || HasHeader(*properties, wish_.header->first, wish_.header->second));
}

bool StorySearch::MayRead(const std::string& queue) {
  const auto known = may_read_.find(queue);
  if (known != may_read_.end()) return known->second;
  if (may_read_.size() == kMaxNames) may_read_.clear();
  return may_read_[queue] = rights_.may_read(queue);
}

// ---------------------------------------------------------------------------------------
// collecting

void StorySearch::Collect(const Piece& piece, std::vector<StoryRecord>&& records) {
  const auto number = -static_cast<int64_t>(next_);
  // The newest first, since there may not be room for all.
  for (size_t n = records.size(); n-- > 0;) {
    StoryRecord& record = records[n];
    const auto story = stories_.find(record.story);
    if (story == stories_.end()) continue;
    if (IsArrival(record.event)) {
      // Also of another vhost than is asked about: what may be known there is not known here.
      const bool known = record.vhost == wish_.vhost && MayRead(record.queue_name);
      queues_[record.queue] = known ? record.queue_name : "";
    }
    story->second.has_begun |= IsFirst(record.event);
    Keep(story->second, {.record = std::move(record), .shard = piece.shard, .order = {number, n}});
  }
}

// Where a message has come to is told however much has happened to it since.
void StorySearch::Keep(Story& story, Event&& event) {
  const bool has_room = story.events.size() < kMaxEventsOfOne && events_ < kMaxEvents;
  const bool is_needed = IsArrival(event.record.event) && story.events.size() < 2 * kMaxEventsOfOne;
  if (!has_room && !is_needed) {
    ++story.left_out;
    return;
  }
  ++events_;
  story.events.push_back(std::move(event));
}

// No story goes back further than its first event.
bool StorySearch::CollectedFarEnough() const {
  if (next_ == pieces_.size()) return true;
  Time oldest = kNever;
  for (const auto& [id, story] : stories_) {
    if (!story.has_begun) return false;
    for (const Event& event : story.events) oldest = std::min(oldest, event.record.time);
  }
  return pieces_[next_].last + kSlack < oldest;
}

// --------------------------------------------------------------------------------------------
// answer

json StorySearch::EventForm(const Event& event, const std::string& queue) const {
  const StoryRecord& record = event.record;
  json form{{"time", Milliseconds(record.time)},
            {"kind", broker::NameOf(record.event)},
            {"queue", queue}};
  if (!record.user.empty() && rights_.may_see_user(record.user)) {
    form["user"] = record.user;
    Set(form, "connection", record.connection);
  }
  Set(form, "consumer", record.consumer);
  Set(form, "exchange", record.exchange);
  Set(form, "routing_key", record.routing_key);
  SetDetail(form, record);
  if (record.attempt != 0) form["attempt"] = record.attempt;
  if (record.until != Time{}) form["until"] = Milliseconds(record.until);
  if (record.batch != 0) {
    form["shard"] = event.shard;
    form["shard_seq"] = record.batch;
    form["lsn"] = record.lsn;
  }
  return form;
}

json StorySearch::StoryForm(broker::StoryId id, const Story& story) const {
  std::vector<const Event*> events;
  for (const Event& event : story.events) {
    const auto queue = queues_.find(event.record.queue);
    if (queue != queues_.end() && !queue->second.empty()) events.push_back(&event);
  }
  std::ranges::sort(events, {}, [](const Event* e) { return std::pair(e->record.time, e->order); });
  json form{{"id", fmt::format("{:016x}", id)}, {"vhost", wish_.vhost}};
  json told = json::array();
  for (const Event* event : events) {
    const StoryRecord& record = event->record;
    told.push_back(EventForm(*event, queues_.at(record.queue)));
    // What the message was when it came first.
    if (form.contains("exchange") || !IsArrival(record.event)) continue;
    form["exchange"] = record.exchange;
    form["routing_key"] = record.routing_key;
    form["body_bytes"] = record.body_bytes;
    if (told.back().contains("user")) form["user"] = record.user;
    const auto properties = amqp::DecodeProperties(record.properties);
    if (!properties) continue;
    if (properties->Has(amqp::kHasMessageId)) form["message_id"] = properties->message_id;
    if (properties->Has(amqp::kHasCorrelationId))
      form["correlation_id"] = properties->correlation_id;
    if (const auto parent = properties->headers.FindString(kTraceparent))
      form["traceparent"] = *parent;
  }
  form["events"] = std::move(told);
  if (story.left_out > 0) form["events_left_out"] = story.left_out;
  return form;
}

json StorySearch::Answer() const {
  json stories = json::array();
  for (auto it = by_time_.rbegin(); it != by_time_.rend(); ++it)
    stories.push_back(StoryForm(it->second, stories_.at(it->second)));
  json searched{{"shards", shards_},
                {"blocks", blocks_},
                {"blocks_in_all", pieces_.size()},
                {"bytes", bytes_},
                {"unreadable", unreadable_ + gone_},
                {"dropped_bytes", dropped_bytes_},
                {"complete", !given_up_ && unreadable_ + gone_ == 0}};
  Time oldest = kNever;
  for (const Piece& piece : pieces_) oldest = std::min(oldest, piece.first);
  if (!pieces_.empty()) searched["oldest"] = Milliseconds(oldest);
  return {{"stories", std::move(stories)}, {"searched", std::move(searched)}};
}

}  // namespace landfall::admin
