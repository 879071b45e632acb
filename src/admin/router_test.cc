#include "admin/router.h"

#include <gtest/gtest.h>

namespace landfall::admin {
namespace {

boost::asio::awaitable<Reply> Nothing(Backend&, Call&) { co_return Reply{}; }

class Routes : public testing::Test {
 protected:
  Routes() {
    router_.Add({{"GET", "/api/queues", Need::kManagement, Nothing},
                 {"GET", "/api/queues/{vhost}/{queue}", Need::kManagement, Nothing},
                 {"PUT", "/api/queues/{vhost}/{queue}", Need::kManagement, Nothing},
                 {"DELETE", "/api/bindings/{vhost}/{key}", Need::kManagement, Nothing}});
  }
  Router::Match Find(std::string_view method, std::string_view path) {
    return router_.Find(method, ParseTarget(path)->path);
  }
  Router router_;
};

TEST_F(Routes, AreFoundByMethodAndPath) {
  const auto match = Find("PUT", "/api/queues/%2F/orders");
  ASSERT_NE(match.route, nullptr);
  EXPECT_EQ(match.route->method, "PUT");
  EXPECT_EQ(match.names, (std::vector<std::string>{"/", "orders"}));
  EXPECT_EQ(Find("HEAD", "/api/queues").route->method, "GET");
}

TEST_F(Routes, SayWhichMethodsThereAre) {
  const auto match = Find("POST", "/api/queues/v/q");
  EXPECT_EQ(match.route, nullptr);
  EXPECT_EQ(match.allowed, "GET, PUT");
  EXPECT_EQ(Find("GET", "/api/nothing").allowed, "");
}

TEST_F(Routes, TakeNoNameThatAmqpCannotSay) {
  const std::string longest(255, 'x');
  EXPECT_NE(Find("GET", "/api/queues/v/" + longest).route, nullptr);
  EXPECT_EQ(Find("GET", "/api/queues/v/x" + longest).route, nullptr);
  EXPECT_NE(Find("DELETE", "/api/bindings/v/x" + longest).route, nullptr);
}

}  // namespace
}  // namespace landfall::admin
