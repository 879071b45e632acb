#include "apps/backlog_check.h"

#include <fmt/format.h>

#include <memory>
#include <utility>
#include <variant>

#include "base/wire.h"
#include "broker/shard_record.h"
#include "storage/backlog_file.h"
#include "storage/data_directory.h"

namespace landfall::apps {

using storage::ShardId;

namespace {

// Whether all messages of the block can be read.
Result<void> CheckBlock(storage::Vfs& vfs, const std::string& path,
                        const storage::BacklogName& name, const broker::BacklogBlockRecord& block) {
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
  if (decodable_) {
    unfinished_ += piece;
    CheckRecords(shard, last);
  }
  if (last) {
    unfinished_.clear();
    decodable_ = true;
  }
}

void BacklogCheck::CheckRecords(ShardId shard, bool last) {
  ByteView rest = unfinished_;
  while (!rest.empty()) {
    ByteReader in(rest);
    const auto record = broker::ReadRecord(in);
    if (!record) {
      if (last) {
        decodable_ = false;
        damages_.push_back({.file = storage::CheckpointDirectory(directory_),
                            .what = fmt::format("the checkpoint of shard {} cannot be decoded: {}",
                                                shard, record.error().message)});
      }
      break;  // the rest of it is in the next piece
    }
    rest.remove_prefix(rest.size() - in.remaining());
    const auto* block = std::get_if<broker::BacklogBlockRecord>(&*record);
    if (block == nullptr) continue;
    ++blocks_;
    bytes_ += block->length;
    const storage::BacklogName name{shard, block->file};
    const std::string path =
        storage::BacklogDirectory(directory_) + "/" + storage::BacklogFileName(name);
    if (const auto whole = CheckBlock(vfs_, path, name, *block); !whole) {
      damages_.push_back({.file = path,
                          .offset = block->offset,
                          .what = fmt::format("{}; {} messages of queue {} are in this block",
                                              whole.error().message, block->alive, block->queue)});
    }
  }
  unfinished_.erase(0, unfinished_.size() - rest.size());
}

}  // namespace landfall::apps
