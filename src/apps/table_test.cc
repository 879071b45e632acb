#include "apps/table.h"

#include <gtest/gtest.h>

namespace landfall::apps {
namespace {

TEST(Table, PutsNumbersAtTheRightAndTextAtTheLeft) {
  Table table({{"queue"}, {"ready", Table::Align::kRight}, {"state"}});
  table.Add({"orders", "12", "running"});
  table.Add({"a", "1000000", ""});
  EXPECT_EQ(table.Text(),
            "queue     ready  state\n"
            "orders       12  running\n"
            "a       1000000\n");
}

TEST(Table, CountsWideAndCombiningCharactersAsATerminalDoes) {
  EXPECT_EQ(WidthOf("订单"), 4u);
  EXPECT_EQ(WidthOf("e\u0301"), 1u);
  Table table({{"queue"}, {"n", Table::Align::kRight}});
  table.Add({"订单", "1"});
  table.Add({"abcdef", "2"});
  EXPECT_EQ(table.Text(), "queue   n\n订单    1\nabcdef  2\n");
}

TEST(Table, LetsNoNameWriteToTheTerminal) {
  EXPECT_EQ(Visible("\x1b[31mred\a"), "\\x1b[31mred\\x07");
  EXPECT_EQ(Visible("two\nlines\t"), "two\\x0alines\\x09");
  EXPECT_EQ(Visible(std::string_view("a\0b", 3)), "a\\x00b");
  EXPECT_EQ(Visible("\xC2\x9B"
                    "31m"),
            "\\u009b31m");                                // a control character of eight bits
  EXPECT_EQ(Visible("\u202Etxt.exe"), "\\u202etxt.exe");  // would be shown backwards
  EXPECT_EQ(Visible("bad\xFF\xC3"), "bad\\xff\\xc3");
  EXPECT_EQ(Visible("\\x1b"), "\\\\x1b");
  EXPECT_EQ(Visible("C:\\dir"), "C:\\dir");
  EXPECT_EQ(Visible("grüße 订单"), "grüße 订单");
  EXPECT_EQ(Visible("two\nlines\r", true), "two\nlines\\x0d");
}

}  // namespace
}  // namespace landfall::apps
