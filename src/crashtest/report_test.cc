#include "crashtest/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace landfall::crashtest {
namespace {

using ::testing::HasSubstr;

std::vector<Cut> TwoCuts() {
  Cut quiet{.verdict = {.published = 10, .confirmed = 9, .recovered = 9}, .restart = 0.5};
  Cut bad{.verdict = {.published = 20, .confirmed = 15, .recovered = 12, .lost = 3},
          .recovery_cuts = 2,
          .restart = 1.25,
          .notes = {"it hurt"}};
  return {quiet, bad};
}

TEST(Report, AddsUpTheCuts) {
  const std::vector<Cut> cuts = TwoCuts();
  EXPECT_EQ(Total(cuts).confirmed, 24u);
  EXPECT_EQ(Total(cuts).lost, 3u);
  EXPECT_THAT(TableTotal(cuts), HasSubstr("1.25 s"));
}

TEST(Report, ShowsCutsDuringTheRecoveryAndWhatElseWentWrong) {
  const std::string row = TableRow(2, TwoCuts()[1]);
  EXPECT_THAT(row, HasSubstr("2** "));
  EXPECT_THAT(row, HasSubstr("\n      it hurt"));
}

TEST(Report, IsJsonForPrograms) {
  CrashOptions options;
  options.command = {"broker", "\xff"};
  options.seed = 42;
  const auto json = nlohmann::json::parse(ReportJson(options, "Broker 1", TwoCuts()));
  EXPECT_EQ(json["broker"], "Broker 1");
  EXPECT_EQ(json["seed"], 42);
  EXPECT_EQ(json["total"]["lost"], 3);
  EXPECT_EQ(json["total"]["cuts"], 2);
  EXPECT_EQ(json["total"]["recovery_cuts"], 2);
  EXPECT_EQ(json["cuts"][1]["notes"][0], "it hurt");
}

}  // namespace
}  // namespace landfall::crashtest
