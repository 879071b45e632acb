#include "apps/journal_repair.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "apps/journal_command.h"
#include "apps/journal_content.h"
#include "storage/damaged_file.h"
#include "storage/data_directory.h"
#include "storage/repair.h"
#include "storage/segment.h"

namespace landfall::apps {
namespace {

// What is found only after something else has been repaired: a few times at most.
constexpr int kMostRounds = 5;
constexpr size_t kCopyBytes = size_t{1} << 20;

Result<void> CopyFile(storage::Vfs& vfs, const std::string& from, const std::string& to) {
  auto source = vfs.Open(from, storage::OpenMode::kRead);
  if (!source) return std::unexpected(source.error());
  auto target = vfs.Open(to, storage::OpenMode::kCreate);
  if (!target) return std::unexpected(target.error());
  ByteBuffer bytes(kCopyBytes, '\0');
  for (uint64_t at = 0;;) {
    const auto read = (*source)->Read(at, std::span(bytes.data(), bytes.size()));
    if (!read) return std::unexpected(read.error());
    if (*read == 0) break;
    const ByteView piece = ByteView(bytes).substr(0, *read);
    if (auto ok = storage::WriteAll(**target, at, piece); !ok) return ok;
    at += *read;
  }
  return (*target)->Sync();
}

// Not what nobody reads.
bool Copied(const std::string& name) {
  return !name.ends_with(storage::kDamagedSuffix) && !name.ends_with(".tmp") &&
         !storage::ParseSpareName(name);
}

Result<void> CopyDataDirectory(storage::Vfs& vfs, const std::string& from, const std::string& to) {
  const auto exists = vfs.Exists(to);
  if (!exists) return std::unexpected(exists.error());
  if (*exists) {
    return Fail(ErrorCode::kExists,
                fmt::format("{} exists already; name a directory that does not for the copy", to));
  }
  for (const auto& part :
       {storage::JournalDirectory, storage::CheckpointDirectory, storage::BacklogDirectory}) {
    if (auto ok = vfs.MakeDirectory(part(to)); !ok) return ok;
    const auto there = vfs.Exists(part(from));
    if (!there) return std::unexpected(there.error());
    if (!*there) continue;  // a directory of version 1 has no backlog
    const auto names = vfs.List(part(from));
    if (!names) return std::unexpected(names.error());
    for (const std::string& name : *names) {
      if (!Copied(name)) continue;
      if (auto ok = CopyFile(vfs, part(from) + "/" + name, part(to) + "/" + name); !ok) return ok;
    }
    if (auto ok = vfs.SyncDirectory(part(to)); !ok) return ok;
  }
  // Last: half a copy is no data directory.
  if (auto ok = CopyFile(vfs, storage::FormatPath(from), storage::FormatPath(to)); !ok) return ok;
  return vfs.SyncDirectory(to);
}

void Print(const char* done, const storage::RepairStep& step, std::ostream& out) {
  for (const storage::Damage& d : step.said)
    fmt::print(out, "{}: {} offset {}: {}\n", step.run ? done : "CANNOT REPAIR", d.file, d.offset,
               d.what);
}

class Repair {
 public:
  Repair(storage::Vfs& vfs, const std::string& directory, bool dry_run, std::ostream& out)
      : vfs_(vfs), directory_(directory), dry_run_(dry_run), out_(out) {}

  Result<void> Run() {
    uint64_t quarantined = 0;
    for (int round = 0; round < kMostRounds; ++round) {
      JournalContent content(vfs_, directory_);
      const auto steps = storage::PlanRepair(vfs_, directory_, content);
      if (!steps) return std::unexpected(steps.error());
      if (!content.outcome()) return content.outcome();
      if (steps->empty() && round == 0) fmt::print(out_, "nothing to repair\n");
      quarantined += content.quarantined();
      const bool any = std::ranges::any_of(*steps, [](const auto& s) { return !!s.run; });
      if (dry_run_ || !any) {
        for (const auto& step : *steps) Print("would repair", step, out_);
        break;
      }
      if (auto ok = storage::PrepareDataDirectory(vfs_, directory_); !ok) return ok;
      for (const auto& step : *steps) {
        if (!step.run) continue;  // said in the last round
        if (auto ok = step.run(); !ok) return ok;
        Print("repaired", step, out_);
      }
    }
    if (quarantined > 0) {
      fmt::print(out_, "{} messages {} quarantined\n", quarantined, dry_run_ ? "would be" : "are");
    }
    return {};
  }

 private:
  storage::Vfs& vfs_;
  const std::string& directory_;
  const bool dry_run_;
  std::ostream& out_;
};

}  // namespace

Result<bool> RepairJournal(storage::Vfs& vfs, const RepairOptions& options, std::ostream& out) {
  const auto version = storage::CheckDataDirectory(vfs, options.directory);
  if (!version) return std::unexpected(version.error());
  // Of the source as well: what a broker is writing makes no copy.
  const auto lock = vfs.Lock(options.directory);
  if (!lock) return std::unexpected(lock.error());
  std::string directory = options.directory;
  std::unique_ptr<storage::DirectoryLock> copy_lock;
  if (!options.to.empty() && !options.dry_run) {
    if (auto ok = CopyDataDirectory(vfs, options.directory, options.to); !ok) {
      return std::unexpected(ok.error());
    }
    directory = options.to;
    auto locked = vfs.Lock(directory);
    if (!locked) return std::unexpected(locked.error());
    copy_lock = std::move(*locked);
  }
  if (auto ok = Repair(vfs, directory, options.dry_run, out).Run(); !ok) {
    return std::unexpected(ok.error());
  }
  return VerifyJournal(vfs, {.directory = directory}, out);
}

}  // namespace landfall::apps
