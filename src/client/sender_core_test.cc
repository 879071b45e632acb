#include "client/sender_core.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "client/core_harness.h"

namespace landfall::client {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SenderCoreTest : public ::testing::Test {
 protected:
  SenderCoreTest() {
    broker_.queue_names.insert("q");
    options_.routing_key = "q";
    options_.producer = "p";
    options_.epoch = 7;
    options_.resend = {.first = seconds(1), .cap = seconds(60), .jitter = 0};
    options_.max_sends = 4;
    link_.brokers = {BrokerUrl{.host = "a"}, BrokerUrl{.host = "b"}};
    link_.reconnect = {.first = milliseconds(100), .cap = seconds(5), .jitter = 0};
    link_.connection.heartbeat_seconds = 0;
  }

  SenderCore& core() {
    if (!core_) {
      core_ = std::make_unique<SenderCore>(options_, link_, 1, world_.now);
      world_.core = core_.get();
    }
    return *core_;
  }

  void Send(const std::string& body, std::unique_ptr<MessageOptions> options = nullptr) {
    core().Submit({body, std::move(options),
                   [this, body](const SendResult& result) { results_[body].push_back(result); }},
                  world_.now);
  }

  void SendWith(const std::string& body, MessageOptions options) {
    Send(body, std::make_unique<MessageOptions>(std::move(options)));
  }

  void Settle() {
    core();
    world_.Settle([this] { Advance(); });
  }
  void Pass(Duration duration) {
    core();
    world_.Pass(duration, [this] { Advance(); });
  }

  // The one result of this message, which must have had exactly one.
  SendResult ResultOf(const std::string& body) {
    EXPECT_EQ(results_[body].size(), 1u) << body;
    return results_[body].empty() ? SendResult{} : results_[body].front();
  }
  SendStatus StatusOf(const std::string& body) { return ResultOf(body).status; }

  void Advance() {
    core_->Advance(world_.now);
    std::vector<SettledSend> settled;
    core_->TakeSettled(settled);
    for (SettledSend& each : settled) each.callback(each.result);
    for (Error& each : core_->TakeProblems()) problems_.push_back(each.message);
  }

  FakeBroker broker_;
  CoreHarness<SenderCore> world_{broker_};
  SenderCoreOptions options_;
  LinkOptions link_;
  std::unique_ptr<SenderCore> core_;
  std::map<std::string, std::vector<SendResult>> results_;
  std::vector<std::string> problems_;
};

// --- The good way ------------------------------------------------------------------------------

TEST_F(SenderCoreTest, SaysLandedOnceTheBrokerHasLandedIt) {
  broker_.hold_landing = true;
  Send("a");
  Settle();
  EXPECT_THAT(results_, IsEmpty());
  broker_.Land();
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_EQ(ResultOf("a").attempts, 1u);
  EXPECT_EQ(ResultOf("a").sequence, 1u);
  EXPECT_THAT(broker_.landed, ElementsAre("a"));
}

TEST_F(SenderCoreTest, PublishesInTheOrderOfSubmitWhateverTheNetworkCutsBytesInto) {
  world_.largest_chunk = 3;
  std::vector<std::string> sent;
  for (int i = 0; i < 300; ++i) {
    sent.push_back("message " + std::to_string(i));
    Send(sent.back());
    if (i % 37 == 0) Settle();
  }
  Settle();
  EXPECT_EQ(broker_.landed, sent);
  for (const std::string& each : sent) EXPECT_EQ(StatusOf(each), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, SplitsALargeBodyIntoFrames) {
  broker_.frame_max = 4096;
  const std::string large(100'000, 'x');
  Send(large);
  Send("");
  Settle();
  EXPECT_THAT(broker_.landed, ElementsAre(large, ""));
}

TEST_F(SenderCoreTest, NeverSaysLandedAtABrokerThatCannotSayIt) {
  broker_.extensions = false;
  Send("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kAccepted);
  EXPECT_FALSE(ResultOf("a").landed());
  EXPECT_TRUE(ResultOf("a").ok());
}

TEST_F(SenderCoreTest, SaysAcceptedWhenNoDurableQueueHasIt) {
  broker_.durable = false;
  Send("a");
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kAccepted);
}

TEST_F(SenderCoreTest, SaysReturnedWhenNoQueueIsBound) {
  MessageOptions elsewhere;
  elsewhere.routing_key = "nowhere";
  Send("a");
  SendWith("b", elsewhere);
  Send("c");
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_EQ(StatusOf("b"), SendStatus::kReturned);
  EXPECT_THAT(ResultOf("b").why, HasSubstr("312 NO_ROUTE"));
  EXPECT_EQ(StatusOf("c"), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, OneConfirmMaySettleManyMessages) {
  broker_.hold_landing = true;
  for (const char* each : {"a", "b", "c"}) Send(each);
  Settle();
  world_.session->Confirm(2, true, amqp::ConfirmOutcome::kLanded);
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_EQ(StatusOf("b"), SendStatus::kLanded);
  EXPECT_EQ(results_.count("c"), 0u);
  EXPECT_EQ(core().settled_below(), 2u);
}

// --- Loss on each of the sender's three steps -----------------------------------------------

TEST_F(SenderCoreTest, SendsAgainWhatNeverReachedTheBroker) {
  Settle();
  world_.stall_upstream = true;
  Send("a");
  Settle();
  EXPECT_EQ(broker_.publishes, 0u);
  world_.Cut();
  world_.stall_upstream = false;
  Pass(seconds(1));
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_THAT(broker_.landed, ElementsAre("a"));
}

TEST_F(SenderCoreTest, SendsAgainWhatTheBrokerLostBeforeItLanded) {
  broker_.hold_landing = true;
  Send("a");
  Settle();
  broker_.Crash();
  broker_.hold_landing = false;
  world_.Cut();
  Pass(seconds(1));
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_EQ(ResultOf("a").attempts, 2u);
  EXPECT_THAT(broker_.landed, ElementsAre("a"));
}

TEST_F(SenderCoreTest, SaysDuplicateWhenTheConfirmWasLost) {
  Settle();
  world_.stall_downstream = true;
  Send("a");
  Settle();
  EXPECT_THAT(broker_.landed, ElementsAre("a"));
  EXPECT_THAT(results_, IsEmpty());
  world_.Cut();
  world_.stall_downstream = false;
  Pass(seconds(1));
  EXPECT_EQ(StatusOf("a"), SendStatus::kDuplicate);
  EXPECT_THAT(broker_.landed, ElementsAre("a"));
  EXPECT_EQ(broker_.publishes, 2u);
}

// --- Time --------------------------------------------------------------------------------------

TEST_F(SenderCoreTest, SendsAgainAfterX2X4XAndGivesUpAfterTheLast) {
  broker_.hold_landing = true;
  // Someone keeps talking, so that the connection is not taken for dead.
  options_.max_sends = 4;
  Send("a");
  Settle();
  const auto chatter = [this](Duration duration) {
    for (Duration passed{0}; passed < duration; passed += milliseconds(100)) {
      world_.session->SendBlocked(false);
      Pass(milliseconds(100));
    }
  };
  EXPECT_EQ(broker_.publishes, 1u);
  chatter(milliseconds(900));
  EXPECT_EQ(broker_.publishes, 1u);
  chatter(milliseconds(200));  // 1.1 s
  EXPECT_EQ(broker_.publishes, 2u);
  chatter(milliseconds(1800));  // 2.9 s
  EXPECT_EQ(broker_.publishes, 2u);
  chatter(milliseconds(200));  // 3.1 s
  EXPECT_EQ(broker_.publishes, 3u);
  chatter(milliseconds(4200));  // 7.3 s
  EXPECT_EQ(broker_.publishes, 4u);
  EXPECT_THAT(results_, IsEmpty());
  chatter(milliseconds(8200));  // 15.5 s
  EXPECT_EQ(broker_.publishes, 4u);
  EXPECT_EQ(ResultOf("a").failure, SendFailure::kTimeout);
  EXPECT_THAT(ResultOf("a").why, HasSubstr("after 4 attempts"));
  EXPECT_EQ(core().NextDeadline(), kNever);
}

TEST_F(SenderCoreTest, AConfirmOfAnEarlierAttemptStillCounts) {
  broker_.hold_landing = true;
  broker_.dedup = false;
  Send("a");
  Settle();
  Pass(milliseconds(1100));
  ASSERT_EQ(broker_.publishes, 2u);
  world_.session->Confirm(1, false, amqp::ConfirmOutcome::kLanded);
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  // And the second one finds nothing to settle.
  world_.session->Confirm(2, false, amqp::ConfirmOutcome::kDuplicate);
  Send("b");
  Settle();
  EXPECT_EQ(results_["a"].size(), 1u);
}

TEST_F(SenderCoreTest, LeavesAConnectionThatSwallowsWhatIsSent) {
  Settle();
  broker_.deaf = true;
  Send("a");
  Pass(milliseconds(2900));  // sent at 0 s and 1 s; at 3 s it is enough
  broker_.deaf = false;
  EXPECT_THAT(results_, IsEmpty());
  Pass(milliseconds(200));
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_THAT(world_.connects, ElementsAre(0, 1));
}

TEST_F(SenderCoreTest, FailsInTheEndWithoutAnyBrokerAndSaysWhy) {
  world_.reachable = false;
  Send("a");
  Pass(seconds(14));
  EXPECT_THAT(results_, IsEmpty());
  Pass(seconds(2));
  EXPECT_EQ(ResultOf("a").failure, SendFailure::kTimeout);
  EXPECT_EQ(ResultOf("a").attempts, 0u);
  EXPECT_THAT(ResultOf("a").why, HasSubstr("refused"));
}

TEST_F(SenderCoreTest, TriesTheBrokersInTurnWithAGrowingPause) {
  world_.reachable = false;
  Settle();
  EXPECT_THAT(world_.connects, ElementsAre(0, 1));
  Pass(milliseconds(110));
  EXPECT_THAT(world_.connects, ElementsAre(0, 1, 0, 1));
  Pass(milliseconds(180));
  EXPECT_EQ(world_.connects.size(), 4u);
  Pass(milliseconds(20));
  EXPECT_EQ(world_.connects.size(), 6u);
  // Never more than the cap apart.
  Pass(seconds(60));
  const size_t before = world_.connects.size();
  Pass(milliseconds(5001));
  EXPECT_GT(world_.connects.size(), before);
}

TEST_F(SenderCoreTest, WaitsWhileTheBrokerAsksForIt) {
  Settle();
  world_.session->SendBlocked(true);
  Settle();
  Send("a");
  Settle();
  EXPECT_EQ(broker_.publishes, 0u);
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("disk nearly full")));
  world_.session->SendBlocked(false);
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, TriesAgainWhatTheBrokerCouldNotTake) {
  broker_.nack = true;
  Send("a");
  Settle();
  EXPECT_THAT(results_, IsEmpty());
  broker_.nack = false;
  Pass(milliseconds(1100));
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, FailsInTheEndWhatTheBrokerNeverTakes) {
  broker_.nack = true;
  Send("a");
  Pass(seconds(16));
  EXPECT_EQ(ResultOf("a").failure, SendFailure::kTimeout);
  EXPECT_THAT(ResultOf("a").why, HasSubstr("basic.nack"));
  EXPECT_EQ(broker_.publishes, 4u);
}

// --- Reconnect ---------------------------------------------------------------------------------

TEST_F(SenderCoreTest, ResendsWhatWasInFlightInItsOrderWithTheSameIdentity) {
  broker_.hold_landing = true;
  for (const char* each : {"a", "b", "c"}) Send(each);
  Settle();
  broker_.Land();  // the confirms are lost with the connection
  world_.Cut();
  broker_.hold_landing = false;
  Send("d");
  Pass(seconds(1));
  EXPECT_THAT(broker_.landed, ElementsAre("a", "b", "c", "d"));
  EXPECT_THAT(broker_.published, ElementsAre("a", "b", "c", "a", "b", "c", "d"));
  for (const char* each : {"a", "b", "c"}) EXPECT_EQ(StatusOf(each), SendStatus::kDuplicate);
  EXPECT_EQ(StatusOf("d"), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, ReconnectsDoNotUseUpTheAttempts) {
  broker_.hold_landing = true;
  Send("a");
  for (int i = 0; i < 50; ++i) {
    Settle();
    world_.Cut();
    Pass(milliseconds(1));
  }
  broker_.hold_landing = false;
  Pass(milliseconds(900));
  EXPECT_TRUE(ResultOf("a").landed());
}

TEST_F(SenderCoreTest, DeclaresTheQueueOnEachConnection) {
  broker_.queue_names.clear();
  options_.declare = QueueDeclaration{.queue = "q"};
  Send("a");
  Settle();
  broker_.queue_names.clear();
  world_.Cut();
  Pass(seconds(1));
  Send("b");
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  EXPECT_EQ(StatusOf("b"), SendStatus::kLanded);
}

TEST_F(SenderCoreTest, SaysSoWhenThePasswordIsWrong) {
  broker_.password = "other";
  Send("a");
  Pass(seconds(16));
  EXPECT_THAT(problems_, ::testing::Contains(HasSubstr("403 ACCESS_REFUSED")));
  EXPECT_THAT(ResultOf("a").why, HasSubstr("403 ACCESS_REFUSED"));
}

TEST_F(SenderCoreTest, SaysOnceThatTheDeclarationWasRefused) {
  link_.brokers.resize(1);
  broker_.quarrels = true;
  options_.declare = QueueDeclaration{.queue = "q"};
  Send("a");
  Settle();
  EXPECT_THAT(problems_, ElementsAre(HasSubstr("406 PRECONDITION_FAILED")));
}

// --- Refusals ----------------------------------------------------------------------------------

TEST_F(SenderCoreTest, FindsTheOneMessageForWhichTheBrokerClosesTheChannel) {
  Settle();
  Send("a");
  MessageOptions bad;
  bad.exchange = "no such exchange";
  SendWith("b", bad);
  for (const char* each : {"c", "d"}) Send(each);
  Settle();
  EXPECT_EQ(ResultOf("b").failure, SendFailure::kRefused);
  EXPECT_THAT(ResultOf("b").why, HasSubstr("404"));
  for (const char* each : {"a", "c", "d"}) EXPECT_TRUE(ResultOf(each).landed()) << each;
  EXPECT_THAT(broker_.landed, ElementsAre("a", "c", "d"));
  EXPECT_THAT(world_.connects, ElementsAre(0));  // on the same connection
}

TEST_F(SenderCoreTest, SaysOfARefusedMessageNothingButItsResult) {
  Settle();
  broker_.max_message_bytes = 3;
  for (const char* each : {"a", "large", "b"}) Send(each);
  Settle();
  EXPECT_EQ(ResultOf("large").failure, SendFailure::kRefused);
  EXPECT_THAT(broker_.landed, ElementsAre("a", "b"));
  EXPECT_THAT(problems_, IsEmpty());
}

TEST_F(SenderCoreTest, AFencedSenderSendsNothingMore) {
  {
    SenderCoreOptions newer = options_;
    newer.epoch = 8;
    newer.first_sequence = 1000;
    CoreHarness<SenderCore> world(broker_);
    SenderCore second(newer, link_, 2, world.now);
    world.core = &second;
    second.Submit({"newer", nullptr, [](const SendResult&) {}}, world.now);
    world.Settle([&] { second.Advance(world.now); });
  }
  Send("a");
  Settle();
  EXPECT_EQ(ResultOf("a").failure, SendFailure::kFenced);
  EXPECT_THAT(ResultOf("a").why, HasSubstr("a newer process uses the producer name 'p'"));
  EXPECT_THAT(core().fenced(), HasSubstr("sends nothing any more"));
  Send("b");
  Settle();
  EXPECT_EQ(ResultOf("b").failure, SendFailure::kFenced);
  EXPECT_THAT(broker_.landed, ElementsAre("newer"));
}

TEST_F(SenderCoreTest, RefusesOptionsThatCannotBeSent) {
  MessageOptions long_key;
  long_key.routing_key = std::string(256, 'k');
  SendWith("a", long_key);
  MessageOptions reserved;
  reserved.headers = {{"x-producer-sequence", 1}};
  SendWith("b", reserved);
  MessageOptions huge;
  huge.headers = {{"h", std::string(200'000, 'h')}};
  SendWith("c", huge);
  MessageOptions own;
  own.sequence = 3;
  SendWith("d", own);
  Settle();
  for (const char* each : {"a", "b", "c", "d"}) {
    EXPECT_EQ(ResultOf(each).failure, SendFailure::kInvalid) << each;
  }
  EXPECT_EQ(broker_.publishes, 0u);
}

// --- Sequences ---------------------------------------------------------------------------------

class OwnSequences : public SenderCoreTest {
 protected:
  OwnSequences() { options_.stable_producer = true; }
  void SendAs(uint64_t sequence, const std::string& body) {
    MessageOptions options;
    options.sequence = sequence;
    SendWith(body, options);
  }
};

TEST_F(OwnSequences, AreRecognisedWhenANewProcessSendsThemAgain) {
  SendAs(5, "five");
  SendAs(3, "three");  // a gap that is filled late
  Settle();
  EXPECT_EQ(StatusOf("five"), SendStatus::kLanded);
  EXPECT_EQ(StatusOf("three"), SendStatus::kLanded);
  core_.reset();
  world_.session.reset();
  results_.clear();
  options_.epoch = 8;
  SendAs(3, "three");
  SendAs(4, "four");
  Settle();
  EXPECT_EQ(StatusOf("three"), SendStatus::kDuplicate);
  EXPECT_EQ(StatusOf("four"), SendStatus::kLanded);
}

TEST_F(OwnSequences, AreNotMixedWithTheSendersNorUsedTwiceAtATime) {
  broker_.hold_landing = true;
  SendAs(5, "a");
  SendAs(5, "b");
  Send("c");
  Settle();
  EXPECT_EQ(ResultOf("b").failure, SendFailure::kInvalid);
  EXPECT_EQ(ResultOf("c").failure, SendFailure::kInvalid);
  broker_.Land();
  Settle();
  EXPECT_EQ(StatusOf("a"), SendStatus::kLanded);
  SendAs(5, "again");
  Settle();
  broker_.Land();
  Settle();
  EXPECT_EQ(StatusOf("again"), SendStatus::kDuplicate);
}

// --- Closing -----------------------------------------------------------------------------------

TEST_F(SenderCoreTest, ClosesPolitelyAndFailsWhatIsLeft) {
  broker_.hold_landing = true;
  Send("a");
  Settle();
  core().FailAll(SendFailure::kClosed, "closed");
  core().link().Close(world_.now);
  Settle();
  EXPECT_EQ(ResultOf("a").failure, SendFailure::kClosed);
  EXPECT_TRUE(core().link().closed());
  EXPECT_EQ(core().NextDeadline(), kNever);
}

TEST_F(SenderCoreTest, ClosesInTheEndWithoutAnAnswer) {
  Settle();
  broker_.deaf = true;
  core().link().Close(world_.now);
  Settle();
  EXPECT_FALSE(core().link().closed());
  Pass(seconds(2));
  EXPECT_TRUE(core().link().closed());
}

// --- Anything at any moment --------------------------------------------------------------------

class SenderUnderChaos : public SenderCoreTest, public ::testing::WithParamInterface<int> {};

// Whatever is lost whenever: one result for each message, nothing that was called landed is
// missing, and nothing has landed twice.
TEST_P(SenderUnderChaos, GivesExactlyOneTrueResultForEachMessage) {
  Rng rng(static_cast<uint64_t>(GetParam()) * 7919 + 1);
  world_.rng = Rng(rng.Next());
  world_.largest_chunk = 1 + rng.Below(2000);
  options_.resend.jitter = 0.3;
  options_.max_sends = 2 + static_cast<uint32_t>(rng.Below(6));
  options_.max_output_bytes = 1 + rng.Below(3000);
  link_.connection.heartbeat_seconds = static_cast<uint16_t>(rng.Below(3));
  const bool faithful = rng.Chance(0.8);  // otherwise a broker that knows no extensions
  broker_.extensions = faithful;
  std::vector<std::string> sent;
  for (int step = 0; step < 400; ++step) {
    for (uint64_t n = rng.Below(4); n > 0; --n) {
      sent.push_back("m" + std::to_string(sent.size()));
      if (rng.Chance(0.05)) {
        MessageOptions nowhere;
        nowhere.routing_key = "nowhere";
        SendWith(sent.back(), nowhere);
      } else {
        Send(sent.back());
      }
    }
    Settle();
    if (rng.Chance(0.05)) world_.Cut();
    if (rng.Chance(0.03)) {
      broker_.Crash();
      world_.Cut();
    }
    if (rng.Chance(0.05)) broker_.hold_landing = !broker_.hold_landing;
    if (rng.Chance(0.2)) broker_.Land();
    if (rng.Chance(0.05)) world_.stall_downstream = !world_.stall_downstream;
    if (rng.Chance(0.05)) world_.stall_upstream = !world_.stall_upstream;
    if (rng.Chance(0.03)) world_.reachable = !world_.reachable;
    if (rng.Chance(0.03)) broker_.nack = !broker_.nack;
    if (rng.Chance(0.02)) broker_.deaf = !broker_.deaf;
    if (rng.Chance(0.01) && world_.session) world_.session->CloseChannel(406, "because");
    if (rng.Chance(0.01) && world_.session) world_.session->CloseConnection(320, "because");
    Pass(milliseconds(rng.Below(800)));
  }
  broker_.deaf = broker_.nack = broker_.hold_landing = false;
  world_.stall_upstream = world_.stall_downstream = false;
  world_.reachable = true;
  broker_.Land();
  world_.Cut();
  Pass(std::chrono::minutes(10));

  std::map<std::string, int> landed;
  for (const std::string& each : broker_.landed) EXPECT_EQ(++landed[each], 1) << each;
  for (const std::string& each : sent) {
    const SendResult result = ResultOf(each);
    if (result.ok()) {
      EXPECT_EQ(landed[each], 1) << each;
    }
    EXPECT_EQ(result.landed(), result.ok() && faithful) << each;
  }
  EXPECT_EQ(core().unsettled(), 0u);
}

INSTANTIATE_TEST_SUITE_P(Seeds, SenderUnderChaos, ::testing::Range(0, 60));

}  // namespace
}  // namespace landfall::client
