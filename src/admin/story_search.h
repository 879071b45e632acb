#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "admin/request.h"
#include "base/error.h"
#include "broker/story.h"
#include "broker/story_log.h"

// "Where is my message?": looks for stories in what the shards have to tell. Pure: how a block is
// read is the caller's matter.
namespace landfall::admin {

// What is looked for: all that is set has to fit.
struct StoryWish {
  std::string vhost = "/";
  std::optional<std::string> message_id;
  std::optional<std::string> correlation_id;
  std::optional<std::pair<std::string, std::string>> header;  // name, value
  std::optional<std::string> queue;
  size_t limit = 50;  // stories
};
// Of vhost, message_id, correlation_id, header=NAME:VALUE, queue and limit. kInvalidArgument: a
// value that cannot be, or nothing to look for.
Result<StoryWish> ReadStoryWish(const Query& query);

// What whoever asks may know.
struct StoryRights {
  std::function<bool(const std::string& queue)> may_read;  // in the vhost of the wish
  // The connections of a user.
  std::function<bool(const std::string& user)> may_see_user;
};

// Looks from the newest to the oldest, a step at a time, twice: for the stories, then for all that
// belongs to them. Bounded in what it keeps; the caller bounds the steps.
//
// Thread: one at a time.
class StorySearch {
 public:
  // kNotFound: the file is gone.
  using ReadBlock =
      std::function<Result<ByteBuffer>(storage::ShardId shard, const broker::StoryBlock& block)>;

  StorySearch(StoryWish wish, StoryRights rights, const std::vector<broker::StoryView>& views,
              ReadBlock read);
  ~StorySearch();

  bool done() const { return phase_ == Phase::kDone; }
  // Reads one block.
  void Step();
  // There is no more time: what has been found counts.
  void GiveUp();
  // Blocks that had gone when they were to be read: what they held may be found in newer views.
  uint64_t gone() const { return gone_; }

  // {"stories": […], "searched": {…}}, the newest story first.
  nlohmann::json Answer() const;

 private:
  enum class Phase { kLooking, kCollecting, kDone };
  // A block or a chunk.
  struct Piece {
    storage::ShardId shard = 0;
    broker::StoryBlock block;
    std::shared_ptr<const ByteBuffer> chunk;  // null: `block` says where it is
    Time first{};
    Time last{};
  };
  struct Event {
    broker::StoryRecord record;
    storage::ShardId shard = 0;
    std::pair<int64_t, size_t> order;  // of two at the same time the lower one was told first
  };
  struct Story {
    Time newest{};  // of what matches
    std::vector<Event> events;
    uint64_t left_out = 0;
    bool has_begun = false;  // its first event has been found
  };

  Result<std::vector<broker::StoryRecord>> Read(const Piece& piece);
  void Look(const std::vector<broker::StoryRecord>& records);
  void Collect(const Piece& piece, std::vector<broker::StoryRecord>&& records);
  void Keep(Story& story, Event&& event);
  void EndLooking();
  bool LookedFarEnough() const;
  bool CollectedFarEnough() const;
  bool Fits(const broker::StoryRecord& record);
  bool HasProperties(const broker::StoryRecord& record) const;
  bool MayRead(const std::string& queue);
  nlohmann::json StoryForm(broker::StoryId id, const Story& story) const;
  nlohmann::json EventForm(const Event& event, const std::string& queue) const;

  const StoryWish wish_;
  const StoryRights rights_;
  const ReadBlock read_;
  std::vector<Piece> pieces_;  // the newest first
  size_t next_ = 0;
  Phase phase_ = Phase::kLooking;
  std::map<broker::StoryId, Story> stories_;
  std::set<std::pair<Time, broker::StoryId>> by_time_;
  std::map<std::string, bool, std::less<>> may_read_;
  // Names of queues that stories have come to, if they may be read; "" if not.
  std::map<broker::QueueId, std::string> queues_;
  size_t events_ = 0;
  uint64_t bytes_ = 0;
  uint64_t blocks_ = 0;
  uint64_t gone_ = 0;
  uint64_t unreadable_ = 0;
  uint64_t dropped_bytes_ = 0;
  size_t shards_ = 0;
  bool given_up_ = false;
};

}  // namespace landfall::admin
