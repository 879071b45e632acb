// GET /api/landfall/storage: what is on the disk, and how it gets there.
#include <chrono>
#include <filesystem>

#include "admin/endpoint_common.h"
#include "admin/endpoints.h"
#include "admin/process.h"
#include "storage/data_directory.h"

namespace landfall::admin {
namespace {

struct FilesOf {
  uint64_t count = 0;
  uint64_t bytes = 0;
  std::optional<int64_t> newest_ms;  // since the Unix epoch
};

// Files come and go meanwhile: one that has gone counts for nothing.
FilesOf LookAtFiles(const std::string& directory, std::string_view suffix) {
  FilesOf files;
  std::error_code error;
  for (std::filesystem::directory_iterator it(directory, error), end; !error && it != end;
       it.increment(error)) {
    if (it->path().extension() != suffix) continue;
    std::error_code gone;
    const uint64_t bytes = it->file_size(gone);
    if (gone) continue;
    const auto written = it->last_write_time(gone);
    if (gone) continue;
    const auto time = std::chrono::file_clock::to_sys(written).time_since_epoch();
    const auto time_ms = std::chrono::duration_cast<std::chrono::milliseconds>(time).count();
    ++files.count;
    files.bytes += bytes;
    files.newest_ms = std::max<int64_t>(files.newest_ms.value_or(0), time_ms);
  }
  return files;
}

json Percentiles(const SharedHistogram& histogram) {
  const HistogramSnapshot all = histogram.Snapshot();
  return {{"count", all.count()},
          {"p50", all.Percentile(50)},
          {"p99", all.Percentile(99)},
          {"max", all.Percentile(100)}};
}

json JournalForm(server::Server& broker) {
  const storage::StoreStatistics& store = broker.store_statistics();
  return {{"bytes", store.journal_bytes.load()},
          {"window_bytes", broker.store_options().window_bytes},
          {"segments", store.journal_segments.load()},
          {"spare_segments", store.journal_spares.load()},
          {"segment_bytes", broker.store_options().segment_bytes},
          {"synced_lsn", store.synced_lsn.load()},
          {"sync_us", Percentiles(store.sync_us)},
          {"bytes_per_sync", Percentiles(store.bytes_per_sync)},
          {"batches_per_sync", Percentiles(store.batches_per_sync)},
          {"unsafe_no_sync", broker.store_options().unsafe_no_sync}};
}

json CheckpointForm(server::Server& broker, const FilesOf& files) {
  const storage::StoreStatistics& store = broker.store_statistics();
  return {{"files", files.count},
          {"bytes", store.checkpoint_bytes.load()},
          {"last", files.newest_ms ? json(*files.newest_ms) : json()},
          {"duration_ms", Percentiles(store.checkpoint_ms)},
          {"refused", store.checkpoints_refused.load()}};
}

awaitable<Reply> GetStorage(Backend& backend, Call&) {
  server::Server& broker = backend.broker();
  const std::string directory = broker.config().data_dir;
  FilesOf checkpoints;
  FilesOf backlog;
  DiskSpace disk;
  // With a disk that is slow, names and sizes are as well.
  const Backend::Work work = [&]() -> Result<std::string> {
    checkpoints = LookAtFiles(storage::CheckpointDirectory(directory), ".lfc");
    backlog = LookAtFiles(storage::BacklogDirectory(directory), ".lfb");
    disk = LookAtDisk(directory);
    return "";
  };
  co_await backend.Slowly(work);
  co_return JsonReply({{"data_dir", directory},
                       {"journal", JournalForm(broker)},
                       {"checkpoints", CheckpointForm(broker, checkpoints)},
                       {"backlog", {{"files", backlog.count}, {"bytes", backlog.bytes}}},
                       {"disk",
                        {{"free", disk.free_bytes},
                         {"total", disk.total_bytes},
                         {"limit", broker.store_options().low_space_bytes},
                         {"alarm", broker.disk_alarm()}}}});
}

}  // namespace

void AddStorageEndpoints(Router& router) {
  router.Add({{"GET", "/api/landfall/storage", Need::kMonitoring, GetStorage}});
}

}  // namespace landfall::admin
