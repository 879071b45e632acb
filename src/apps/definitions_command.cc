#include "apps/definitions_command.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <optional>
#include <utility>

#include "apps/definitions_import.h"
#include "apps/users_location.h"
#include "broker/topology.h"
#include "client/url.h"
#include "server/definitions.h"
#include "server/log.h"
#include "server/private_file.h"
#include "storage/data_directory.h"
#include "storage/log_reader.h"
#include "storage/posix_vfs.h"

namespace landfall::apps {
namespace {

// Nobody is there who would have to be told.
class NoPorts : public broker::TopologyPorts {
 public:
  void AppendTopology(storage::Batch) override {}
  void Install(broker::SnapshotRef) override {}
  void Reply(broker::TopologyReply) override {}
  void ToShard(broker::ShardId, broker::Command&&) override {}
};

class TopologyReader : public storage::RecoveryVisitor {
 public:
  explicit TopologyReader(broker::Topology& topology) : topology_(topology) {}

  Result<void> OnCheckpoint(storage::ShardId shard, uint64_t shard_seq, ByteView piece,
                            bool last) override {
    if (shard != storage::kTopologyShard) return {};
    shard_seq_ = shard_seq;
    checkpoint_ += piece;
    if (!last) return {};
    return topology_.RecoverCheckpoint(shard_seq, std::exchange(checkpoint_, {}));
  }
  Result<void> OnBatch(storage::ShardId shard, uint64_t shard_seq, ByteView entries) override {
    if (shard != storage::kTopologyShard) return {};
    shard_seq_ = shard_seq;
    return topology_.RecoverBatch(shard_seq, entries);
  }
  uint64_t shard_seq() const { return shard_seq_; }

 private:
  broker::Topology& topology_;
  ByteBuffer checkpoint_;
  uint64_t shard_seq_ = 0;
};

void Complain(std::string_view command, std::string_view message) {
  std::cerr << "landfall definitions " << command << ": " << message << '\n';
}

struct ImportFlags {
  std::string file;
  std::string broker = "amqp://guest:guest@127.0.0.1:5672/";
  UsersLocation users;
};

// What users and limits there are to be taken, in words.
std::string Counted(const server::UserDefinitions& users) {
  return fmt::format("{} users, {} permissions, {} topic permissions, {} limits of vhosts",
                     users.users.size(), users.permissions.size(), users.topic_permissions.size(),
                     users.vhost_limits.size());
}

// What was done, to be printed.
Result<std::string> Import(const ImportFlags& flags) {
  auto broker = client::ParseBrokerUrl(flags.broker);
  if (!broker) return std::unexpected(broker.error());
  auto definitions = server::ReadDefinitions(flags.file);
  if (!definitions) return std::unexpected(definitions.error());
  const auto fail = [&](const Error& error) {
    return Fail(error.code, fmt::format("{}: {}", flags.file, error.message));
  };
  // Whatever can be wrong with the users is found before anything is made on the broker.
  std::optional<server::UserFile> users;
  if (flags.users.said()) {
    if (auto ok = flags.users.Check(); !ok) return std::unexpected(ok.error());
    auto opened = flags.users.Open();
    if (!opened) return std::unexpected(opened.error());
    users = std::move(*opened);
    if (auto can = users->CanImport(definitions->users); !can) return fail(can.error());
    const auto exists = [&](const std::string& vhost) { return HasVhost(*broker, vhost); };
    if (auto known = server::CheckPermissionVhosts(*definitions, exists); !known)
      return fail(known.error());
  }
  if (!definitions->users.users.empty() && server::OthersMayRead(flags.file))
    Complain("import", fmt::format("others may read {}, and passwords or their hashes are in it; "
                                   "chmod 600 it",
                                   flags.file));
  for (const std::string& what : definitions->left_out)
    Complain("import", fmt::format("left out: {}", what));
  auto report = ImportDefinitions(*definitions, *broker);
  if (!report) return fail(report.error());
  for (const std::string& what : report->skipped) {
    Complain("import", fmt::format("not made, AMQP cannot: {}; policies need landfalld "
                                   "--definitions FILE",
                                   what));
  }
  std::string done = fmt::format("{} exchanges, queues and bindings are there\n", report->done);
  if (definitions->users.empty()) return done;
  if (!users) {
    Complain("import", fmt::format("not taken: {}; --data-dir DIR or --users-file FILE says where "
                                   "the broker's users are",
                                   Counted(definitions->users)));
    return done;
  }
  if (auto taken = users->Import(definitions->users); !taken) return std::unexpected(taken.error());
  return done + fmt::format("{} are in {}; a running broker sees it after SIGHUP\n",
                            Counted(definitions->users), users->path());
}

void AddImport(CLI::App& command) {
  CLI::App* importing = command.add_subcommand(
      "import",
      "Make the exchanges, queues and bindings of a file on a broker that runs, and take "
      "its users");
  const auto flags = std::make_shared<ImportFlags>();
  importing->add_option("FILE", flags->file, "Definitions")->required();
  importing->add_option("--broker", flags->broker,
                        "Broker, as amqp://user:password@host:port or amqps://…; the vhosts are in "
                        "the file");
  flags->users.AddFlags(*importing);
  importing->callback([flags] {
    server::SetUpLog({});
    const auto done = Import(*flags);
    if (!done) {
      Complain("import", done.error().message);
      throw CLI::RuntimeError(1);
    }
    std::cout << *done << std::flush;
  });
}

struct ExportFlags {
  std::string directory;
  std::string users_file;
  std::string output;
};

// Nothing if there is no such file and nobody said that there is.
Result<std::optional<server::UserTable>> ReadUsers(const ExportFlags& flags) {
  const bool said = !flags.users_file.empty();
  const std::string path = said ? flags.users_file : flags.directory + "/users.toml";
  auto table = server::ReadUserTable(path);
  if (table) return std::move(*table);
  if (said || table.error().code != ErrorCode::kNotFound) return std::unexpected(table.error());
  Complain("export", fmt::format("without users: there is no {}; --users-file FILE says where "
                                 "they are",
                                 path));
  return std::nullopt;
}

Result<void> Print(const std::string& text) {
  struct stat info;
  if (fstat(STDOUT_FILENO, &info) == 0 && S_ISREG(info.st_mode) && (info.st_mode & 077) != 0) {
    Complain("export",
             "others may read the file that this is printed to, and hashes of passwords are in "
             "it; chmod 600 it, or say --output FILE");
  }
  std::cout << text << std::flush;
  if (!std::cout) return Fail(ErrorCode::kIo, "it could not be printed");
  return {};
}

Result<void> Export(const ExportFlags& flags) {
  const auto users = ReadUsers(flags);
  if (!users) return std::unexpected(users.error());
  storage::PosixVfs vfs;
  const auto text = ExportDefinitions(vfs, flags.directory, *users ? &**users : nullptr);
  if (!text) return std::unexpected(text.error());
  if (flags.output.empty()) return Print(*text);
  const auto lock = server::LockDirectoryOf(flags.output);
  if (!lock) return std::unexpected(lock.error());
  return server::WritePrivateFile(flags.output, *text);
}

void AddExport(CLI::App& command) {
  CLI::App* exporting = command.add_subcommand(
      "export",
      "Print what is in the data directory of a broker that does not run, with its users and the "
      "hashes of their passwords; landfalld --definitions FILE imports it");
  const auto flags = std::make_shared<ExportFlags>();
  exporting->add_option("DIR", flags->directory, "Data directory")->required();
  exporting->add_option("--users-file", flags->users_file,
                        "The broker's user file, if it is not DIR/users.toml");
  exporting->add_option("--output", flags->output,
                        "A file to write instead, which nobody else may read");
  exporting->callback([flags] {
    if (const auto done = Export(*flags); !done) {
      Complain("export", done.error().message);
      throw CLI::RuntimeError(1);
    }
  });
}

}  // namespace

Result<std::string> ExportDefinitions(storage::Vfs& vfs, const std::string& directory,
                                      const server::UserTable* users) {
  if (auto known = storage::CheckDataDirectory(vfs, directory); !known) {
    return std::unexpected(known.error());
  }
  NoPorts ports;
  // With more shards than any broker has: how many this one had does not matter here.
  broker::Topology topology({.shards = broker::kFirstTransientShard - 1}, ports);
  TopologyReader reader(topology);
  auto read = storage::ReadLog(vfs, directory, reader);
  if (!read) return std::unexpected(read.error());
  if (!read->report.damages.empty()) {
    const storage::Damage& damage = read->report.damages.front();
    return Fail(ErrorCode::kCorrupt,
                fmt::format("{} is damaged at offset {} ({}), so something may be missing; look at "
                            "it with landfall journal verify",
                            damage.file, damage.offset, damage.what));
  }
  topology.Start(reader.shard_seq());
  return server::WriteDefinitions(*topology.published(), users);
}

void AddDefinitionsCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "definitions",
      "Vhosts, users, policies, exchanges, queues and bindings, in RabbitMQ's JSON format");
  command->require_subcommand(1);
  AddExport(*command);
  AddImport(*command);
}

}  // namespace landfall::apps
