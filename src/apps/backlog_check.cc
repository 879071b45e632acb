#include "apps/backlog_check.h"

#include <fmt/format.h>

#include <utility>
#include <variant>

#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::apps {

using storage::ShardId;

namespace {

Result<void> ReadMessages(ByteView bytes) {
  const auto messages = broker::ReadBlockMessages(bytes);
  if (!messages) return std::unexpected(messages.error());
  return {};
}

Result<void> ReadStories(ByteView bytes) {
  const auto stories = broker::ReadStories(bytes);
  if (!stories) return std::unexpected(stories.error());
  return {};
}

Result<ByteBuffer> BytesOf(storage::Vfs& vfs, const std::string& path,
                           const storage::BacklogName& name, storage::BlockPlace place) {
  auto file = vfs.Open(path, storage::OpenMode::kRead);
  if (!file) return std::unexpected(file.error());
  return storage::ReadBacklogBlock(**file, name, place);
}

}  // namespace

BacklogCheck::BacklogCheck(storage::Vfs& vfs, std::string directory)
    : vfs_(vfs), directory_(std::move(directory)) {}

void BacklogCheck::OnCheckpoint(ShardId shard, ByteView piece, bool last) {
  if (shard == storage::kTopologyShard) return;
  const auto read = records_.Add(piece, last, [&](const broker::Record& record, ByteView) {
    if (const auto* block = std::get_if<broker::BacklogBlockRecord>(&record))
      CheckBlock(shard, *block);
    if (const auto* block = std::get_if<broker::StoryBlock>(&record)) CheckBlock(shard, *block);
    return Result<void>();
  });
  if (read) return;
  checkpoints_[shard].undecodable = read.error().message;
  records_ = {};
}

void BacklogCheck::CheckBlock(ShardId shard, const broker::BacklogBlockRecord& block) {
  Check(shard, {block.offset, block.length},
        {.file = block.file, .queue = block.queue, .messages = block.alive},
        fmt::format("{} messages of queue {}", block.alive, block.queue), ReadMessages);
}

void BacklogCheck::CheckBlock(ShardId shard, const broker::StoryBlock& block) {
  Check(shard, block.place, {.file = block.file}, "stories of messages", ReadStories);
}

void BacklogCheck::Check(ShardId shard, storage::BlockPlace place, DamagedBlock block,
                         std::string_view holds, Reader read) {
  ++blocks_;
  bytes_ += place.length;
  Checkpoint& checkpoint = checkpoints_[shard];
  checkpoint.files.insert(block.file);
  const storage::BacklogName name{shard, block.file};
  std::string path = storage::BacklogDirectory(directory_) + "/" + storage::BacklogFileName(name);
  const auto bytes = BytesOf(vfs_, path, name, place);
  const auto whole = bytes ? read(*bytes) : std::unexpected(bytes.error());
  if (whole) return;
  if (whole.error().code == ErrorCode::kExhausted) {
    outcome_ = whole;
    return;
  }
  block.damage = {.file = std::move(path),
                  .offset = place.offset,
                  .what = fmt::format("{}; {} are in this block", whole.error().message, holds)};
  checkpoint.damaged.push_back(std::move(block));
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
