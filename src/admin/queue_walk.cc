#include "admin/queue_walk.h"

#include <memory>
#include <utility>

#include "admin/on_thread.h"

namespace landfall::admin {
namespace asio = boost::asio;

namespace {

// What a worker tells of in one go, besides what a block has.
constexpr size_t kMessagesAtOnce = 100;
// A file may go between looking and reading, with a checkpoint: then it is looked again.
constexpr int kLooks = 10;

}  // namespace

asio::awaitable<Result<QueueWalk::Page>> QueueWalk::Next(const MessageFilter& filter, LookAt look) {
  for (int looks = 1;; ++looks) {
    server::WorkerThread& worker = backend_.broker().WorkerOfShard(queue_->shard);
    auto look_there = [&worker, shard = queue_->shard, id = queue_->id, after = upto_] {
      const broker::Shard* s = worker.core().FindShard(shard);
      return std::make_shared<broker::QueuePage>(
          s == nullptr ? broker::QueuePage{.after = after, .upto = after, .end = after}
                       : s->Look(id, after, kMessagesAtOnce));
    };
    const auto seen = co_await OnWorker(worker, std::move(look_there));
    const auto page = std::make_shared<Page>();
    Backend::Work work = [this, seen, page, &filter, &look]() -> Result<std::string> {
      if (seen->block) {
        auto bytes =
            backend_.broker().ReadBacklog(queue_->shard, seen->block->file, seen->block->place);
        auto added = bytes ? broker::AddResting(*seen, *bytes)
                           : Result<void>(std::unexpected(std::move(bytes.error())));
        if (!added && added.error().code != ErrorCode::kCorrupt)
          return std::unexpected(std::move(added.error()));
      }
      page->scanned = seen->messages.size();
      for (broker::SeenMessage& message : seen->messages) {
        page->searched += filter.Searched(*message.message);
        if (filter.Matches(*message.message) && (!look || look(message)))
          page->messages.push_back(std::move(message));
      }
      return std::string();
    };
    const auto done = co_await backend_.Slowly(std::move(work));
    if (!done) {
      if (done.error().code == ErrorCode::kNotFound && looks < kLooks) continue;
      co_return std::unexpected(done.error());
    }
    page->more = seen->more();
    page->upto = upto_ = seen->upto;
    page->end = seen->end;
    co_return std::move(*page);
  }
}

}  // namespace landfall::admin
