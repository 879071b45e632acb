#include "storage/repair.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <queue>
#include <random>
#include <set>
#include <utility>

#include "storage/checkpoint_file.h"
#include "storage/damaged_file.h"
#include "storage/data_directory.h"
#include "storage/log_reader.h"
#include "storage/segment.h"

namespace landfall::storage {
namespace {

// More frames than this cannot be stood in for: each takes a header.
constexpr uint64_t kMostLostFrames = uint64_t{1} << 24;

struct BatchName {
  ShardId shard = 0;
  uint64_t shard_seq = 0;
};

// By the LSN in whose place it comes.
using StandIns = std::map<uint64_t, BatchName>;

class CheckpointsTo final : public RecoveryVisitor {
 public:
  explicit CheckpointsTo(RepairContent& content) : content_(content) {}
  Result<void> OnCheckpoint(ShardId shard, uint64_t, ByteView piece, bool last) override {
    content_.OnCheckpoint(shard, piece, last);
    return {};
  }
  Result<void> OnBatch(ShardId, uint64_t, ByteView) override { return {}; }

 private:
  RepairContent& content_;
};

Result<void> KeepDurably(Vfs& vfs, const std::string& directory, const std::string& path) {
  if (auto aside = KeepAside(vfs, path); !aside) return std::unexpected(aside.error());
  return vfs.SyncDirectory(directory);
}

// ------------------------------------------------------------------------------------ one segment

// How a segment is written anew.
struct SegmentRepair {
  std::string path;
  SegmentHeader header;
  // Its frames are those from header.first_lsn up to this.
  uint64_t last_lsn = 0;
  // The following segment's first LSN, for ScanSegment.
  std::optional<uint64_t> next_first_lsn;
  bool readable = true;          // its header
  std::set<uint64_t> misplaced;  // LSNs of frames that say nothing new
};

class SegmentWriter {
 public:
  SegmentWriter(File& file, const SegmentHeader& header) : file_(file), header_(header) {
    buffer_ = EncodeSegmentHeader(header);
  }

  void Copy(ByteView frame) { Add(frame); }
  void Add(uint64_t lsn, const BatchName& name, uint64_t synced_lsn, ByteView entries) {
    const FrameHeader header{.length = static_cast<uint32_t>(entries.size()),
                             .lsn = lsn,
                             .shard_seq = name.shard_seq,
                             .synced_lsn = synced_lsn,
                             .epoch = header_.epoch,
                             .shard = name.shard};
    ByteBuffer frame(kFrameHeaderBytes, '\0');
    EncodeFrameHeader(header, HashEntries(entries), header_.nonce, frame.data());
    frame += entries;
    frame.resize(FrameBytes(entries.size()), '\0');
    Add(frame);
  }
  Result<void> Finish() {
    Flush();
    return result_ ? file_.Sync() : result_;
  }

 private:
  void Add(ByteView bytes) {
    buffer_ += bytes;
    if (buffer_.size() >= kPiece) Flush();
  }
  void Flush() {
    if (result_) result_ = WriteAll(file_, offset_, buffer_);
    offset_ += buffer_.size();
    buffer_.clear();
  }

  static constexpr size_t kPiece = size_t{1} << 20;
  File& file_;
  const SegmentHeader header_;
  ByteBuffer buffer_;
  uint64_t offset_ = 0;
  Result<void> result_;
};

class SegmentRewriter {
 public:
  SegmentRewriter(Vfs& vfs, std::string journal_directory, RepairContent& content,
                  SegmentRepair repair, std::shared_ptr<const StandIns> stand_ins)
      : vfs_(vfs),
        directory_(std::move(journal_directory)),
        content_(content),
        repair_(std::move(repair)),
        stand_ins_(std::move(stand_ins)) {}

  Result<void> Run() const {
    const std::string temporary = repair_.path + ".tmp";
    auto left_over = vfs_.Exists(temporary);
    if (!left_over) return std::unexpected(left_over.error());
    if (*left_over) {
      if (auto ok = vfs_.Remove(temporary); !ok) return ok;
    }
    if (auto ok = WriteTo(temporary); !ok) {
      (void)vfs_.Remove(temporary);  // gives the space back
      return ok;
    }
    // The original keeps a name at every moment.
    if (auto ok = KeepDurably(vfs_, directory_, repair_.path); !ok) return ok;
    if (auto ok = vfs_.Rename(temporary, repair_.path); !ok) return ok;
    return vfs_.SyncDirectory(directory_);
  }

 private:
  Result<void> WriteTo(const std::string& path) const {
    auto bytes = ReadWhole(vfs_, repair_.path);
    if (!bytes) return std::unexpected(bytes.error());
    auto file = vfs_.Open(path, OpenMode::kCreate);
    if (!file) return std::unexpected(file.error());
    SegmentWriter writer(**file, repair_.header);
    SegmentScan scan;
    if (repair_.readable) scan = ScanSegment(*bytes, repair_.header, repair_.next_first_lsn);
    auto frame = scan.frames.begin();
    for (uint64_t lsn = repair_.header.first_lsn; lsn <= repair_.last_lsn; ++lsn) {
      if (frame != scan.frames.end() && frame->header.lsn == lsn) {
        AddKept(*frame, *bytes, writer);
        ++frame;
      } else {
        AddStandIn(lsn, writer);
      }
    }
    return writer.Finish();
  }

  void AddKept(const ScannedFrame& frame, ByteView bytes, SegmentWriter& writer) const {
    const FrameHeader& h = frame.header;
    const ByteView entries = bytes.substr(frame.offset + kFrameHeaderBytes, h.length);
    const size_t decodable =
        h.shard == kSealShard ? h.length : content_.Decodable(h.shard, entries);
    if (repair_.misplaced.contains(h.lsn)) {
      writer.Add(h.lsn, {kSealShard, 0}, h.synced_lsn, {});
    } else if (decodable == h.length) {
      writer.Copy(bytes.substr(frame.offset, FrameBytes(h.length)));
    } else if (decodable > 0) {
      writer.Add(h.lsn, {h.shard, h.shard_seq}, h.synced_lsn, entries.substr(0, decodable));
    } else {
      writer.Add(h.lsn, {h.shard, h.shard_seq}, h.synced_lsn, content_.EmptyBatch(h.shard));
    }
  }

  void AddStandIn(uint64_t lsn, SegmentWriter& writer) const {
    const auto known = stand_ins_->find(lsn);
    if (known == stand_ins_->end()) {
      writer.Add(lsn, {kSealShard, 0}, 0, {});
    } else {
      writer.Add(lsn, known->second, 0, content_.EmptyBatch(known->second.shard));
    }
  }

  Vfs& vfs_;
  const std::string directory_;
  RepairContent& content_;
  const SegmentRepair repair_;
  const std::shared_ptr<const StandIns> stand_ins_;
};

// ---------------------------------------------------------------------------------------- the plan

class Planner {
 public:
  Planner(Vfs& vfs, const std::string& directory, RepairContent& content)
      : vfs_(vfs), directory_(directory), content_(content) {}

  Result<std::vector<RepairStep>> Plan() {
    CheckpointsTo visitor(content_);
    auto log = ReadLog(vfs_, directory_, visitor);
    if (!log) return std::unexpected(log.error());
    log_ = std::move(*log);
    PlanStrays();
    PlanTopology();
    if (auto ok = PlanDamagedCheckpoints(); !ok) return std::unexpected(ok.error());
    // Without it recovery falls back to an older one, and sees another journal.
    if (PlanUndecodableCheckpoints()) return std::move(steps_);
    PlanCheckpoints();
    if (auto ok = PlanSegments(); !ok) return std::unexpected(ok.error());
    return std::move(steps_);
  }

 private:
  struct Gap {
    std::string file;
    LsnGap lsns;
  };

  void PlanStrays() {
    for (const std::string& path : log_.strays) {
      steps_.push_back(
          {{{path, 0, "is not a checkpoint: put aside"}},
           [&vfs = vfs_, directory = CheckpointDirectory(directory_), path]() -> Result<void> {
             if (auto put = PutAside(vfs, path); !put) {
               return std::unexpected(put.error());
             }
             return vfs.SyncDirectory(directory);
           }});
    }
  }

  // Queues that the topology does not know are deleted ones, whose messages go.
  void PlanTopology() {
    if (!TopologyIsIncomplete()) return;
    steps_.push_back(
        {{{CheckpointDirectory(directory_), 0,
           "the checkpoint of the topology (shard 0) cannot be read, and the journal has not all "
           "that it had: without it queues are unknown, and their messages would be given up. It "
           "is left as it is; restore the data directory from a backup"}},
         nullptr});
  }

  Result<void> PlanDamagedCheckpoints() {
    for (const DamagedCheckpoint& damaged : log_.damaged_checkpoints) {
      if (damaged.shard == kTopologyShard && TopologyIsIncomplete()) continue;
      if (auto ok = PlanCheckpointAside(damaged, "cannot be read"); !ok) return ok;
    }
    return {};
  }

  bool TopologyIsIncomplete() const {
    const auto is_topology = [](const auto& of) { return of.shard == kTopologyShard; };
    if (log_.checkpoints.contains(kTopologyShard) ||
        std::ranges::none_of(log_.damaged_checkpoints, is_topology)) {
      return false;
    }
    const bool in_journal = std::ranges::any_of(
        log_.segments, [](const SegmentInfo& s) { return s.last_seq.contains(kTopologyShard); });
    return !in_journal || std::ranges::any_of(log_.lost, [&](const LostBatches& lost) {
      return is_topology(lost) && lost.after_lsn == 0;
    });
  }

  Result<void> PlanCheckpointAside(const DamagedCheckpoint& damaged, std::string_view why) {
    std::vector<uint64_t> named = content_.BacklogFiles(damaged.shard);
    const auto files = UnnamedBacklog(vfs_, directory_, damaged.shard, named);
    if (!files) return std::unexpected(files.error());
    steps_.push_back(
        {{{damaged.path, 0,
           fmt::format("the checkpoint of shard {} {}: put aside, and {} backlog files that it may "
                       "have named; how many messages there were in it and them nobody knows",
                       damaged.shard, why, files->size())}},
         [&vfs = vfs_, directory = directory_, damaged, named]() -> Result<void> {
           auto put = PutCheckpointAside(vfs, directory, damaged, named);
           return put ? Result<void>() : std::unexpected(put.error());
         }});
    return {};
  }

  // True if there are any.
  bool PlanUndecodableCheckpoints() {
    bool any = false;
    for (const auto& [shard, checkpoint] : log_.checkpoints) {
      const auto why = content_.Undecodable(shard);
      if (!why) continue;
      any = true;
      steps_.push_back(
          {{{checkpoint.path, 0,
             fmt::format("the checkpoint of shard {} is whole and cannot be decoded ({}): was it "
                         "written by a newer Landfall? It is left as it is; start that one, or "
                         "restore the data directory from a backup",
                         shard, *why)}},
           nullptr});
    }
    return any;
  }

  void PlanCheckpoints() {
    std::map<ShardId, LostBatches> lost;
    for (const LostBatches& l : log_.lost) {
      if (IsBeforeTheJournal(l)) lost.emplace(l.shard, l);
    }
    for (const auto& [shard, l] : lost) PlanCheckpoint(shard, &l);
    for (const auto& [shard, checkpoint] : log_.checkpoints) {
      if (!lost.contains(shard)) PlanCheckpoint(shard, nullptr);
    }
  }

  // Missing at the start of what the journal has of its shard. There is no such thing as a topology
  // that begins with an empty checkpoint.
  bool IsBeforeTheJournal(const LostBatches& lost) const {
    return lost.after_lsn == 0 &&
           (lost.shard != kTopologyShard || log_.checkpoints.contains(kTopologyShard));
  }

  void PlanCheckpoint(ShardId shard, const LostBatches* lost) {
    const auto found = log_.checkpoints.find(shard);
    const bool present = found != log_.checkpoints.end();
    std::vector<Damage> said;
    if (present) said = content_.DamagedBlocks(shard);
    std::set<std::string> damaged_files;
    for (const Damage& d : said) damaged_files.insert(d.file);
    const CheckpointName name{shard, lost != nullptr ? lost->last_seq : found->second.shard_seq};
    if (lost != nullptr) {
      said.push_back(
          {CheckpointDirectory(directory_) + "/" + CheckpointFileName(name), 0,
           fmt::format("of shard {} the batches {} to {} are lost, and how many messages "
                       "were in them nobody knows: this checkpoint of what was before "
                       "lets the shard go on behind them",
                       shard, lost->first_seq, lost->last_seq)});
    }
    if (said.empty()) return;
    std::optional<CheckpointInfo> from;
    if (present) from = found->second;
    steps_.push_back({std::move(said), [this_vfs = &vfs_, directory = directory_,
                                        content = &content_, damaged_files, name, from] {
                        return WriteAnew(*this_vfs, directory, *content, damaged_files, name, from);
                      }});
  }

  static Result<void> WriteAnew(Vfs& vfs, const std::string& directory, RepairContent& content,
                                const std::set<std::string>& damaged_files,
                                const CheckpointName& name,
                                const std::optional<CheckpointInfo>& from) {
    for (const std::string& path : damaged_files) {
      const auto kept = KeepDurably(vfs, BacklogDirectory(directory), path);
      if (!kept && kept.error().code != ErrorCode::kNotFound) return kept;
    }
    if (from) {
      if (auto ok = KeepDurably(vfs, CheckpointDirectory(directory), from->path); !ok) return ok;
    }
    Result<void> read;
    const CheckpointSource copy = [&](CheckpointOutput& out) {
      if (!from) return true;  // an empty one
      auto done = ReadCheckpoint(vfs, from->path, {name.shard, from->shard_seq},
                                 [&](ByteView piece) -> Result<void> {
                                   if (content.CopyCheckpoint(name.shard, piece, out)) return {};
                                   return Fail(ErrorCode::kIo, "the copy cannot be written");
                                 });
      if (!done) read = std::unexpected(done.error());
      return done.has_value();
    };
    auto written = WriteCheckpoint(vfs, directory, name, copy, nullptr);
    if (written) return {};
    return std::unexpected(
        written.error().code == ErrorCode::kUnavailable && !read ? read.error() : written.error());
  }

  Result<void> PlanSegments() {
    // All of them first: whose the lost frames were shows only when all are known.
    std::vector<Gap> gaps;
    std::vector<SegmentRepair> repairs;
    std::map<std::string, std::vector<Damage>> said;
    uint64_t lost_frames = 0;
    for (size_t i = 0; i < log_.segments.size(); ++i) {
      auto repair = Look(i, gaps, said);
      if (!repair) return std::unexpected(repair.error());
      if (*repair) repairs.push_back(std::move(**repair));
    }
    for (const Gap& gap : gaps) {
      const uint64_t frames = gap.lsns.last_lsn - gap.lsns.first_lsn + 1;
      lost_frames += std::min(frames, kMostLostFrames + 1);
      if (lost_frames > kMostLostFrames) {
        steps_.push_back({{{gap.file, gap.lsns.offset,
                            fmt::format("the frames with LSN {} to {} are lost, which are too many "
                                        "to stand in for; is the file that follows a segment of "
                                        "this journal?",
                                        gap.lsns.first_lsn, gap.lsns.last_lsn)}},
                          nullptr});
        return {};
      }
    }
    const auto stand_ins = std::make_shared<const StandIns>(Assign(gaps, said));
    for (SegmentRepair& repair : repairs) {
      std::vector<Damage> about = std::move(said[repair.path]);
      const SegmentRewriter rewriter(vfs_, JournalDirectory(directory_), content_,
                                     std::move(repair), stand_ins);
      steps_.push_back({std::move(about), [rewriter] { return rewriter.Run(); }});
    }
    return {};
  }

  // What has to be done about a segment, if anything.
  Result<std::optional<SegmentRepair>> Look(size_t index, std::vector<Gap>& gaps,
                                            std::map<std::string, std::vector<Damage>>& said) {
    const SegmentInfo& info = log_.segments[index];
    SegmentRepair repair{.path = info.path, .header = {}, .next_first_lsn = {}, .misplaced = {}};
    if (index + 1 < log_.segments.size()) {
      repair.next_first_lsn = log_.segments[index + 1].first_lsn;
    }
    auto bytes = ReadWhole(vfs_, info.path);
    if (!bytes) return std::unexpected(bytes.error());
    const auto header = ReadSegmentHeader(*bytes);
    std::vector<Damage>& about = said[info.path];
    if (!header || header->first_lsn != info.first_lsn) {
      std::random_device device;
      // Of the last one nobody knows how many frames it had.
      repair.last_lsn = repair.next_first_lsn.value_or(info.first_lsn + 1) - 1;
      repair.readable = false;
      repair.header = {.epoch = std::max(log_.next_epoch, 2u) - 1,
                       .first_lsn = info.first_lsn,
                       .nonce = (uint64_t{device()} << 32) | device()};
      gaps.push_back({info.path, {0, info.first_lsn, repair.last_lsn}});
      about.push_back(
          {info.path, 0,
           "the segment's header cannot be read, and so none of its frames: frames that "
           "say nothing take their place"});
      return repair;
    }
    repair.header = *header;
    const SegmentScan scan = ScanSegment(*bytes, *header, repair.next_first_lsn);
    repair.last_lsn = scan.next_lsn - 1;
    for (const LsnGap& gap : scan.gaps) {
      gaps.push_back({info.path, gap});
      about.push_back({info.path, gap.offset,
                       fmt::format("the frames with LSN {} to {} cannot be read: frames that say "
                                   "nothing take their place",
                                   gap.first_lsn, gap.last_lsn)});
    }
    for (const ScannedFrame& frame : scan.frames) LookAtFrame(frame, *bytes, repair, about);
    if (scan.torn_bytes > 0) {
      about.push_back({info.path, scan.end_offset,
                       fmt::format("the torn tail, {} bytes that were never confirmed, is cut",
                                   scan.torn_bytes)});
    }
    if (about.empty()) return std::nullopt;
    return repair;
  }

  void LookAtFrame(const ScannedFrame& frame, ByteView bytes, SegmentRepair& repair,
                   std::vector<Damage>& about) {
    const FrameHeader& h = frame.header;
    if (h.shard == kSealShard) return;
    if (std::ranges::find(log_.misplaced, h.lsn) != log_.misplaced.end()) {
      repair.misplaced.insert(h.lsn);
      about.push_back({repair.path, frame.offset,
                       fmt::format("batch {} of shard {} comes after a later one, and recovery "
                                   "leaves it out: a frame that says nothing takes its place",
                                   h.shard_seq, h.shard)});
      return;
    }
    const size_t decodable =
        content_.Decodable(h.shard, bytes.substr(frame.offset + kFrameHeaderBytes, h.length));
    if (decodable == h.length) return;
    about.push_back({repair.path, frame.offset,
                     fmt::format("batch {} of shard {} cannot be decoded from its byte {} on: what "
                                 "stands before stays, {} bytes go",
                                 h.shard_seq, h.shard, decodable, h.length - decodable)});
  }

  // Gives each batch that is known to be missing the place of a frame that is lost, between the two
  // frames of its shard that it stood between. Where the places of several overlap, the one that
  // has to be in place first comes first: if all can have one, all get one so.
  StandIns Assign(const std::vector<Gap>& gaps, std::map<std::string, std::vector<Damage>>& said) {
    std::vector<LostBatches> lost;
    for (const LostBatches& l : log_.lost) {
      const bool refused = l.shard == kTopologyShard && TopologyIsIncomplete();
      if (!IsBeforeTheJournal(l) && !refused) lost.push_back(l);
    }
    std::ranges::sort(lost, {}, &LostBatches::after_lsn);
    const auto later = [](const LostBatches& a, const LostBatches& b) {
      return a.before_lsn > b.before_lsn;
    };
    std::priority_queue<LostBatches, std::vector<LostBatches>, decltype(later)> open(later);
    StandIns stand_ins;
    auto next = lost.begin();
    const auto open_until = [&](uint64_t lsn, auto opened) {
      for (; next != lost.end() && next->after_lsn < lsn; ++next) {
        open.push(*next);
        opened(*next);
      }
      for (; !open.empty() && open.top().before_lsn < lsn; open.pop()) RefuseLost(open.top());
    };
    for (const Gap& gap : gaps) {
      for (uint64_t lsn = gap.lsns.first_lsn; lsn <= gap.lsns.last_lsn; ++lsn) {
        open_until(lsn, [&](const LostBatches& l) {
          said[gap.file].push_back(
              {gap.file, gap.lsns.offset,
               fmt::format("of shard {} the batches {} to {} are lost, and how many messages were "
                           "in them nobody knows: empty ones take their place",
                           l.shard, l.first_seq, l.last_seq)});
        });
        if (open.empty()) continue;
        LostBatches first = open.top();
        open.pop();
        stand_ins[lsn] = {first.shard, first.first_seq};
        if (first.first_seq++ != first.last_seq) open.push(first);
      }
    }
    open_until(std::numeric_limits<uint64_t>::max(), [](const LostBatches&) {});
    return stand_ins;
  }

  void RefuseLost(const LostBatches& lost) {
    steps_.push_back(
        {{{JournalDirectory(directory_), 0,
           fmt::format(
               "of shard {} the batches {} to {} are lost, and no frame between those before "
               "and behind is: nothing can stand in for them. The broker goes on without "
               "them, and complains at each start until the shard's next checkpoint",
               lost.shard, lost.first_seq, lost.last_seq)}},
         nullptr});
  }

  Vfs& vfs_;
  const std::string directory_;
  RepairContent& content_;
  LogContents log_;
  std::vector<RepairStep> steps_;
};

}  // namespace

Result<std::vector<RepairStep>> PlanRepair(Vfs& vfs, const std::string& directory,
                                           RepairContent& content) {
  return Planner(vfs, directory, content).Plan();
}

}  // namespace landfall::storage
