#pragma once

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>

namespace landfall::admin {

// How many streams are open, which is bounded: each takes one of the connections for as long as it
// likes.
//
// Thread: the administration's. Outlives those who have a place.
class StreamBook {
 public:
  static constexpr size_t kStreams = 32;
  static constexpr size_t kPerUser = 8;

  // One stream's, until it is destroyed.
  class Place {
   public:
    Place(StreamBook& book, std::string user) : book_(&book), user_(std::move(user)) {
      ++book.all_;
      ++book.by_user_[user_];
    }
    Place(Place&& other) noexcept
        : book_(std::exchange(other.book_, nullptr)), user_(std::move(other.user_)) {}
    ~Place() {
      if (book_ != nullptr) book_->Leave(user_);
    }
    Place& operator=(Place&&) = delete;

   private:
    StreamBook* book_;
    std::string user_;
  };

  // Nothing: there are as many as there may be.
  std::optional<Place> Enter(const std::string& user) {
    const auto own = by_user_.find(user);
    if (all_ >= kStreams || (own != by_user_.end() && own->second >= kPerUser)) return std::nullopt;
    return Place(*this, user);
  }

 private:
  void Leave(const std::string& user) {
    --all_;
    if (const auto own = by_user_.find(user); --own->second == 0) by_user_.erase(own);
  }

  size_t all_ = 0;
  std::map<std::string, size_t> by_user_;
};

}  // namespace landfall::admin
