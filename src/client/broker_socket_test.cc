#include "client/broker_socket.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/write.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace landfall::client {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using ::testing::HasSubstr;

class BrokerSocketTest : public ::testing::Test {
 protected:
  BrokerUrl Url(const std::string& scheme) {
    return *ParseBrokerUrl(scheme +
                           "://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()));
  }
  void Open(const BrokerUrl& url, Duration at_most = std::chrono::seconds(30)) {
    socket_.Open(url, at_most, [this](const Result<void>& how) { opened_ = how; });
  }
  // Runs what is to be done until the socket is open or is not going to be.
  Result<void> Outcome() {
    while (!opened_) context_.run_one();
    return *opened_;
  }
  void AnswerWith(std::string_view text) {
    acceptor_.async_accept(peer_, [this, text](error_code error) {
      ASSERT_FALSE(error);
      asio::write(peer_, asio::buffer(text));
    });
  }

  asio::io_context context_{1};
  // Otherwise it would stop whenever nothing is left to be done.
  asio::executor_work_guard<asio::io_context::executor_type> work_{context_.get_executor()};
  asio::ip::tcp::acceptor acceptor_{context_, {asio::ip::address_v4::loopback(), 0}};
  asio::ip::tcp::socket peer_{context_};
  BrokerSocket socket_{context_};
  std::optional<Result<void>> opened_;
};

TEST_F(BrokerSocketTest, ReadsWhatComesAndThenTheEnd) {
  AnswerWith("hello");
  Open(Url("amqp"));
  ASSERT_TRUE(Outcome());
  ASSERT_TRUE(socket_.is_open());
  std::string got;
  BrokerSocket::Status status;
  char some[3];
  do {
    bool ready = false;
    socket_.Wait(BrokerSocket::Status::kWantRead, [&] { ready = true; });
    while (!ready) context_.run_one();
    const auto read = socket_.Read(some, sizeof some);
    status = read.status;
    got.append(some, read.bytes);
    if (got == "hello") peer_.close();
  } while (status == BrokerSocket::Status::kDone || status == BrokerSocket::Status::kWantRead);
  EXPECT_EQ(got, "hello");
  EXPECT_EQ(status, BrokerSocket::Status::kClosed);
}

TEST_F(BrokerSocketTest, AHandshakeWithoutAnAnswerEndsInTime) {
  Open(Url("amqps"), std::chrono::milliseconds(100));
  const Result<void> how = Outcome();
  ASSERT_FALSE(how);
  EXPECT_EQ(how.error().code, ErrorCode::kTimeout);
  EXPECT_THAT(how.error().message, HasSubstr("TLS handshake"));
  EXPECT_FALSE(socket_.is_open());
}

TEST_F(BrokerSocketTest, SaysThatThePortSpeaksNoTls) {
  AnswerWith(std::string_view("AMQP\0\0\x9\x1", 8));
  Open(Url("amqps"));
  const Result<void> how = Outcome();
  ASSERT_FALSE(how);
  EXPECT_THAT(how.error().message, HasSubstr("does not speak TLS"));
}

TEST_F(BrokerSocketTest, SaysThatAFileHasGone) {
  BrokerUrl url = Url("amqps");
  url.tls->ca_file = "/nowhere/ca.pem";
  Open(url);
  EXPECT_FALSE(opened_) << "it must not call back from within";
  const Result<void> how = Outcome();
  ASSERT_FALSE(how);
  EXPECT_EQ(how.error().code, ErrorCode::kUnavailable);
  EXPECT_THAT(how.error().message, HasSubstr("/nowhere/ca.pem"));
}

TEST_F(BrokerSocketTest, IsSilentAboutWhatWasClosed) {
  Open(Url("amqp"));
  socket_.Close();
  while (context_.poll() > 0) {
  }
  EXPECT_FALSE(opened_);
}

}  // namespace
}  // namespace landfall::client
