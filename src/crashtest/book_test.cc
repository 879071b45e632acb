#include "crashtest/book.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace landfall::crashtest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

ConsumeLog Got(const std::vector<uint64_t>& numbers, const std::vector<uint64_t>& acked = {}) {
  ConsumeLog log;
  for (const uint64_t number : numbers) log.receipts.push_back({.number = number});
  for (const uint64_t number : acked) log.acked.push_back({.number = number});
  return log;
}

TEST(QueueBook, ExpectsWhatWasConfirmedAndNotAcked) {
  QueueBook book;
  book.Note({.published = 6, .confirmed = {1, 2, 3, 4}}, Got({1, 2, 3}, {2}));
  EXPECT_THAT(book.Due(), ElementsAre(1, 3, 4));
  const Verdict verdict = book.Judge(Got({1, 3, 4}));
  EXPECT_EQ(verdict.published, 6u);
  EXPECT_EQ(verdict.confirmed, 4u);
  EXPECT_EQ(verdict.acked, 1u);
  EXPECT_EQ(verdict.recovered, 3u);
  EXPECT_EQ(verdict.lost, 0u);
  EXPECT_FALSE(verdict.broken());
}

TEST(QueueBook, FindsEveryConfirmedMessageThatIsGone) {
  QueueBook book;
  book.Note({.published = 5, .confirmed = {1, 2, 4}}, Got({}));
  const Verdict verdict = book.Judge(Got({2}));
  EXPECT_EQ(verdict.lost, 2u);
  EXPECT_TRUE(verdict.broken());
}

TEST(QueueBook, LetsUnconfirmedAndAckedMessagesBeThereOrNot) {
  QueueBook book;
  book.Note({.published = 4, .confirmed = {1, 2}}, Got({1, 2}, {1, 2}));
  const Verdict verdict = book.Judge(Got({1, 3}));
  EXPECT_EQ(verdict.returned, 1u);
  EXPECT_EQ(verdict.recovered, 1u);
  EXPECT_FALSE(verdict.broken());
}

TEST(QueueBook, SaysHowLongAnAckThatDidNotHoldHadBeenOnItsWay) {
  using std::chrono::milliseconds;
  const std::chrono::steady_clock::time_point start{};
  QueueBook book;
  ConsumeLog consumed = Got({1, 2, 3});
  for (const uint64_t number : {1, 2, 3}) {
    consumed.acked.push_back({.number = number, .at = start + milliseconds(100 * number)});
  }
  book.Note({.published = 3}, consumed, start + milliseconds(500));
  EXPECT_DOUBLE_EQ(book.Judge(Got({2, 3})).oldest_returned, 0.3);
  book.Note({.published = 1}, Got({4}, {4}), start + milliseconds(900));
  EXPECT_DOUBLE_EQ(book.Judge(Got({1, 2})).oldest_returned, 0);
}

TEST(QueueBook, CountsRepeats) {
  QueueBook book;
  book.Note({.published = 2, .confirmed = {1, 2}}, Got({}));
  const Verdict verdict = book.Judge(Got({1, 2, 2, 1}));
  EXPECT_EQ(verdict.recovered, 2u);
  EXPECT_EQ(verdict.duplicates, 2u);
}

TEST(QueueBook, FindsWhatWasNeverSent) {
  QueueBook book;
  book.Note({.published = 2, .confirmed = {1, 2}}, Got({0}));
  const Verdict verdict = book.Judge(Got({1, 2, 3, 0}));
  EXPECT_EQ(verdict.invented, 3u);
  EXPECT_TRUE(verdict.broken());
}

TEST(QueueBook, FindsWhatComesTooEarlyForTheFirstTime) {
  QueueBook book;
  book.Note({.published = 6, .confirmed = {1, 2, 3, 4, 5, 6}}, Got({1, 2}));
  EXPECT_EQ(book.Judge(Got({3, 5, 4, 6, 1, 2})).disordered, 1u);
  book.Note({.published = 3}, Got({8, 7, 9}));
  EXPECT_EQ(book.Judge(Got({})).disordered, 1u);
}

TEST(QueueBook, LetsRedeliveriesComeInAnyOrder) {
  QueueBook book;
  book.Note({.published = 3, .confirmed = {1, 2, 3}}, Got({}));
  const ConsumeLog drained{.receipts = {{3, true}, {1, false}, {2, false}}};
  EXPECT_EQ(book.Judge(drained).disordered, 0u);
}

TEST(QueueBook, FindsWhatAConsumerSawBeforeItWasSafe) {
  QueueBook book;
  book.Note({.published = 3, .confirmed = {1}}, Got({1, 2, 3}, {3}));
  const Verdict verdict = book.Judge(Got({1}));
  EXPECT_EQ(verdict.vanished, 1u);
  EXPECT_FALSE(verdict.broken());
}

TEST(QueueBook, ExpectsNothingOfAnEarlierCutButKnowsItWhenItComesBack) {
  QueueBook book;
  book.Note({.published = 2, .confirmed = {1, 2}}, Got({}));
  EXPECT_EQ(book.Judge(Got({1})).lost, 1u);
  EXPECT_EQ(book.next(), 3u);
  book.Note({.published = 1, .confirmed = {3}}, Got({}));
  EXPECT_THAT(book.Due(), ElementsAre(3));
  const Verdict verdict = book.Judge(Got({1, 3}));
  EXPECT_EQ(verdict.lost, 0u);
  EXPECT_EQ(verdict.returned, 1u);
  EXPECT_EQ(verdict.recovered, 1u);
  EXPECT_THAT(book.Due(), IsEmpty());
}

}  // namespace
}  // namespace landfall::crashtest
