#include "apps/definitions_command.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>
#include <utility>

#include "apps/definitions_import.h"
#include "broker/topology.h"
#include "client/url.h"
#include "server/definitions.h"
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
  void ToShard(broker::ShardId, broker::Command) override {}
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

void Import(const std::string& file, const std::string& url) {
  const auto report = [&]() -> Result<ImportReport> {
    auto broker = client::ParseBrokerUrl(url);
    if (!broker) return std::unexpected(broker.error());
    auto definitions = server::ReadDefinitions(file);
    if (!definitions) return std::unexpected(definitions.error());
    auto done = ImportDefinitions(*definitions, *broker);
    if (!done) return Fail(done.error().code, fmt::format("{}: {}", file, done.error().message));
    return done;
  }();
  if (!report) {
    Complain("import", report.error().message);
    throw CLI::RuntimeError(1);
  }
  for (const std::string& what : report->skipped) {
    Complain("import", fmt::format("not made, AMQP cannot: {}; policies need landfalld "
                                   "--definitions FILE",
                                   what));
  }
  std::cout << fmt::format("{} exchanges, queues and bindings are there\n", report->done);
}

void AddImport(CLI::App& command) {
  struct Options {
    std::string file;
    std::string broker = "amqp://guest:guest@127.0.0.1:5672/";
  };
  CLI::App* importing = command.add_subcommand(
      "import", "Make the exchanges, queues and bindings of a file on a broker that runs");
  const auto options = std::make_shared<Options>();
  importing->add_option("FILE", options->file, "Definitions")->required();
  importing->add_option(
      "--broker", options->broker,
      "Broker, as amqp://user:password@host:port or amqps://…; the vhosts are in the "
      "file");
  importing->callback([options] { Import(options->file, options->broker); });
}

}  // namespace

Result<std::string> ExportDefinitions(storage::Vfs& vfs, const std::string& directory) {
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
  return server::WriteDefinitions(*topology.published());
}

void AddDefinitionsCommand(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "definitions", "Vhosts, policies, exchanges, queues and bindings, in RabbitMQ's JSON format");
  command->require_subcommand(1);
  CLI::App* exporting = command->add_subcommand(
      "export",
      "Print what is in the data directory of a broker that does not run; landfalld "
      "--definitions FILE imports it");
  const auto directory = std::make_shared<std::string>();
  exporting->add_option("DIR", *directory, "Data directory")->required();
  exporting->callback([directory] {
    storage::PosixVfs vfs;
    const auto text = ExportDefinitions(vfs, *directory);
    if (!text) {
      Complain("export", text.error().message);
      throw CLI::RuntimeError(1);
    }
    std::cout << *text << std::flush;
    if (!std::cout) throw CLI::RuntimeError(1);
  });
  AddImport(*command);
}

}  // namespace landfall::apps
