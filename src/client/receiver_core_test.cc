#include "client/receiver_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "amqp/properties.h"
#include "client/core_harness.h"
#include "client/message_encoding.h"

namespace landfall::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class ReceiverCoreTest : public ::testing::Test {
 protected:
  ReceiverCoreTest() {
    broker_.queue_names.insert("q");
    options_.queue = "q";
    options_.prefetch = 10;
    link_.brokers = {BrokerUrl{.host = "a"}};
    link_.reconnect = {.first = milliseconds(100), .cap = seconds(5), .jitter = 0};
    link_.connection.heartbeat_seconds = 0;
  }

  ReceiverCore& core() {
    if (!core_) {
      core_ = std::make_unique<ReceiverCore>(options_, link_, memory_, 1, world_.now);
      world_.core = core_.get();
    }
    return *core_;
  }

  void Settle() {
    core();
    world_.Settle([this] { Advance(); });
  }
  void Pass(Duration duration) {
    core();
    world_.Pass(duration, [this] { Advance(); });
  }
  void Advance() {
    core_->Advance();
    for (ArrivedMessage& each : core_->TakeArrived()) arrived_.push_back(std::move(each));
    for (AckNotice& each : core_->TakeNotices()) each.callback(each.status);
    for (Error& each : core_->TakeProblems()) problems_.push_back(each.message);
  }

  // What a sender of this identity would put into the queue.
  void Put(const std::string& body, bool with_identity = true) {
    if (!feeder_) {
      feeder_ = FakeSession::Open(broker_);
      ByteBuffer out(amqp::kProtocolHeader);
      amqp::AppendMethodFrame(out, 1, amqp::ChannelOpen{});
      feeder_->Receive(out);
    }
    ByteBuffer out;
    ByteBuffer none;
    amqp::AppendProperties(none, amqp::PropertiesView{});
    const ByteView properties =
        with_identity ? encoder_.Encode(nullptr, ++sequence_, 1) : ByteView(none);
    amqp::AppendPublish(out, 1, "", "q", true, properties, body, 0);
    feeder_->Receive(out);
  }

  // As the callback threads do it.
  void Ack(const ArrivedMessage& message, AckCallback callback = {}) {
    const auto decoded = amqp::DecodeProperties(message.properties);
    if (const auto identity = memory_.IdentityOf(*decoded)) memory_.Remember(*identity);
    core_->Settle({message.channel, message.tag, Settlement::Kind::kAck, {}, std::move(callback)});
  }
  void Do(const ArrivedMessage& message, Settlement::Kind kind,
          std::optional<milliseconds> duration = {}) {
    core_->Settle({message.channel, message.tag, kind, duration, {}});
  }

  std::vector<std::string> Bodies() const {
    std::vector<std::string> bodies;
    for (const ArrivedMessage& each : arrived_) bodies.push_back(each.body);
    return bodies;
  }

  FakeBroker broker_;
  CoreHarness<ReceiverCore> world_{broker_};
  SettledMemory memory_{100, MessageIds::kMeanNothing};
  ReceiverCoreOptions options_;
  LinkOptions link_;
  std::unique_ptr<ReceiverCore> core_;
  std::shared_ptr<FakeSession> feeder_;
  PropertyEncoder encoder_{"p", 1};
  uint64_t sequence_ = 0;
  std::vector<ArrivedMessage> arrived_;
  std::vector<std::string> problems_;
};

TEST_F(ReceiverCoreTest, DeliversInOrderUpToThePrefetchAndAcknowledges) {
  options_.prefetch = 2;
  for (const char* each : {"a", "b", "c"}) Put(each);
  Settle();
  EXPECT_TRUE(core().consuming());
  EXPECT_THAT(Bodies(), ElementsAre("a", "b"));
  Ack(arrived_[0]);
  Settle();
  EXPECT_THAT(Bodies(), ElementsAre("a", "b", "c"));
  EXPECT_THAT(broker_.acked, ElementsAre("a"));
}

TEST_F(ReceiverCoreTest, AcknowledgesARunOfDeliveriesWithOneFrame) {
  for (int i = 0; i < 6; ++i) Put(std::to_string(i));
  Settle();
  for (const int i : {4, 1, 0, 2}) Ack(arrived_[i]);
  Settle();
  EXPECT_EQ(world_.session->ack_frames(), 2u);  // 0..2, and 4
  EXPECT_EQ(world_.session->unacked(), 2u);
  Ack(arrived_[3]);
  Ack(arrived_[5]);
  Settle();
  EXPECT_EQ(world_.session->ack_frames(), 3u);
  EXPECT_EQ(world_.session->unacked(), 0u);
}

TEST_F(ReceiverCoreTest, SaysWhenAnAckHasLanded) {
  broker_.hold_landing = true;
  for (const char* each : {"a", "b"}) Put(each);
  broker_.Land();
  Settle();
  std::vector<std::string> told;
  for (const ArrivedMessage& each : arrived_) {
    Ack(each, [&told, body = each.body](AckStatus status) {
      told.push_back(body + (status == AckStatus::kLanded ? " landed" : " unknown"));
    });
  }
  Settle();
  EXPECT_THAT(told, IsEmpty());
  broker_.Land();
  Settle();
  EXPECT_THAT(told, ElementsAre("a landed", "b landed"));
}

TEST_F(ReceiverCoreTest, SaysUnknownOnceWhenAnAckIsLostOrTheBrokerCannotSay) {
  broker_.hold_landing = true;
  Put("a");
  broker_.Land();
  Settle();
  std::vector<AckStatus> told;
  const auto note = [&told](AckStatus status) { told.push_back(status); };
  Ack(arrived_[0], note);
  Settle();
  broker_.Crash();
  world_.Cut();
  Settle();
  EXPECT_THAT(told, ElementsAre(AckStatus::kUnknown));

  broker_.hold_landing = false;
  broker_.extensions = false;
  feeder_.reset();
  Put("b");
  Pass(seconds(1));
  Ack(arrived_.back(), note);
  Settle();
  EXPECT_THAT(told, ElementsAre(AckStatus::kUnknown, AckStatus::kUnknown));
}

TEST_F(ReceiverCoreTest, GivesBackAndRenewsWithTheBrokersExtensions) {
  for (const char* each : {"a", "b", "c", "d"}) Put(each);
  Settle();
  Do(arrived_[0], Settlement::Kind::kNack, milliseconds(1500));
  Do(arrived_[1], Settlement::Kind::kReject);
  Do(arrived_[2], Settlement::Kind::kRenew, milliseconds(9000));
  Do(arrived_[3], Settlement::Kind::kNack);
  Settle();
  EXPECT_THAT(world_.session->delays(), ElementsAre(Pair(1, 1500)));
  EXPECT_THAT(world_.session->renewals(), ElementsAre(Pair(3, 9000)));
  EXPECT_THAT(Bodies(), ElementsAre("a", "b", "c", "d", "a", "d"));
  EXPECT_TRUE(arrived_[4].redelivered);
  // A second word about the same delivery is not passed on.
  Do(arrived_[0], Settlement::Kind::kNack);
  Ack(arrived_[1]);
  Settle();
  EXPECT_THAT(Bodies(), SizeIs(6));
  EXPECT_THAT(broker_.acked, IsEmpty());
}

// A clean stop must not count against the delivery limit of messages that nobody has worked on.
TEST_F(ReceiverCoreTest, GivesBackWithoutAFailureWhatNobodyHasWorkedOn) {
  for (const char* each : {"a", "b"}) Put(each);
  Settle();
  Do(arrived_[0], Settlement::Kind::kGiveBack);
  core().Cancel();
  Do(arrived_[1], Settlement::Kind::kGiveBack);
  Settle();
  EXPECT_THAT(broker_.failed, IsEmpty());
  EXPECT_EQ(world_.session->unacked(), 0u);
}

TEST_F(ReceiverCoreTest, SpeaksPlainAmqpToABrokerWithoutExtensions) {
  broker_.extensions = false;
  for (const char* each : {"a", "b"}) Put(each);
  Settle();
  EXPECT_FALSE(core().extensions());
  Do(arrived_[0], Settlement::Kind::kNack, milliseconds(1500));
  Do(arrived_[1], Settlement::Kind::kRenew, milliseconds(9000));
  Settle();
  EXPECT_THAT(Bodies(), ElementsAre("a", "b", "a"));
  Do(arrived_[1], Settlement::Kind::kGiveBack);
  Settle();
  EXPECT_THAT(Bodies(), ElementsAre("a", "b", "a", "b"));
  EXPECT_THAT(world_.session->renewals(), IsEmpty());
}

TEST_F(ReceiverCoreTest, DoesNotAcknowledgeThroughADeliveryThatStaysOutForVeryLong) {
  options_.prefetch = 4;
  options_.max_tags = 100;
  Put("slow");
  Settle();
  const ArrivedMessage slow = arrived_[0];
  for (int i = 0; i < 1000; ++i) {
    Put("m");
    Settle();
    Ack(arrived_.back());
    arrived_.clear();
    broker_.landed.clear();
    broker_.published.clear();
  }
  Settle();
  EXPECT_EQ(world_.session->unacked(), 1u);
  EXPECT_THAT(broker_.acked, ::testing::Not(Contains("slow")));
  Put("m");
  Settle();
  Ack(slow);
  Ack(arrived_.back());
  Settle();
  EXPECT_THAT(broker_.acked, Contains("slow"));
  EXPECT_EQ(world_.session->unacked(), 0u);
  EXPECT_THAT(problems_, IsEmpty());
}

// --- Loss on each of the receiver's three steps ------------------------------------------------

TEST_F(ReceiverCoreTest, GetsAgainWhatWasLostOnTheWayToIt) {
  Settle();
  world_.stall_downstream = true;
  Put("a");
  Settle();
  EXPECT_THAT(arrived_, IsEmpty());
  world_.Cut();
  world_.stall_downstream = false;
  Pass(seconds(1));
  ASSERT_THAT(Bodies(), ElementsAre("a"));
  EXPECT_TRUE(arrived_[0].redelivered);
  Ack(arrived_[0]);
  Settle();
  EXPECT_THAT(broker_.acked, ElementsAre("a"));
}

TEST_F(ReceiverCoreTest, AcknowledgesARepeatAfterALostAckWithoutShowingIt) {
  Put("a");
  Settle();
  world_.stall_upstream = true;
  Ack(arrived_[0]);
  Settle();
  world_.Cut();
  world_.stall_upstream = false;
  Pass(seconds(1));
  EXPECT_THAT(Bodies(), ElementsAre("a"));
  EXPECT_THAT(broker_.acked, ElementsAre("a"));
  EXPECT_EQ(core().repeats_dropped(), 1u);
}

TEST_F(ReceiverCoreTest, AcknowledgesARepeatAfterAnAckThatDidNotLand) {
  Put("a");
  broker_.hold_landing = true;
  Settle();
  Ack(arrived_[0]);
  Settle();
  broker_.Crash();
  world_.Cut();
  broker_.hold_landing = false;
  Pass(seconds(1));
  EXPECT_THAT(Bodies(), ElementsAre("a"));
  EXPECT_THAT(broker_.acked, ElementsAre("a"));
}

TEST_F(ReceiverCoreTest, ShowsARepeatWithoutIdentityOrMemory) {
  Put("a", /*with_identity=*/false);
  Settle();
  world_.stall_upstream = true;
  Ack(arrived_[0]);
  Settle();
  world_.Cut();
  world_.stall_upstream = false;
  Pass(seconds(1));
  EXPECT_THAT(Bodies(), ElementsAre("a", "a"));
}

TEST_F(ReceiverCoreTest, IgnoresTheAckOfAnEarlierConnection) {
  Put("a");
  Put("b", /*with_identity=*/false);
  Settle();
  world_.Cut();
  Pass(seconds(1));
  ASSERT_THAT(Bodies(), ElementsAre("a", "b", "a", "b"));
  std::vector<AckStatus> told;
  Ack(arrived_[1], [&told](AckStatus status) { told.push_back(status); });
  Settle();
  EXPECT_THAT(told, ElementsAre(AckStatus::kUnknown));
  EXPECT_THAT(broker_.acked, IsEmpty());
  EXPECT_EQ(world_.session->unacked(), 2u);
  EXPECT_THAT(problems_, SizeIs(1));
}

// --- Queues that are not there -------------------------------------------------------------------

TEST_F(ReceiverCoreTest, WaitsForAQueueThatIsNotThereYet) {
  broker_.queue_names.clear();
  Pass(seconds(3));
  EXPECT_THAT(problems_, Contains(HasSubstr("404 NOT_FOUND")));
  // Not as fast as it can.
  EXPECT_LT(world_.connects.size(), 10u);
  broker_.queue_names.insert("q");
  Put("a");
  Pass(seconds(5));
  EXPECT_THAT(Bodies(), ElementsAre("a"));
}

TEST_F(ReceiverCoreTest, DeclaresItsQueueAgainWhenTheBrokerCancelsIt) {
  options_.declare = QueueDeclaration{.queue = "q"};
  broker_.queue_names.clear();
  Settle();
  EXPECT_TRUE(core().consuming());
  world_.session->CancelConsumer();
  broker_.queue_names.clear();
  Settle();
  EXPECT_FALSE(core().consuming());
  Pass(seconds(1));
  EXPECT_TRUE(core().consuming());
  EXPECT_THAT(problems_, Contains(HasSubstr("deleted")));
}

// --- Stopping ------------------------------------------------------------------------------------

TEST_F(ReceiverCoreTest, DrainsWhenItStops) {
  broker_.hold_landing = true;
  for (const char* each : {"a", "b"}) Put(each);
  broker_.Land();
  Settle();
  world_.stall_upstream = true;
  core().Cancel();
  Settle();
  Put("c");  // the broker does not know yet
  broker_.Land();
  world_.stall_upstream = false;
  Settle();
  EXPECT_THAT(Bodies(), ElementsAre("a", "b"));
  bool landed = false;
  Ack(arrived_[0], [&landed](AckStatus status) { landed = status == AckStatus::kLanded; });
  Do(arrived_[1], Settlement::Kind::kGiveBack);
  Settle();
  EXPECT_FALSE(core().quiet());
  broker_.Land();
  Settle();
  EXPECT_TRUE(core().quiet());
  EXPECT_TRUE(landed);
  core().link().Close(world_.now);
  Settle();
  EXPECT_TRUE(core().link().closed());
  EXPECT_THAT(broker_.acked, ElementsAre("a"));
}

TEST_F(ReceiverCoreTest, StopsWithoutABroker) {
  world_.reachable = false;
  Settle();
  core().Cancel();
  EXPECT_TRUE(core().quiet());
  core().link().Close(world_.now);
  Settle();
  EXPECT_TRUE(core().link().closed());
}

// --- Anything at any moment --------------------------------------------------------------------

class ReceiverUnderChaos : public ReceiverCoreTest, public ::testing::WithParamInterface<int> {};

// Whatever is lost whenever: every message is shown, and, being remembered, never again after it
// was acknowledged; in the end the queue is empty.
TEST_P(ReceiverUnderChaos, ShowsEveryMessageUntilItIsAcknowledgedAndNoLonger) {
  Rng rng(static_cast<uint64_t>(GetParam()) * 104729 + 3);
  memory_.~SettledMemory();
  new (&memory_) SettledMemory(100'000, MessageIds::kMeanNothing);
  world_.rng = Rng(rng.Next());
  world_.largest_chunk = 1 + rng.Below(2000);
  options_.prefetch = static_cast<uint16_t>(1 + rng.Below(20));
  broker_.extensions = rng.Chance(0.8);
  std::vector<ArrivedMessage> out;
  std::set<std::string> acked;
  std::map<std::string, int> shown_after_ack;
  uint64_t put = 0;
  int asked = 0;
  int told = 0;
  const auto work = [&](bool all) {
    for (ArrivedMessage& each : std::exchange(arrived_, {})) {
      if (acked.contains(each.body)) ++shown_after_ack[each.body];
      out.push_back(std::move(each));
    }
    for (size_t i = out.size(); i-- > 0;) {
      if (!all && rng.Chance(0.5)) continue;
      const uint64_t what = all ? 0 : rng.Below(10);
      if (what < 7) {
        const bool current = out[i].channel == core_->channel();
        acked.insert(out[i].body);
        if (current && rng.Chance(0.3)) {
          ++asked;
          Ack(out[i], [&told](AckStatus) { ++told; });
        } else {
          Ack(out[i]);
        }
      } else {
        Do(out[i], what == 7 ? Settlement::Kind::kGiveBack : Settlement::Kind::kNack,
           what == 9 ? std::optional(milliseconds(5)) : std::nullopt);
      }
      out.erase(out.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  for (int step = 0; step < 300; ++step) {
    for (uint64_t n = rng.Below(4); n > 0; --n) Put("m" + std::to_string(put++));
    broker_.Land();
    Settle();
    work(false);
    Settle();
    if (rng.Chance(0.05)) world_.Cut();
    if (rng.Chance(0.03)) {
      broker_.Crash();
      feeder_.reset();
      world_.Cut();
    }
    if (rng.Chance(0.1)) broker_.hold_landing = !broker_.hold_landing;
    if (rng.Chance(0.05)) world_.stall_downstream = !world_.stall_downstream;
    if (rng.Chance(0.05)) world_.stall_upstream = !world_.stall_upstream;
    if (rng.Chance(0.03)) world_.reachable = !world_.reachable;
    if (rng.Chance(0.02) && world_.session) world_.session->CancelConsumer();
    if (rng.Chance(0.01) && world_.session) world_.session->CloseChannel(406, "because");
    Pass(milliseconds(rng.Below(300)));
  }
  broker_.hold_landing = false;
  world_.stall_upstream = world_.stall_downstream = false;
  world_.reachable = true;
  broker_.Land();
  world_.Cut();
  for (int i = 0; i < 2000 && std::set(broker_.acked.begin(), broker_.acked.end()).size() < put;
       ++i) {
    Pass(milliseconds(50));
    work(true);
  }
  Settle();
  std::map<std::string, int> ack_count;
  for (const std::string& each : broker_.acked) EXPECT_EQ(++ack_count[each], 1) << each;
  EXPECT_EQ(ack_count.size(), put);
  EXPECT_THAT(shown_after_ack, IsEmpty());
  EXPECT_EQ(told, asked);
}

INSTANTIATE_TEST_SUITE_P(Seeds, ReceiverUnderChaos, ::testing::Range(0, 60));

}  // namespace
}  // namespace landfall::client
