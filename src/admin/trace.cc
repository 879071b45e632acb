// GET /api/landfall/trace: where is my message?
#include <chrono>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/on_thread.h"
#include "admin/story_search.h"
#include "storage/backlog_file.h"
#include "storage/data_directory.h"
#include "storage/posix_vfs.h"

namespace landfall::admin {
namespace {

using std::chrono::steady_clock;

// So long a search may take in all, and so long at a time: others need the thread as well.
constexpr auto kSearchTime = std::chrono::seconds(5);
constexpr auto kSliceTime = std::chrono::milliseconds(50);

awaitable<std::vector<broker::StoryView>> ViewsOf(Backend& backend) {
  std::vector<broker::StoryView> views;
  for (broker::WorkerId w = 0; w < backend.broker().workers(); ++w) {
    server::WorkerThread& worker = backend.broker().worker(w);
    auto view = [&worker] {
      std::vector<broker::StoryView> of_shards;
      for (const auto& shard : worker.core().shards()) of_shards.push_back(shard->Stories());
      return of_shards;
    };
    std::vector<broker::StoryView> some = co_await OnWorker(worker, std::move(view));
    std::ranges::move(some, std::back_inserter(views));
  }
  co_return views;
}

// Reads blocks of the data directory; keeps the last file open, since its next block is asked for
// mostly.
class BlockReader {
 public:
  explicit BlockReader(const std::string& directory)
      : directory_(storage::BacklogDirectory(directory)) {}

  Result<ByteBuffer> Read(storage::ShardId shard, const broker::StoryBlock& block) {
    const storage::BacklogName name{shard, block.file};
    if (!file_ || !(name == name_)) {
      auto file =
          vfs_.Open(directory_ + "/" + storage::BacklogFileName(name), storage::OpenMode::kRead);
      if (!file) return std::unexpected(file.error());
      file_ = std::move(*file);
      name_ = name;
    }
    return storage::ReadBacklogBlock(*file_, name, block.place);
  }

 private:
  const std::string directory_;
  storage::PosixVfs vfs_;
  storage::BacklogName name_;
  std::unique_ptr<storage::File> file_;
};

// Permissions are the user's, whatever the tags say.
StoryRights RightsOf(const Caller& caller, const std::string& vhost) {
  return {.may_read =
              [permissions = caller.account->In(vhost)](const std::string& queue) {
                return permissions && permissions->May(access::Access::kRead, queue);
              },
          .may_see_user =
              [caller](const std::string& user) { return caller.MaySeeConnectionsOf(user); }};
}

// A search in what the shards have to tell now.
awaitable<std::shared_ptr<StorySearch>> Search(Backend& backend, const StoryWish& wish,
                                               const Caller& caller) {
  const std::vector<broker::StoryView> views = co_await ViewsOf(backend);
  const auto reader = std::make_shared<BlockReader>(backend.broker().store_options().directory);
  auto read = [reader](storage::ShardId shard, const broker::StoryBlock& block) {
    return reader->Read(shard, block);
  };
  const auto search =
      std::make_shared<StorySearch>(wish, RightsOf(caller, wish.vhost), views, std::move(read));
  const auto deadline = steady_clock::now() + kSearchTime;
  while (!search->done()) {
    const Backend::Work slice = [search, deadline]() -> Result<std::string> {
      const auto until = std::min(steady_clock::now() + kSliceTime, deadline);
      while (!search->done() && steady_clock::now() < until) search->Step();
      if (steady_clock::now() >= deadline) search->GiveUp();
      return "";
    };
    co_await backend.Slowly(slice);
  }
  co_return search;
}

awaitable<Reply> GetTrace(Backend& backend, Call& call) {
  const auto wish = ReadStoryWish(call.query());
  if (!wish) co_return BadRequest(wish.error().message);
  const broker::SnapshotRef topology = co_await backend.Snapshot();
  const auto vhost = FindVhost(*topology, call.caller, wish->vhost);
  if (!vhost) co_return vhost.error();
  const Turnstile::Pass pass = co_await backend.readers().Enter();
  std::shared_ptr<StorySearch> search = co_await Search(backend, *wish, call.caller);
  // A checkpoint may have dropped the oldest files meanwhile, or written new ones.
  if (search->gone() > 0) search = co_await Search(backend, *wish, call.caller);
  Reply reply = JsonReply(search->Answer());
  reply.headers.emplace_back("Cache-Control", "no-store");
  co_return reply;
}

}  // namespace

void AddTraceEndpoints(Router& router) {
  router.Add({{"GET", "/api/landfall/trace", Need::kManagement, GetTrace}});
}

}  // namespace landfall::admin
