#include "admin/listing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace landfall::admin {
namespace {

using nlohmann::json;
using testing::HasSubstr;

class Listing : public testing::Test {
 protected:
  Listing() {
    Add("b", "two", 2);
    Add("a", "One", 10);
    Add("a", "three", 3);
    Add("b", "one", 1);
  }
  void Add(std::string vhost, std::string name, int messages) {
    objects_.push_back({{"vhost", vhost},
                        {"name", name},
                        {"messages", messages},
                        {"stats", {{"rate", 100 - messages}, {"kind", "x"}}}});
  }
  Reply List(const std::string& query) {
    std::vector<ListItem> items;
    for (const json& object : objects_)
      items.push_back({.vhost = object["vhost"].get_ref<const std::string&>(),
                       .name = object["name"].get_ref<const std::string&>(),
                       .build = [&object] { return object; }});
    return ListReply(std::move(items), ParseTarget("/?" + query)->query);
  }
  static std::vector<std::string> Names(const json& items) {
    std::vector<std::string> names;
    for (const json& item : items) names.push_back(item["name"]);
    return names;
  }
  std::vector<std::string> Sorted(const std::string& query) {
    return Names(json::parse(List(query).body));
  }

  std::vector<json> objects_;
};

using testing::ElementsAre;

TEST_F(Listing, IsByVhostAndNameUnlessItIsSaidOtherwise) {
  EXPECT_THAT(Sorted(""), ElementsAre("One", "three", "one", "two"));
  EXPECT_THAT(Sorted("sort=name"), ElementsAre("One", "one", "three", "two"));
  EXPECT_THAT(Sorted("sort=messages"), ElementsAre("one", "two", "three", "One"));
  EXPECT_THAT(Sorted("sort=messages&sort_reverse=true"), ElementsAre("One", "three", "two", "one"));
  EXPECT_THAT(Sorted("sort=stats.rate"), ElementsAre("One", "three", "two", "one"));
  EXPECT_THAT(Sorted("sort=no.such.thing"), ElementsAre("One", "three", "one", "two"));
}

TEST_F(Listing, BuildsOnlyWhatItShowsWhenItIsSortedByANumber) {
  int built = 0;
  std::vector<ListItem> items;
  for (const json& object : objects_) {
    items.push_back({.vhost = "",
                     .name = object["name"].get_ref<const std::string&>(),
                     .build = [&] { return ++built, object; },
                     .number = [&](std::string_view) { return object["messages"].get<double>(); }});
  }
  const Reply reply = ListReply(
      std::move(items), ParseTarget("/?sort=messages&sort_reverse=true&page=1&page_size=2")->query);
  EXPECT_THAT(Names(json::parse(reply.body)["items"]), ElementsAre("One", "three"));
  EXPECT_EQ(built, 2);
}

TEST_F(Listing, IsNotBuiltForASortThatNamesNothing) {
  int built = 0;
  std::vector<ListItem> items;
  for (const json& object : objects_) {
    items.push_back({.vhost = "", .name = "name", .build = [&] { return ++built, object; }});
  }
  ListReply(std::move(items), ParseTarget("/?sort=.&page=1&page_size=1")->query);
  EXPECT_EQ(built, 1);
}

TEST_F(Listing, HasABoundForColumns) {
  std::string columns = "columns=name";
  for (int i = 1; i < 100; ++i) columns += ",c";
  EXPECT_EQ(List(columns).status, 200u);
  EXPECT_EQ(List(columns + ",c").status, 400u);
}

TEST_F(Listing, ComesInPages) {
  const json page = json::parse(List("page=2&page_size=3").body);
  EXPECT_EQ(page["total_count"], 4);
  EXPECT_EQ(page["filtered_count"], 4);
  EXPECT_EQ(page["item_count"], 1);
  EXPECT_EQ(page["page"], 2);
  EXPECT_EQ(page["page_size"], 3);
  EXPECT_EQ(page["page_count"], 2);
  EXPECT_THAT(Names(page["items"]), ElementsAre("two"));
}

TEST_F(Listing, IsFilteredByName) {
  const json page = json::parse(List("page=1&name=ONE").body);
  EXPECT_EQ(page["total_count"], 4);
  EXPECT_THAT(Names(page["items"]), ElementsAre("One", "one"));
  EXPECT_THAT(Names(json::parse(List("page=1&use_regex=true&name=^t").body)["items"]),
              ElementsAre("three", "two"));
  // As with RabbitMQ, only a page is filtered.
  EXPECT_EQ(Sorted("name=one").size(), 4u);
  const json nothing = json::parse(List("page=1&name=nothing").body);
  EXPECT_EQ(nothing["filtered_count"], 0);
  EXPECT_TRUE(nothing["items"].empty());
}

TEST_F(Listing, HasTheColumnsThatAreWanted) {
  EXPECT_EQ(json::parse(List("columns=name,stats.rate,none.x").body)[0],
            json({{"name", "One"}, {"stats", {{"rate", 90}}}}));
}

TEST_F(Listing, RefusesPagesThatCannotBe) {
  for (const char* query :
       {"page=0", "page=-1", "page=x", "page=", "page=1&page_size=0", "page=1&page_size=501",
        "page=3&page_size=2", "page=2&name=nothing", "page=1&use_regex=true&name=(",
        "page=18446744073709551616", "page=18446744073709551615&page_size=500"}) {
    EXPECT_EQ(List(query).status, 400u) << query;
  }
}

TEST(LongList, IsRefusedBeforeItIsInMemory) {
  size_t built = 0;
  const json large = std::string(size_t{1} << 20, 'x');
  const auto list = [&](const std::string& query) {
    std::vector<ListItem> items;
    for (int i = 0; i < 300; ++i)
      items.push_back({.vhost = "", .name = "", .build = [&] { return ++built, large; }});
    return ListReply(std::move(items), ParseTarget("/?" + query)->query);
  };
  const Reply all = list("");
  EXPECT_EQ(all.status, 400u);
  EXPECT_THAT(all.body, HasSubstr("ask for a page"));
  EXPECT_LE(built, 70u);
  EXPECT_EQ(list("page=1&page_size=200").status, 400u);
  EXPECT_EQ(list("page=1&page_size=20").status, 200u);
}

}  // namespace
}  // namespace landfall::admin
