#include "apps/definitions_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "broker/topology_record.h"
#include "storage/fault_vfs.h"
#include "storage/file_store.h"
#include "storage/store_testing.h"

namespace landfall::apps {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(DefinitionsExport, ReadsWhatABrokerHasLeft) {
  storage::FaultVfs vfs;
  {
    storage::FileStore store(vfs, {.directory = "/data", .segment_bytes = 1 << 16});
    storage::RecordingVisitor visitor;
    storage::RecordingListener listener;
    ASSERT_TRUE(store.Recover(visitor));
    store.Start(listener);
    ByteBuffer entries(1, broker::kTopologyFormat);
    broker::AppendVhostCreated(entries, "orders");
    broker::AppendPolicySet(entries, "orders",
                            {.name = "limit", .definition = {{"max-length", 5}}});
    store.Append({.shard = 0, .shard_seq = 1, .entries = entries});
    store.Append({.shard = 7, .shard_seq = 1, .entries = "what a shard writes"});
    store.Stop();
  }
  const auto text = ExportDefinitions(vfs, "/data", nullptr);
  ASSERT_TRUE(text) << text.error().message;
  EXPECT_THAT(*text, HasSubstr(R"("name": "orders")"));
  EXPECT_THAT(*text, HasSubstr(R"("max-length": 5)"));
  EXPECT_THAT(*text, Not(HasSubstr("users")));
  const server::UserTable users{.users = {{"ada", {.name = "ada", .tags = {"monitoring"}}}}};
  const auto with_users = ExportDefinitions(vfs, "/data", &users);
  ASSERT_TRUE(with_users) << with_users.error().message;
  EXPECT_THAT(*with_users, HasSubstr(R"("name": "orders")"));
  EXPECT_THAT(*with_users, HasSubstr(R"("name": "ada")"));
}

TEST(DefinitionsExport, SaysWhenThereIsNoDataDirectory) {
  storage::FaultVfs vfs;
  EXPECT_FALSE(ExportDefinitions(vfs, "/nowhere", nullptr));
}

}  // namespace
}  // namespace landfall::apps
