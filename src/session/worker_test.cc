// What several sessions, shards and the topology do together in a worker. What a session does alone
// is in the other tests.
#include "session/worker.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "access/accounts.h"
#include "amqp/frame.h"
#include "amqp/method.h"
#include "base/flat_map.h"

namespace landfall::session {
namespace {

// A disk on which nothing lands until the test says so.
class Ports final : public WorkerPorts {
 public:
  void Post(broker::WorkerId, std::vector<Mail>) override { ADD_FAILURE() << "to whom?"; }
  void Append(storage::Batch batch) override { last[batch.shard] = batch.shard_seq; }
  void SaveCheckpoint(broker::ShardId, uint64_t, storage::CheckpointSource) override {}
  void ReadBlock(broker::ShardId, uint64_t, storage::BlockPlace, uint64_t) override {}
  void DropBacklog(broker::ShardId, uint64_t) override {}
  void ReportDamage(const broker::QueueInfoRef&, uint64_t, const Error&) override {}
  void ReportImbalance(const broker::QueueInfoRef&, const broker::Ledger&, uint64_t) override {}
  void Authenticate(broker::SessionId, Login) override {}

  FlatMap<storage::ShardId, uint64_t> last;  // given to the disk
};

class WorkerTest : public testing::Test {
 protected:
  WorkerTest() {
    worker.topology_writer()->Start(0);
    worker.StartShards({}, /*epoch=*/1, now);
    worker.Turn(now);
  }
  void Request(broker::TopologyRequestBody body) { worker.Request({.body = std::move(body)}); }
  void Land() {
    worker.Turn(now);
    const auto appended = std::exchange(ports.last, {});
    for (const auto& [shard, shard_seq] : appended)
      worker.OnAppended(shard, shard_seq, /*lsn=*/1, now);
    worker.Turn(now);
  }
  Session& Connect(const std::string& vhost) {
    Session& session = worker.AddSession({.loopback = true, .name = "here"}, now);
    const auto send = [&](const auto& method) {
      ByteBuffer frame;
      amqp::AppendMethodFrame(frame, 0, method);
      EXPECT_EQ(session.OnBytes(frame, now), frame.size());
    };
    EXPECT_EQ(session.OnBytes(amqp::kProtocolHeader, now), amqp::kProtocolHeader.size());
    send(amqp::ConnectionStartOk{
        .mechanism = "PLAIN", .response = ByteView("\0guest\0guest", 12), .locale = "en_US"});
    worker.OnAuthenticated(
        session.id(), {.ok = true, .reason = "", .accounts = access::Accounts::WithoutLimits()},
        now);
    send(amqp::ConnectionTuneOk{.channel_max = 10, .frame_max = 131072, .heartbeat = 0});
    send(amqp::ConnectionOpen{.virtual_host = vhost});
    worker.Touch(session.id());
    worker.Turn(now);
    EXPECT_EQ(session.vhost(), vhost);
    return session;
  }

  Time now{Duration(1'000'000)};
  Ports ports;
  Worker worker{{}, ports};
};

TEST_F(WorkerTest, AVhostThatIsMadeAnewInOneStepIsNotThatOfThoseInTheOldOne) {
  Request(broker::CreateVhost{.name = "gone"});
  Request(broker::CreateVhost{.name = "stays"});
  Land();
  const Session& of_old = Connect("gone");
  const Session& of_other = Connect("stays");
  Request(broker::DeleteVhost{.name = "gone"});
  Request(broker::CreateVhost{.name = "gone"});
  Land();
  ASSERT_TRUE(worker.snapshot().FindVhost("gone"));
  EXPECT_EQ(of_old.end_reason(), "CONNECTION_FORCED - vhost 'gone' was deleted");
  EXPECT_EQ(of_other.end_reason(), "");
  const Session& of_new = Connect("gone");
  Request(broker::CreateVhost{.name = "another"});
  Land();
  EXPECT_EQ(of_new.end_reason(), "");
}

}  // namespace
}  // namespace landfall::session
