#include "server/available_memory.h"

#include <gtest/gtest.h>

#include "base/temporary_directory.h"

namespace landfall::server {
namespace {

constexpr char kMeminfo[] = "MemFree: 1 kB\nMemTotal:       1048576 kB\nCached: 2 kB\n";
constexpr uint64_t kMachine = uint64_t{1} << 30;

TEST(AvailableMemory, IsTheMachinesWithoutAControlGroup) {
  TemporaryDirectory root;
  root.Write("proc/meminfo", kMeminfo);
  EXPECT_EQ(AvailableMemory(root.path()), kMachine);
}

TEST(AvailableMemory, IsTheLeastOfAllGroupsAround) {
  TemporaryDirectory root;
  root.Write("proc/meminfo", kMeminfo);
  root.Write("proc/self/cgroup", "0::/outer/inner\n");
  root.Write("sys/fs/cgroup/outer/inner/memory.max", "max\n");
  root.Write("sys/fs/cgroup/outer/memory.max", "268435456\n");
  EXPECT_EQ(AvailableMemory(root.path()), uint64_t{256} << 20);
}

TEST(AvailableMemory, KnowsTheFirstVersionOfControlGroups) {
  TemporaryDirectory root;
  root.Write("proc/meminfo", kMeminfo);
  root.Write("proc/self/cgroup", "5:cpu:/a\n4:hugetlb,memory:/box\n");
  root.Write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  root.Write("sys/fs/cgroup/memory/box/memory.limit_in_bytes", "536870912\n");
  EXPECT_EQ(AvailableMemory(root.path()), uint64_t{512} << 20);
}

TEST(AvailableMemory, SeesTheRootOfAContainersOwnGroups) {
  TemporaryDirectory root;
  root.Write("proc/meminfo", kMeminfo);
  root.Write("proc/self/cgroup", "0::/\n");
  root.Write("sys/fs/cgroup/memory.max", "134217728\n");
  EXPECT_EQ(AvailableMemory(root.path()), uint64_t{128} << 20);
}

TEST(AvailableMemory, KnowsThisMachine) { EXPECT_GT(AvailableMemory(), uint64_t{1} << 20); }

}  // namespace
}  // namespace landfall::server
