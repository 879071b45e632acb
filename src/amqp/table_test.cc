#include "amqp/table.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/wire.h"

namespace landfall::amqp {
namespace {

using namespace std::literals;

// One of every type, the integers at their limits.
Table EveryType() {
  return Table{
      {"t", true},
      {"b", Value::Integer('b', -128)},
      {"B", Value::Integer('B', 255)},
      {"s", Value::Integer('s', -32768)},
      {"U", Value::Integer('U', 32767)},
      {"u", Value::Integer('u', 65535)},
      {"I", Value::Integer('I', std::numeric_limits<int32_t>::min())},
      {"i", Value::Integer('i', std::numeric_limits<uint32_t>::max())},
      {"l", Value::Integer('l', std::numeric_limits<int64_t>::min())},
      {"L", Value::Integer('L', std::numeric_limits<int64_t>::max())},
      {"f", 1.5f},
      {"d", -2.25},
      {"D", Decimal{2, 31415}},
      {"S", "text"},
      {"x", Value::Bytes("\0\xff"s)},
      {"A", Array{1, "two", Array{}, Table{{"three", 3}}}},
      {"T", Value::Timestamp(1700000000)},
      {"F", Table{{"inner", Table{{"innermost", false}}}}},
      {"V", Value()},
  };
}

ByteBuffer NestedTables(int depth) {
  ByteBuffer entries;
  for (int i = 1; i < depth; ++i) {
    ByteBuffer outer = "\1kF"s;
    AppendBig<uint32_t>(outer, static_cast<uint32_t>(entries.size()));
    entries = outer + entries;
  }
  return entries;
}

ByteBuffer NestedArrays(int depth) {
  ByteBuffer items;
  for (int i = 2; i < depth; ++i) {
    ByteBuffer outer = "A"s;
    AppendBig<uint32_t>(outer, static_cast<uint32_t>(items.size()));
    items = outer + items;
  }
  ByteBuffer entries = "\1kA"s;
  AppendBig<uint32_t>(entries, static_cast<uint32_t>(items.size()));
  return entries + items;
}

TEST(Table, HasTheBytesOfRabbitMqForEveryType) {
  const auto encoded = [](const Value& value) {
    ByteBuffer out;
    value.AppendTo(out);
    return out;
  };
  EXPECT_EQ(encoded(true), "t\1"s);
  EXPECT_EQ(encoded(Value::Integer('b', -2)), "b\xfe"s);
  EXPECT_EQ(encoded(Value::Integer('B', 200)), "B\xc8"s);
  EXPECT_EQ(encoded(Value::Integer('s', -2)), "s\xff\xfe"s);
  EXPECT_EQ(encoded(Value::Integer('U', -2)), "U\xff\xfe"s);
  EXPECT_EQ(encoded(Value::Integer('u', 65534)), "u\xff\xfe"s);
  EXPECT_EQ(encoded(-2), "I\xff\xff\xff\xfe"s);
  EXPECT_EQ(encoded(Value::Integer('i', 4294967294)), "i\xff\xff\xff\xfe"s);
  EXPECT_EQ(encoded(int64_t{-2}), "l\xff\xff\xff\xff\xff\xff\xff\xfe"s);
  EXPECT_EQ(encoded(Value::Integer('L', 2)), "L\0\0\0\0\0\0\0\2"s);
  EXPECT_EQ(encoded(1.5f), "f\x3f\xc0\0\0"s);
  EXPECT_EQ(encoded(1.5), "d\x3f\xf8\0\0\0\0\0\0"s);
  EXPECT_EQ(encoded(Decimal{2, 258}), "D\2\0\0\1\2"s);
  EXPECT_EQ(encoded("abc"), "S\0\0\0\3abc"s);
  EXPECT_EQ(encoded(Value::Bytes("abc")), "x\0\0\0\3abc"s);
  EXPECT_EQ(encoded(Array{true, "x"}), "A\0\0\0\x8t\1S\0\0\0\1x"s);
  EXPECT_EQ(encoded(Value::Timestamp(1)), "T\0\0\0\0\0\0\0\1"s);
  EXPECT_EQ(encoded(Table{{"k", false}}), "F\0\0\0\4\1kt\0"s);
  EXPECT_EQ(encoded(Value()), "V"s);
}

TEST(Table, ReadsBackEveryTypeAndWritesTheSameBytes) {
  const Table table = EveryType();
  const ByteBuffer bytes = table.Encode();
  EXPECT_TRUE(IsWellFormedTable(bytes));
  const Result<Table> read = DecodeTable(bytes);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(*read, table);
  EXPECT_EQ(read->Encode(), bytes);
  ByteBuffer with_length;
  AppendTable(with_length, table);
  EXPECT_EQ(with_length.size(), bytes.size() + 4);
  EXPECT_EQ(LoadBig<uint32_t>(with_length.data()), bytes.size());
  EXPECT_EQ(with_length.substr(4), bytes);
}

TEST(Table, GivesEveryTypeItsOwnGetter) {
  const Table table = EveryType();
  EXPECT_EQ(table.GetBool("t"), true);
  EXPECT_EQ(table.GetInteger("b"), -128);
  EXPECT_EQ(table.GetInteger("B"), 255);
  EXPECT_EQ(table.GetInteger("s"), -32768);
  EXPECT_EQ(table.GetInteger("U"), 32767);
  EXPECT_EQ(table.GetInteger("u"), 65535);
  EXPECT_EQ(table.GetInteger("I"), std::numeric_limits<int32_t>::min());
  EXPECT_EQ(table.GetInteger("i"), std::numeric_limits<uint32_t>::max());
  EXPECT_EQ(table.GetInteger("l"), std::numeric_limits<int64_t>::min());
  EXPECT_EQ(table.GetInteger("L"), std::numeric_limits<int64_t>::max());
  EXPECT_EQ(table.Find("f")->AsDouble(), 1.5);
  EXPECT_EQ(table.Find("d")->AsDouble(), -2.25);
  EXPECT_EQ(table.Find("D")->AsDecimal(), (Decimal{2, 31415}));
  EXPECT_EQ(table.GetString("S"), "text");
  EXPECT_EQ(table.Find("S")->AsBytes(), "text");
  EXPECT_EQ(table.Find("x")->AsBytes(), "\0\xff"sv);
  EXPECT_EQ(table.Find("A")->AsArray()->size(), 4u);
  EXPECT_EQ(table.Find("T")->AsTimestamp(), 1700000000u);
  EXPECT_TRUE(table.GetTable("F")->Contains("inner"));
  EXPECT_TRUE(table.Find("V")->IsVoid());
}

TEST(Table, GivesNothingForAnotherTypeOrAMissingName) {
  const Table table = EveryType();
  EXPECT_EQ(table.GetInteger("S"), std::nullopt);
  EXPECT_EQ(table.GetInteger("T"), std::nullopt);
  EXPECT_EQ(table.GetInteger("t"), std::nullopt);
  EXPECT_EQ(table.GetString("x"), std::nullopt);
  EXPECT_EQ(table.GetBool("B"), std::nullopt);
  EXPECT_EQ(table.GetTable("A"), nullptr);
  EXPECT_EQ(table.Find("missing"), nullptr);
  EXPECT_EQ(table.GetInteger("missing"), std::nullopt);
  EXPECT_EQ(table.Find("I")->AsDouble(), std::nullopt);
  EXPECT_EQ(table.Find("I")->AsDecimal(), std::nullopt);
  EXPECT_EQ(table.Find("I")->AsTimestamp(), std::nullopt);
  EXPECT_EQ(table.Find("I")->AsBytes(), std::nullopt);
  EXPECT_EQ(table.Find("I")->AsArray(), nullptr);
}

TEST(Table, ReplacesInPlaceAppendsAndErases) {
  Table table{{"a", 1}, {"b", 2}};
  table.Set("a", "one");
  table.Set("c", 3);
  EXPECT_EQ(table, (Table{{"a", "one"}, {"b", 2}, {"c", 3}}));
  EXPECT_TRUE(table.Erase("b"));
  EXPECT_FALSE(table.Erase("b"));
  EXPECT_EQ(table, (Table{{"a", "one"}, {"c", 3}}));
}

TEST(Table, LooksAtTheFirstOfTwoEntriesWithOneNameAndErasesBoth) {
  Result<Table> table = DecodeTable("\1kt\1\1kt\0"s);
  ASSERT_TRUE(table);
  EXPECT_EQ(table->GetBool("k"), true);
  EXPECT_EQ(TableView("\1kt\1\1kt\0"sv).FindBool("k"), true);
  EXPECT_TRUE(table->Erase("k"));
  EXPECT_TRUE(table->empty());
}

TEST(Table, RefusesEveryTruncation) {
  const ByteBuffer bytes = EveryType().Encode();
  size_t well_formed = 0;
  for (size_t n = 0; n < bytes.size(); ++n) {
    // A buffer of its own, so that a sanitizer sees a read beyond its end.
    const ByteBuffer cut(bytes.data(), n);
    const Result<Table> table = DecodeTable(cut);
    EXPECT_EQ(table.has_value(), IsWellFormedTable(cut));
    // A cut between two entries leaves a shorter table.
    if (table) {
      EXPECT_EQ(table->size(), well_formed);
      ++well_formed;
    } else {
      EXPECT_EQ(table.error().code, ErrorCode::kProtocol);
    }
    for (const TableEntry& entry : EveryType()) TableView(cut).Find(entry.name);
  }
  EXPECT_EQ(well_formed, EveryType().size());
}

TEST(Table, RefusesUnknownTypesAndLengthsBeyondTheEnd) {
  for (const ByteView broken :
       {"\1kz"sv, "\1k"sv, "\5k"sv, "\1kS\0\0\0\2x"sv, "\1kS\xff\xff\xff\xff"sv,
        "\1kF\0\0\0\3\1kt"sv, "\1kA\0\0\0\1z"sv, "\1kA\0\0\0\5t"sv}) {
    EXPECT_FALSE(DecodeTable(broken));
    EXPECT_EQ(TableView(broken).Find("k"), std::nullopt);
  }
}

TEST(Table, NestsToTheLimitAndNoDeeper) {
  EXPECT_TRUE(DecodeTable(NestedTables(kMaxTableDepth)));
  EXPECT_FALSE(DecodeTable(NestedTables(kMaxTableDepth + 1)));
  EXPECT_TRUE(DecodeTable(NestedArrays(kMaxTableDepth)));
  EXPECT_FALSE(DecodeTable(NestedArrays(kMaxTableDepth + 1)));
  EXPECT_FALSE(DecodeTable(NestedTables(10000)));
  EXPECT_TRUE(TableView(NestedTables(kMaxTableDepth)).Find("k"));
  EXPECT_FALSE(TableView(NestedTables(kMaxTableDepth + 1)).Find("k"));
}

TEST(Table, KeepsTheBitsOfEveryFloat) {
  const Table table{{"f", std::nanf("7")}, {"d", std::nan("9")}, {"z", -0.0}};
  const Result<Table> read = DecodeTable(table.Encode());
  ASSERT_TRUE(read);
  EXPECT_EQ(*read, table);
  EXPECT_EQ(read->Encode(), table.Encode());
}

TEST(Table, TakesAnyNonZeroBooleanForTrue) {
  EXPECT_EQ(DecodeTable("\1kt\7"s)->GetBool("k"), true);
  EXPECT_EQ(TableView("\1kt\7"sv).FindBool("k"), true);
}

TEST(Table, IsEquivalentWhateverTheOrderAndTheWidthOfIntegers) {
  const Table declared{{"x-max-length", 10}, {"x-queue-type", "quorum"}, {"x-factor", 1.5}};
  const Table redeclared{
      {"x-queue-type", "quorum"}, {"x-factor", 1.5f}, {"x-max-length", Value::Integer('B', 10)}};
  EXPECT_NE(declared, redeclared);
  EXPECT_TRUE(Equivalent(declared, redeclared));
  EXPECT_TRUE(Equivalent(Value(Array{1, declared}), Value(Array{int64_t{1}, redeclared})));
}

TEST(Table, IsNotEquivalentWhenAValueATypeOrANameDiffers) {
  const Table declared{{"k", 10}};
  EXPECT_FALSE(Equivalent(declared, Table{{"k", 11}}));
  EXPECT_FALSE(Equivalent(declared, Table{{"k", "10"}}));
  EXPECT_FALSE(Equivalent(declared, Table{{"k", 10.0}}));
  EXPECT_FALSE(Equivalent(declared, Table{{"k", Value::Timestamp(10)}}));
  EXPECT_FALSE(Equivalent(declared, Table{{"l", 10}}));
  EXPECT_FALSE(Equivalent(declared, Table{}));
  EXPECT_FALSE(Equivalent(declared, Table{{"k", 10}, {"l", 1}}));
  EXPECT_FALSE(Equivalent(Table{{"k", "a"}}, Table{{"k", Value::Bytes("a")}}));
  EXPECT_FALSE(Equivalent(Value(Array{1, 2}), Value(Array{2, 1})));
  EXPECT_FALSE(Equivalent(Value(Array{1}), Value(Array{1, 2})));
}

TEST(TableView, FindsWhatTheDecodedTableHas) {
  const Table table = EveryType();
  const ByteBuffer bytes = table.Encode();
  const TableView view(bytes);
  for (const TableEntry& entry : table) {
    EXPECT_TRUE(view.Contains(entry.name));
    EXPECT_EQ(view.FindInteger(entry.name), table.GetInteger(entry.name)) << entry.name;
    EXPECT_EQ(view.FindString(entry.name), table.GetString(entry.name)) << entry.name;
    EXPECT_EQ(view.FindBool(entry.name), table.GetBool(entry.name)) << entry.name;
    EXPECT_EQ(view.Find(entry.name), entry.value) << entry.name;
  }
  EXPECT_FALSE(view.Contains("inner"));
  EXPECT_FALSE(view.Contains(""));
  EXPECT_EQ(view.FindInteger("missing"), std::nullopt);
  EXPECT_EQ(view.Decode(), table);
}

TEST(TableView, IsEmptyByDefault) {
  const TableView view;
  EXPECT_TRUE(view.empty());
  EXPECT_FALSE(view.Contains("k"));
  ASSERT_TRUE(view.Decode());
  EXPECT_TRUE(view.Decode()->empty());
}

TEST(TableView, FindsWhatComesBeforeABrokenEntry) {
  const TableView view("\1ab\5\1bz"sv);
  EXPECT_EQ(view.FindInteger("a"), 5);
  EXPECT_FALSE(view.Contains("b"));
  EXPECT_FALSE(view.Decode());
}

}  // namespace
}  // namespace landfall::amqp
