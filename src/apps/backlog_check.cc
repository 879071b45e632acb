#include "apps/backlog_check.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::apps {

using storage::ShardId;

namespace {

// Whether all messages of the block can be read.
Result<void> ReadMessages(storage::Vfs& vfs, const std::string& path,
                          const storage::BacklogName& name,
                          const broker::BacklogBlockRecord& block) {
  auto file = vfs.Open(path, storage::OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  const auto bytes = storage::ReadBacklogBlock(**file, name, {block.offset, block.length});
  if (!bytes) return std::unexpected(bytes.error());
  const auto messages = broker::ReadBlockMessages(*bytes);
  if (!messages) return std::unexpected(messages.error());
  return {};
}

}  // namespace

BacklogCheck::BacklogCheck(storage::Vfs& vfs, std::string directory)
    : vfs_(vfs), directory_(std::move(directory)) {}

void BacklogCheck::OnCheckpoint(ShardId shard, ByteView piece, bool last) {
  if (shard == storage::kTopologyShard) return;
  const auto read = records_.Add(piece, last, [&](const broker::Record& record, ByteView) {
    if (const auto* block = std::get_if<broker::BacklogBlockRecord>(&record))
      CheckBlock(shard, *block);
    return Result<void>();
  });
  if (read) return;
  checkpoints_[shard].undecodable = read.error().message;
  records_ = {};
}

void BacklogCheck::CheckBlock(ShardId shard, const broker::BacklogBlockRecord& block) {
  ++blocks_;
  bytes_ += block.length;
  Checkpoint& checkpoint = checkpoints_[shard];
  checkpoint.files.insert(block.file);
  const storage::BacklogName name{shard, block.file};
  std::string path = storage::BacklogDirectory(directory_) + "/" + storage::BacklogFileName(name);
  const auto whole = ReadMessages(vfs_, path, name, block);
  if (whole) return;
  if (whole.error().code == ErrorCode::kExhausted) {
    outcome_ = whole;
    return;
  }
  checkpoint.damaged.push_back(
      {.file = block.file,
       .queue = block.queue,
       .messages = block.alive,
       .damage = {.file = std::move(path),
                  .offset = block.offset,
                  .what = fmt::format("{}; {} messages of queue {} are in this block",
                                      whole.error().message, block.alive, block.queue)}});
}

std::vector<storage::Damage> BacklogCheck::damages() const {
  std::vector<storage::Damage> all;
  for (const auto& [shard, checkpoint] : checkpoints_) {
    if (checkpoint.undecodable) {
      all.push_back({.file = storage::CheckpointDirectory(directory_),
                     .what = fmt::format("the checkpoint of shard {} cannot be decoded: {}", shard,
                                         *checkpoint.undecodable)});
    }
    for (const DamagedBlock& block : checkpoint.damaged) all.push_back(block.damage);
  }
  return all;
}

}  // namespace landfall::apps
