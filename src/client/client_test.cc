// Sender and Receiver as a person uses them: real threads and sockets, against a fake broker.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "client/loopback_broker.h"
#include "landfall/receiver.h"
#include "landfall/sender.h"

namespace landfall {
namespace {

using client::FakeBroker;
using client::LoopbackBroker;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr seconds kPatience{30};

// Waits until something that other threads bring about is so.
class Eventually {
 public:
  template <class Condition>
  bool Is(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, kPatience, condition);
  }
  template <class Change>
  void Do(Change change) {
    {
      const std::lock_guard lock(mutex_);
      change();
    }
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
};

class ClientTest : public ::testing::Test {
 protected:
  ClientTest() {
    broker_.With([](FakeBroker& broker) { broker.queue_names.insert("orders"); });
  }

  SenderOptions ToOrders() {
    SenderOptions options;
    options.brokers = {broker_.url()};
    options.routing_key = "orders";
    options.reconnect.first = milliseconds(5);
    return options;
  }
  ReceiverOptions FromOrders() {
    ReceiverOptions options;
    options.brokers = {broker_.url()};
    options.queue = "orders";
    options.reconnect.first = milliseconds(5);
    return options;
  }
  void HoldLanding() {
    broker_.With([](FakeBroker& broker) { broker.hold_landing = true; });
  }
  std::vector<std::string> Acked() {
    std::vector<std::string> acked;
    broker_.With([&](FakeBroker& broker) { acked = broker.acked; });
    return acked;
  }

  LoopbackBroker broker_;
};

TEST_F(ClientTest, AMessageGoesFromSendMsgToSendAck) {
  Sender sender({.brokers = {broker_.url()}, .routing_key = "orders"});
  std::atomic<bool> landed = false;
  sender.SendMsg("one order", [&](const SendResult& r) { landed = r.landed(); });
  ASSERT_TRUE(sender.Flush(kPatience));
  EXPECT_TRUE(landed);

  Eventually done;
  std::vector<std::string> bodies;
  Receiver receiver({.brokers = {broker_.url()}, .queue = "orders"}, [&](Delivery d) {
    EXPECT_EQ(d.routing_key(), "orders");
    EXPECT_FALSE(d.redelivered());
    EXPECT_EQ(d.sequence(), 1u);
    EXPECT_TRUE(d.headers().empty());
    done.Do([&] { bodies.emplace_back(d.body()); });
    EXPECT_TRUE(d.SendAck());
    EXPECT_FALSE(d.SendAck());
  });
  EXPECT_TRUE(done.Is([&] { return bodies.size() == 1; }));
  EXPECT_TRUE(receiver.Stop(kPatience));
  EXPECT_THAT(bodies, ElementsAre("one order"));
  EXPECT_THAT(Acked(), ElementsAre("one order"));
}

TEST_F(ClientTest, TakesBytesOfManyKinds) {
  Sender sender(ToOrders());
  const std::vector<uint8_t> vector{1, 2, 3};
  const std::array<std::byte, 2> array{std::byte{4}, std::byte{5}};
  const std::string text = "text";
  sender.SendMsg(vector);
  sender.SendMsg(std::span<const std::byte>(array));
  sender.SendMsg(text);
  sender.SendMsg(std::string_view(text));
  sender.SendMsg("literal", {.priority = 3});
  ASSERT_TRUE(sender.Flush(kPatience));
  broker_.With([](FakeBroker& broker) {
    EXPECT_THAT(broker.landed, ElementsAre("\1\2\3", "\4\5", "text", "text", "literal"));
  });
}

TEST_F(ClientTest, ManyThreadsSendThroughLossesWithOneCallbackForEachMessage) {
  constexpr int kThreads = 4;
  constexpr int kEach = 5000;
  SenderOptions options = ToOrders();
  options.max_unconfirmed_messages = 500;
  Sender sender(options);
  std::vector<std::atomic<int>> callbacks(kThreads * kEach);
  std::atomic<int> landed = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (int i = 0; i < kEach; ++i) {
          const int number = t * kEach + i;
          sender.SendMsg(std::to_string(number), [&, number](const SendResult& result) {
            ++callbacks[number];
            if (result.landed()) ++landed;
          });
        }
      });
    }
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        std::this_thread::sleep_for(milliseconds(5));
        broker_.Cut();
      }
    });
  }
  ASSERT_TRUE(sender.Flush(kPatience));
  EXPECT_EQ(landed, kThreads * kEach);
  for (const auto& each : callbacks) EXPECT_EQ(each, 1);
  broker_.With([](FakeBroker& broker) {
    EXPECT_EQ(broker.landed.size(), static_cast<size_t>(kThreads * kEach));
    EXPECT_EQ(std::set(broker.landed.begin(), broker.landed.end()).size(), broker.landed.size());
  });
  EXPECT_EQ(sender.unconfirmed(), 0u);
}

TEST_F(ClientTest, ManyThreadsReceiveThroughLosses) {
  constexpr int kMessages = 5000;
  Sender sender(ToOrders());
  for (int i = 0; i < kMessages; ++i) sender.SendMsg(std::to_string(i));
  ASSERT_TRUE(sender.Flush(kPatience));

  Eventually done;
  std::multiset<std::string> seen;
  ReceiverOptions options = FromOrders();
  options.concurrency = 3;
  options.prefetch = 50;
  Receiver receiver(options, [&](Delivery d) {
    done.Do([&] { seen.insert(std::string(d.body())); });
    d.SendAck();
  });
  for (int i = 0; i < 20; ++i) {
    std::this_thread::sleep_for(milliseconds(5));
    broker_.Cut();
  }
  EXPECT_TRUE(done.Is(
      [&] { return std::set(seen.begin(), seen.end()).size() == static_cast<size_t>(kMessages); }));
  EXPECT_TRUE(receiver.Stop(kPatience));
  EXPECT_EQ(Acked().size(), static_cast<size_t>(kMessages));
}

TEST_F(ClientTest, ACallbackMaySendOnAFullWindow) {
  SenderOptions options = ToOrders();
  options.max_unconfirmed_messages = 1;
  Eventually done;  // outlives the Sender's thread
  int answered = 0;
  Sender sender(options);
  for (int i = 0; i < 100; ++i) {
    sender.SendMsg("first", [&](const SendResult&) {
      sender.SendMsg("second", [&](const SendResult& r) {
        if (r.landed()) done.Do([&] { ++answered; });
      });
    });
  }
  EXPECT_TRUE(done.Is([&] { return answered == 100; }));
}

TEST_F(ClientTest, RefusesOnAFullWindowIfAskedTo) {
  HoldLanding();
  SenderOptions options = ToOrders();
  options.max_unconfirmed_messages = 1;
  options.overflow = OverflowPolicy::kRefuse;
  Sender sender(options);
  EXPECT_TRUE(sender.SendMsg("a"));
  SendFailure failure{};
  EXPECT_FALSE(sender.SendMsg("b", [&](const SendResult& r) { failure = r.failure; }));
  EXPECT_EQ(failure, SendFailure::kWindowFull);  // called before SendMsg returned
}

TEST_F(ClientTest, TheDestructorFailsWhatIsLeftOnce) {
  HoldLanding();
  std::vector<SendResult> results;
  {
    Sender sender(ToOrders());
    sender.SendMsg("a", [&](const SendResult& r) { results.push_back(r); });
    EXPECT_FALSE(sender.Flush(milliseconds(20)));
    EXPECT_EQ(sender.unconfirmed(), 1u);
  }
  ASSERT_EQ(results.size(), 1u);
  EXPECT_EQ(results[0].failure, SendFailure::kClosed);
  EXPECT_THAT(results[0].why, HasSubstr("closed"));
}

TEST_F(ClientTest, CloseWaitsAndThenRefuses) {
  Sender sender(ToOrders());
  for (int i = 0; i < 100; ++i) sender.SendMsg("a");
  EXPECT_TRUE(sender.Close(kPatience));
  EXPECT_EQ(sender.unconfirmed(), 0u);
  SendFailure failure{};
  EXPECT_FALSE(sender.SendMsg("b", [&](const SendResult& r) { failure = r.failure; }));
  EXPECT_EQ(failure, SendFailure::kClosed);
  EXPECT_TRUE(sender.Close(milliseconds(0)));
}

// A SendMsg on the Sender's own thread gets its refusal later, from that thread. The system likes
// to give the id of a thread that has ended to the next one.
TEST_F(ClientTest, AfterCloseEveryThreadIsToldAtOnce) {
  Sender sender(ToOrders());
  sender.SendMsg("a");
  ASSERT_TRUE(sender.Close(kPatience));
  for (int i = 0; i < 20; ++i) {
    std::thread([&] {
      bool told = false;
      EXPECT_FALSE(sender.SendMsg("b", [&](const SendResult&) { told = true; }));
      EXPECT_TRUE(told);
    }).join();
  }
}

TEST_F(ClientTest, WaitsForeverIfAskedTo) {
  constexpr milliseconds kForever = milliseconds::max();
  HoldLanding();
  Sender sender(ToOrders());
  sender.SendMsg("a");
  std::atomic<bool> landing = false;
  std::jthread later([&] {
    std::this_thread::sleep_for(milliseconds(20));
    landing = true;
    broker_.With([](FakeBroker& broker) {
      broker.hold_landing = false;
      broker.Land();
    });
  });
  EXPECT_TRUE(sender.Flush(kForever));
  EXPECT_TRUE(landing);
  EXPECT_TRUE(sender.Close(kForever));
  Receiver receiver(FromOrders(), [](Delivery d) { d.SendAck(); });
  EXPECT_TRUE(receiver.Stop(kForever));
}

TEST_F(ClientTest, RefusesALowestSequenceThatNoMessageCanHave) {
  SenderOptions options = ToOrders();
  options.producer = "billing";
  Sender sender(options);
  EXPECT_THROW(sender.SetLowestSequence(static_cast<uint64_t>(-1)), std::invalid_argument);
  sender.SetLowestSequence(INT64_MAX);
}

TEST_F(ClientTest, ClosesWithoutABroker) {
  SenderOptions options = ToOrders();
  options.brokers = {"amqp://127.0.0.1:1/"};
  Sender sender(options);
  sender.SendMsg("a");
  EXPECT_FALSE(sender.Close(milliseconds(20)));
}

TEST_F(ClientTest, ANewerProcessFencesAnOlderOne) {
  SenderOptions options = ToOrders();
  options.producer = "billing";
  Sender older(options);
  older.SendMsg("a");
  ASSERT_TRUE(older.Flush(kPatience));
  Sender newer(options);
  EXPECT_GT(newer.epoch(), older.epoch());
  SendStatus status{};
  newer.SendMsg("b", [&](const SendResult& r) { status = r.status; });
  ASSERT_TRUE(newer.Flush(kPatience));
  EXPECT_EQ(status, SendStatus::kLanded);
  SendFailure failure{};
  older.SendMsg("c", [&](const SendResult& r) { failure = r.failure; });
  ASSERT_TRUE(older.Flush(kPatience));
  EXPECT_EQ(failure, SendFailure::kFenced);
  EXPECT_FALSE(older.SendMsg("d"));
}

TEST_F(ClientTest, ExceptionsStayInside) {
  std::atomic<int> reported = 0;
  const auto note = [&](const ClientError& error) {
    if (error.kind == ErrorKind::kCallback) ++reported;
    throw std::runtime_error("even here");
  };
  SenderOptions sending = ToOrders();
  sending.on_error = note;
  Sender sender(sending);
  sender.SendMsg("a", [](const SendResult&) { throw std::runtime_error("oops"); });
  sender.SendMsg("b", [](const SendResult&) { throw 7; });
  ASSERT_TRUE(sender.Flush(kPatience));
  EXPECT_EQ(reported, 2);

  // A delivery that an exception leaves behind goes back to the queue.
  Eventually done;
  int calls = 0;
  ReceiverOptions receiving = FromOrders();
  receiving.on_error = note;
  Receiver receiver(receiving, [&](Delivery d) {
    int call = 0;
    done.Do([&] { call = ++calls; });
    if (call <= 2) throw std::runtime_error("oops");
    EXPECT_TRUE(d.redelivered());
    d.SendAck();
  });
  EXPECT_TRUE(done.Is([&] { return calls == 4; }));
  EXPECT_TRUE(receiver.Stop(kPatience));
  EXPECT_EQ(reported, 4);
  EXPECT_EQ(Acked().size(), 2u);
}

TEST_F(ClientTest, StopWaitsForRunningCallbacksAndGivesBackTheRest) {
  Sender sender(ToOrders());
  for (const char* each : {"a", "b", "c"}) sender.SendMsg(each);
  ASSERT_TRUE(sender.Flush(kPatience));
  Eventually state;
  bool started = false;
  bool go_on = false;
  {
    Receiver receiver(FromOrders(), [&](Delivery d) {
      state.Do([&] { started = true; });
      EXPECT_TRUE(state.Is([&] { return go_on; }));
      d.SendAck();
    });
    ASSERT_TRUE(state.Is([&] { return started; }));
    std::jthread release([&] {
      std::this_thread::sleep_for(milliseconds(20));
      state.Do([&] { go_on = true; });
    });
    EXPECT_TRUE(receiver.Stop(kPatience));
    EXPECT_THAT(Acked(), ElementsAre("a"));
  }
  broker_.With([](FakeBroker& broker) { EXPECT_THAT(broker.failed, ::testing::IsEmpty()); });
  std::vector<std::string> rest;
  Receiver receiver(FromOrders(), [&](Delivery d) {
    state.Do([&] { rest.emplace_back(d.body()); });
    d.SendAck();
  });
  EXPECT_TRUE(state.Is([&] { return rest.size() == 2; }));
  EXPECT_THAT(rest, ElementsAre("b", "c"));
}

TEST_F(ClientTest, ACallbackMayStopItsReceiverAndIsTheLastThen) {
  Sender sender(ToOrders());
  for (int i = 0; i < 50; ++i) sender.SendMsg(std::to_string(i));
  ASSERT_TRUE(sender.Flush(kPatience));
  std::atomic<int> calls = 0;
  Receiver receiver(FromOrders(), [&](Delivery d) {
    d.SendAck();
    if (++calls == 10) {
      EXPECT_FALSE(receiver.Stop(kPatience));
    }
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (calls < 10 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_TRUE(receiver.Stop(kPatience));
  EXPECT_EQ(calls, 10);
  EXPECT_EQ(Acked().size(), 10u);
}

TEST_F(ClientTest, ADeliveryMayBeSettledElsewhereAndOutliveItsReceiver) {
  Sender sender(ToOrders());
  for (const char* each : {"a", "b"}) sender.SendMsg(each);
  ASSERT_TRUE(sender.Flush(kPatience));
  Eventually state;
  std::vector<Delivery> kept;
  AckStatus status{};
  bool told = false;
  {
    Receiver receiver(FromOrders(),
                      [&](Delivery d) { state.Do([&] { kept.push_back(std::move(d)); }); });
    ASSERT_TRUE(state.Is([&] { return kept.size() == 2; }));
    EXPECT_TRUE(kept[0].Renew(seconds(60)));
    EXPECT_TRUE(kept[0].SendAck([&](AckStatus s) {
      state.Do([&] {
        status = s;
        told = true;
      });
    }));
    EXPECT_TRUE(state.Is([&] { return told; }));
    EXPECT_EQ(status, AckStatus::kLanded);
    EXPECT_FALSE(receiver.Stop(milliseconds(20)));  // the other one is still out
  }
  EXPECT_FALSE(kept[1].SendAck());
  EXPECT_THAT(Acked(), ElementsAre("a"));
}

TEST_F(ClientTest, ADeliveryMayBeGivenBackWithoutHavingFailed) {
  Sender sender(ToOrders());
  sender.SendMsg("a");
  ASSERT_TRUE(sender.Flush(kPatience));
  Eventually state;
  int calls = 0;
  Receiver receiver(FromOrders(), [&](Delivery d) {
    EXPECT_TRUE(d.redelivered() ? d.SendAck() : d.GiveBack());
    EXPECT_FALSE(d.GiveBack());
    state.Do([&] { ++calls; });
  });
  EXPECT_TRUE(state.Is([&] { return calls == 2; }));
  EXPECT_TRUE(receiver.Stop(kPatience));
  EXPECT_THAT(Acked(), ElementsAre("a"));
  broker_.With([](FakeBroker& broker) { EXPECT_THAT(broker.failed, ::testing::IsEmpty()); });
}

TEST_F(ClientTest, ASlowReceiverReadsNoMoreThanItsBuffer) {
  const std::string large(200'000, 'x');
  Sender sender(ToOrders());
  for (int i = 0; i < 40; ++i) sender.SendMsg(large);
  ASSERT_TRUE(sender.Flush(kPatience));
  ReceiverOptions options = FromOrders();
  options.max_buffered_bytes = 500'000;
  std::atomic<int> calls = 0;
  Receiver receiver(options, [&](Delivery d) {
    if (calls < 5) std::this_thread::sleep_for(milliseconds(10));
    EXPECT_EQ(d.body().size(), large.size());
    d.SendAck();
    ++calls;
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (calls < 40 && std::chrono::steady_clock::now() < deadline) {
    std::this_thread::sleep_for(milliseconds(1));
  }
  EXPECT_EQ(calls, 40);
}

// A message id may be an order's number, or a constant: not a reason to drop a message.
TEST_F(ClientTest, MessagesThatShareAMessageIdAreAllShown) {
  // Without producer headers, as any other client would send them.
  broker_.With([](FakeBroker& broker) {
    broker.Put("order 7 placed", {.message_id = "order 7"});
    broker.Put("order 7 paid", {.message_id = "order 7"});
  });
  Eventually state;
  std::vector<std::string> acked;
  Receiver receiver(FromOrders(), [&](Delivery d) {
    if (!d.redelivered() && d.body() == "order 7 paid") {
      d.SendNack();  // comes again when the other one is remembered
      return;
    }
    d.SendAck();
    state.Do([&] { acked.emplace_back(d.body()); });
  });
  EXPECT_TRUE(state.Is([&] { return acked.size() == 2; }));
  EXPECT_EQ(receiver.repeats_dropped(), 0u);
}

TEST_F(ClientTest, AutoAckSettlesNothing) {
  Sender sender(ToOrders());
  for (int i = 0; i < 20; ++i) sender.SendMsg("a");
  ASSERT_TRUE(sender.Flush(kPatience));
  ReceiverOptions options = FromOrders();
  options.auto_ack = true;
  std::atomic<int> calls = 0;
  Receiver receiver(options, [&](Delivery d) {
    EXPECT_TRUE(d.settled());
    EXPECT_FALSE(d.SendAck());
    ++calls;
  });
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (calls < 20 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(calls, 20);
  EXPECT_TRUE(receiver.Stop(kPatience));
}

TEST(Options, ThatCannotBeMeantAreRefusedAtOnce) {
  const std::vector<std::string> brokers{"amqp://127.0.0.1:1/"};
  EXPECT_THROW(Sender({}), std::invalid_argument);
  EXPECT_THROW(Sender({.brokers = {"localhost"}}), std::invalid_argument);
  EXPECT_THROW(Sender({.brokers = brokers, .max_sends = 0}), std::invalid_argument);
  EXPECT_THROW(Sender({.brokers = brokers, .routing_key = std::string(300, 'x')}),
               std::invalid_argument);
  EXPECT_THROW(Sender({.brokers = brokers, .producer = "~me"}), std::invalid_argument);
  EXPECT_THROW(Sender({.brokers = brokers, .declare = QueueDeclaration{}}), std::invalid_argument);
  const auto nothing = [](Delivery) {};
  EXPECT_THROW(Receiver({.brokers = brokers}, nothing), std::invalid_argument);
  EXPECT_THROW(Receiver({.brokers = brokers, .queue = "q", .prefetch = 0}, nothing),
               std::invalid_argument);
  EXPECT_THROW(Receiver({.brokers = brokers, .queue = "q"}, nullptr), std::invalid_argument);
}

}  // namespace
}  // namespace landfall
