#include "apps/line_input.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <string>
#include <string_view>
#include <thread>

namespace landfall::apps {
namespace {

class LineInputTest : public ::testing::Test {
 protected:
  LineInputTest() { EXPECT_EQ(pipe(ends_.data()), 0); }
  ~LineInputTest() override {
    Finish();
    close(ends_[0]);
  }

  int fd() const { return ends_[0]; }
  void Write(std::string_view bytes) {
    EXPECT_EQ(write(ends_[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void Finish() {
    if (ends_[1] >= 0) close(ends_[1]);
    ends_[1] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

TEST_F(LineInputTest, ReturnsLinesAsTheyCome) {
  LineInput input(fd());
  Write("a\n\nb");
  EXPECT_EQ(input.Next(), "a");
  EXPECT_EQ(input.Next(), "");
  Write("c\nlast");
  EXPECT_EQ(input.Next(), "bc");
  Finish();
  EXPECT_EQ(input.Next(), "last");
  EXPECT_EQ(input.Next(), std::nullopt);
  EXPECT_EQ(input.Next(), std::nullopt);
}

TEST_F(LineInputTest, ReturnsNoEmptyLineAtTheEnd) {
  LineInput input(fd());
  Write("a\n");
  Finish();
  EXPECT_EQ(input.Next(), "a");
  EXPECT_EQ(input.Next(), std::nullopt);
}

TEST_F(LineInputTest, ReturnsAllThatIsLeft) {
  LineInput input(fd());
  const std::string large(200'000, 'x');
  std::jthread writer([&] {
    Write("a\n" + large + "\n" + large);
    Finish();
  });
  EXPECT_EQ(input.Next(), "a");
  EXPECT_EQ(input.Rest(), large + "\n" + large);
}

TEST_F(LineInputTest, StopWakesWhoWaitsAndDropsWhatHasNoEnd) {
  LineInput input(fd());
  Write("a\nhalf a li");
  EXPECT_EQ(input.Next(), "a");
  std::jthread stopper([&] { input.Stop(); });
  EXPECT_EQ(input.Next(), std::nullopt);
  EXPECT_EQ(input.Rest(), std::nullopt);
}

}  // namespace
}  // namespace landfall::apps
