#include "server/log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <sstream>

namespace landfall::server {
namespace {

using testing::MatchesRegex;

class LogTest : public testing::Test {
 protected:
  ~LogTest() override { SetUpLog({}); }
  void SetUp(LogFormat format, LogLevel level = LogLevel::kInfo) {
    SetUpLog({.level = level, .format = format, .out = &out_});
  }
  // What follows the time of day.
  std::string Line() const {
    const std::string text = out_.str();
    return text.size() < 25 ? text : text.substr(25);
  }

  std::ostringstream out_;
};

TEST_F(LogTest, WritesTheFieldsBehindTheMessage) {
  SetUp(LogFormat::kText);
  LogInfo("listening", {{"amqp", "127.0.0.1:5672"}, {"workers", uint16_t{3}}, {"tls", false}});
  EXPECT_THAT(out_.str(),
              MatchesRegex("....-..-..T..:..:..\\....Z info  listening amqp=127\\.0\\.0\\.1:5672 "
                           "workers=3 tls=false\n"));
}

TEST_F(LogTest, WritesAnObjectALineAsJson) {
  SetUp(LogFormat::kJson);
  LogWarn("say \"hello\"", {{"user", std::string("a\nb")}, {"n", -1}, {"share", 0.5}});
  const auto line = nlohmann::json::parse(out_.str());
  EXPECT_EQ(line["level"], "warn");
  EXPECT_EQ(line["message"], "say \"hello\"");
  EXPECT_EQ(line["user"], "a\nb");
  EXPECT_EQ(line["n"], -1);
  EXPECT_EQ(line["share"], 0.5);
  EXPECT_EQ(line["time"].get<std::string>().size(), 24u);
}

TEST_F(LogTest, KeepsAnEventOnOneLineWhateverAPeerSends) {
  SetUp(LogFormat::kText);
  LogInfo("failed\n", {{"user", "x\n2026 error all is lost"}, {"empty", ""}, {"equals", "a=b"}});
  EXPECT_EQ(Line(),
            "info  failed\\n user=\"x\\n2026 error all is lost\" empty=\"\" equals=\"a=b\"\n");
}

TEST_F(LogTest, ReplacesBytesThatAreNotUtf8) {
  SetUp(LogFormat::kJson);
  LogInfo("login failed", {{"user", "\xff\xfe"}});
  EXPECT_EQ(nlohmann::json::parse(out_.str())["user"], "\uFFFD\uFFFD");
}

TEST_F(LogTest, LeavesOutWhatIsLessSerious) {
  SetUp(LogFormat::kText, LogLevel::kWarn);
  LogInfo("small talk");
  EXPECT_FALSE(LogEnabled(LogLevel::kInfo));
  EXPECT_EQ(out_.str(), "");
  LogError("fire");
  EXPECT_EQ(Line(), "error fire\n");
}

TEST_F(LogTest, TakesLinesFromSpdlogAsWell) {
  SetUp(LogFormat::kJson);
  LogInfo("first", {{"a", 1}});
  out_.str("");
  spdlog::info("plain {}", 1);
  const auto line = nlohmann::json::parse(out_.str());
  EXPECT_EQ(line["message"], "plain 1");
  EXPECT_FALSE(line.contains("a"));
}

}  // namespace
}  // namespace landfall::server
