#include "apps/journal_command.h"

#include <fmt/format.h>
#include <fmt/ostream.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "apps/backlog_check.h"
#include "apps/journal_repair.h"
#include "broker/shard_record.h"
#include "broker/topology_record.h"
#include "storage/frame.h"
#include "storage/inspect.h"
#include "storage/posix_vfs.h"

namespace landfall::apps {
namespace {

using nlohmann::json;
using storage::FrameState;
using storage::InspectedFrame;

struct DecodedEntries {
  std::vector<std::string> records;  // one line each
  std::string error;                 // "" if all could be decoded
};

DecodedEntries Decode(storage::ShardId shard, ByteView entries) {
  DecodedEntries decoded;
  if (shard == storage::kTopologyShard) {
    const auto read = broker::ReadTopologyRecords(entries, [&](const auto& record) -> Result<void> {
      decoded.records.push_back(broker::Describe(record));
      return {};
    });
    if (!read) decoded.error = read.error().message;
    return decoded;
  }
  ByteReader in(entries);
  while (!in.done()) {
    const auto record = broker::ReadRecord(in);
    if (!record) {
      decoded.error = record.error().message;
      return decoded;
    }
    decoded.records.push_back(broker::Describe(*record));
  }
  return decoded;
}

DecodedEntries Decode(const InspectedFrame& frame) {
  const bool has_records =
      frame.state != FrameState::kUnreadable && frame.header.shard != storage::kSealShard;
  return has_records ? Decode(frame.header.shard, frame.entries) : DecodedEntries{};
}

std::string ShardName(storage::ShardId shard) {
  if (shard == storage::kTopologyShard) return "0 (topology)";
  if (shard == storage::kSealShard) return "seal";
  return std::to_string(shard);
}

void PrintText(const InspectedFrame& frame, const DecodedEntries& decoded, std::ostream& out) {
  if (frame.state == FrameState::kUnreadable) {
    fmt::print(out, "{} offset {} UNREADABLE: lsn {} to {} are lost\n", frame.file, frame.offset,
               frame.header.lsn, frame.last_lsn);
    return;
  }
  fmt::print(out, "{} offset {} lsn {} shard {} shard_seq {} bytes {}{}\n", frame.file,
             frame.offset, frame.header.lsn, ShardName(frame.header.shard), frame.header.shard_seq,
             frame.header.length,
             frame.state == FrameState::kCut ? " CUT: never confirmed, recovery ignores it" : "");
  for (const std::string& record : decoded.records) fmt::print(out, "  {}\n", record);
  if (!decoded.error.empty()) fmt::print(out, "  CANNOT BE DECODED: {}\n", decoded.error);
}

void PrintJson(const InspectedFrame& frame, const DecodedEntries& decoded, std::ostream& out) {
  json line{{"file", frame.file}, {"offset", frame.offset}, {"lsn", frame.header.lsn}};
  if (frame.state == FrameState::kUnreadable) {
    line["state"] = "unreadable";
    line["last_lsn"] = frame.last_lsn;
  } else {
    line["state"] = frame.state == FrameState::kCut ? "cut" : "valid";
    line["seal"] = frame.header.shard == storage::kSealShard;
    line["shard"] = frame.header.shard;
    line["shard_seq"] = frame.header.shard_seq;
    line["bytes"] = frame.header.length;
    line["records"] = decoded.records;
    if (!decoded.error.empty()) line["error"] = decoded.error;
  }
  // Names in records are a client's, and need not be UTF-8.
  out << line.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
}

void PrintText(const storage::VerifyReport& report, const BacklogCheck& backlog,
               const std::string& directory, std::ostream& out) {
  const storage::RecoveryReport& log = report.log;
  fmt::print(
      out,
      "{}: {} segments, {} frames, {} bytes; {} checkpoints, {} bytes; {} backlog blocks, {} "
      "bytes; {} batches to replay\n",
      directory, log.segments, log.frames, log.bytes, report.checkpoints, report.checkpoint_bytes,
      backlog.blocks(), backlog.bytes(), report.batches);
  if (log.torn_tail_bytes > 0)
    fmt::print(out, "torn tail: {} bytes, never confirmed, recovery cuts them\n",
               log.torn_tail_bytes);
  for (const storage::Damage& damage : log.damages)
    fmt::print(out, "DAMAGE: {} offset {}: {}\n", damage.file, damage.offset, damage.what);
  fmt::print(out, "{}\n", report.ok() ? "ok" : fmt::format("{} damaged", log.damages.size()));
}

void PrintJson(const storage::VerifyReport& report, const BacklogCheck& backlog,
               const std::string& directory, std::ostream& out) {
  const storage::RecoveryReport& log = report.log;
  json damages = json::array();
  for (const storage::Damage& damage : log.damages)
    damages.push_back({{"file", damage.file}, {"offset", damage.offset}, {"what", damage.what}});
  const json all{{"directory", directory},
                 {"ok", report.ok()},
                 {"segments", log.segments},
                 {"frames", log.frames},
                 {"bytes", log.bytes},
                 {"checkpoints", report.checkpoints},
                 {"checkpoint_bytes", report.checkpoint_bytes},
                 {"backlog_blocks", backlog.blocks()},
                 {"backlog_bytes", backlog.bytes()},
                 {"batches", report.batches},
                 {"torn_tail_bytes", log.torn_tail_bytes},
                 {"damages", damages}};
  out << all.dump(-1, ' ', false, json::error_handler_t::replace) << '\n';
}

// The exit code of what has been done.
int Conclude(const Result<bool>& done) {
  std::cout.flush();
  if (done) return *done ? 0 : 1;
  std::cerr << "landfall journal: " << done.error().message << '\n';
  const bool no_journal =
      done.error().code == ErrorCode::kNotFound || done.error().code == ErrorCode::kInvalidArgument;
  return no_journal ? 2 : 1;
}

void EndWith(int code) {
  if (code != 0) throw CLI::RuntimeError(code);
}

}  // namespace

Result<bool> InspectJournal(storage::Vfs& vfs, const InspectOptions& options, std::ostream& out) {
  bool whole = true;
  uint64_t printed = 0;
  const auto done =
      storage::InspectJournal(vfs, options.directory, [&](const InspectedFrame& frame) {
        if (printed == options.limit) return false;
        // A frame that cannot be read may have been anybody's.
        const bool wanted = !options.shard || frame.state == FrameState::kUnreadable ||
                            frame.header.shard == *options.shard;
        if (!wanted) return true;
        const DecodedEntries decoded = Decode(frame);
        if (options.json) {
          PrintJson(frame, decoded, out);
        } else {
          PrintText(frame, decoded, out);
        }
        whole = whole && frame.state != FrameState::kUnreadable && decoded.error.empty();
        ++printed;
        return static_cast<bool>(out);
      });
  if (!done) return std::unexpected(done.error());
  return whole;
}

Result<bool> VerifyJournal(storage::Vfs& vfs, const VerifyOptions& options, std::ostream& out) {
  BacklogCheck backlog(vfs, options.directory);
  Result<storage::VerifyReport> report = storage::Verify(
      vfs, options.directory, [&](storage::ShardId shard, ByteView piece, bool last) {
        backlog.OnCheckpoint(shard, piece, last);
      });
  if (!report) return std::unexpected(report.error());
  if (!backlog.outcome()) return std::unexpected(backlog.outcome().error());
  for (const storage::Damage& damage : backlog.damages()) report->log.damages.push_back(damage);
  // The checksums hold for whatever was written; that it makes sense is another question.
  const auto done =
      storage::InspectJournal(vfs, options.directory, [&](const InspectedFrame& frame) {
        if (frame.state != FrameState::kValid) return true;
        const DecodedEntries decoded = Decode(frame);
        if (!decoded.error.empty())
          report->log.damages.push_back({.file = frame.file,
                                         .offset = frame.offset,
                                         .what = "cannot be decoded: " + decoded.error});
        return true;
      });
  if (!done) return std::unexpected(done.error());
  if (options.json) {
    PrintJson(*report, backlog, options.directory, out);
  } else {
    PrintText(*report, backlog, options.directory, out);
  }
  return report->ok();
}

void AddJournalCommand(CLI::App& app) {
  CLI::App* journal = app.add_subcommand(
      "journal",
      "Looks into a broker's data directory, or repairs it. While a broker has it open, its end\n"
      "moves and may look torn");
  journal->require_subcommand(1);

  CLI::App* inspect = journal->add_subcommand("inspect", "Prints every frame and every record");
  auto inspect_options = std::make_shared<InspectOptions>();
  inspect->add_option("DIR", inspect_options->directory, "The broker's data directory")->required();
  inspect->add_option("--shard", inspect_options->shard,
                      "Only frames of this shard; 0 is the topology");
  inspect->add_option("--limit", inspect_options->limit, "Stop after so many frames");
  inspect->add_flag("--json", inspect_options->json, "One JSON object a frame and line");
  inspect->callback([inspect_options] {
    storage::PosixVfs vfs;
    EndWith(Conclude(InspectJournal(vfs, *inspect_options, std::cout)));
  });

  CLI::App* verify = journal->add_subcommand(
      "verify", "Reads all that recovery would read; ends with 0 if it is whole, 1 if not");
  auto verify_options = std::make_shared<VerifyOptions>();
  verify->add_option("DIR", verify_options->directory, "The broker's data directory")->required();
  verify->add_flag("--json", verify_options->json, "The summary as a JSON object");
  verify->callback([verify_options] {
    storage::PosixVfs vfs;
    EndWith(Conclude(VerifyJournal(vfs, *verify_options, std::cout)));
  });

  CLI::App* repair = journal->add_subcommand(
      "repair",
      "Takes what verify finds damaged out of the data directory of a broker that does not run, "
      "and\n"
      "keeps it beside as *.damaged; ends with 0 if it is whole afterwards, 1 if not");
  auto repair_options = std::make_shared<RepairOptions>();
  repair->add_option("DIR", repair_options->directory, "The broker's data directory")->required();
  repair->add_option("--to", repair_options->to,
                     "Leave DIR as it is, and repair a copy of it that is made here");
  repair->add_flag("--dry-run", repair_options->dry_run, "Only say what would be done");
  repair->callback([repair_options] {
    storage::PosixVfs vfs;
    EndWith(Conclude(RepairJournal(vfs, *repair_options, std::cout)));
  });
}

}  // namespace landfall::apps
