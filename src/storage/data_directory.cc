#include "storage/data_directory.h"

#include <fmt/format.h>

#include <charconv>

#include "storage/segment.h"

namespace landfall::storage {
namespace {

constexpr std::string_view kFirstLine = "landfall data directory, version ";

Result<void> WriteFormat(Vfs& vfs, const std::string& directory) {
  const std::string path = FormatPath(directory);
  const std::string temporary = path + ".tmp";
  auto left_over = vfs.Exists(temporary);
  if (!left_over) return std::unexpected(left_over.error());
  if (*left_over) {
    if (auto ok = vfs.Remove(temporary); !ok) return ok;
  }
  auto file = vfs.Open(temporary, OpenMode::kCreate);
  if (!file) return std::unexpected(file.error());
  if (auto ok = WriteAll(**file, 0, fmt::format("{}{}\n", kFirstLine, kFormatVersion)); !ok) {
    return ok;
  }
  if (auto ok = (*file)->Sync(); !ok) return ok;
  if (auto ok = vfs.Rename(temporary, path); !ok) return ok;
  return vfs.SyncDirectory(directory);
}

}  // namespace

std::optional<std::pair<ShardId, uint64_t>> ParseShardFileName(std::string_view name,
                                                               std::string_view suffix) {
  if (!name.ends_with(suffix)) return std::nullopt;
  name.remove_suffix(suffix.size());
  const size_t dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::pair<ShardId, uint64_t> parsed;
  const auto number = [](std::string_view text, auto& value) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size();
  };
  if (!number(name.substr(0, dash), parsed.first)) return std::nullopt;
  if (!number(name.substr(dash + 1), parsed.second)) return std::nullopt;
  return parsed;
}

Result<int> CheckDataDirectory(Vfs& vfs, const std::string& directory) {
  auto text = ReadWhole(vfs, FormatPath(directory));
  if (!text) return std::unexpected(text.error());
  int version = 0;
  bool legible = text->starts_with(kFirstLine);
  if (legible) {
    const char* first = text->data() + kFirstLine.size();
    legible = std::from_chars(first, text->data() + text->size(), version).ec == std::errc();
  }
  if (!legible) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("{} is not a Landfall format file; is {} the right data directory?",
                            FormatPath(directory), directory));
  }
  if (version > kFormatVersion) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("the data directory {} has format version {}, written by a newer "
                            "Landfall; this one reads up to version {}: start the newer one",
                            directory, version, kFormatVersion));
  }
  return version;
}

Result<void> PrepareDataDirectory(Vfs& vfs, const std::string& directory) {
  auto exists = vfs.Exists(FormatPath(directory));
  if (!exists) return std::unexpected(exists.error());
  if (*exists) {
    const auto version = CheckDataDirectory(vfs, directory);
    if (!version) return std::unexpected(version.error());
    if (*version < kFormatVersion) {
      if (auto ok = WriteFormat(vfs, directory); !ok) return ok;
    }
    // The process that named it may have died before it synced the name.
    if (auto ok = vfs.SyncDirectory(directory); !ok) return ok;
  } else {
    auto journal = vfs.Exists(JournalDirectory(directory));
    if (!journal) return std::unexpected(journal.error());
    if (*journal) {
      // The format file is durable before the journal exists, so somebody removed it.
      auto names = vfs.List(JournalDirectory(directory));
      if (!names) return std::unexpected(names.error());
      for (const auto& name : *names) {
        if (!ParseSegmentName(name)) continue;
        return Fail(ErrorCode::kCorrupt,
                    fmt::format("{} holds a journal but no file named format; put it back (one "
                                "line: \"{}{}\") if the journal is Landfall's",
                                directory, kFirstLine, kFormatVersion));
      }
    }
    if (auto ok = WriteFormat(vfs, directory); !ok) return ok;
  }
  if (auto ok = vfs.MakeDirectory(JournalDirectory(directory)); !ok) return ok;
  if (auto ok = vfs.MakeDirectory(BacklogDirectory(directory)); !ok) return ok;
  return vfs.MakeDirectory(CheckpointDirectory(directory));
}

}  // namespace landfall::storage
