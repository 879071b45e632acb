#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "admin/reply.h"
#include "admin/request.h"
#include "base/error.h"

// Lists as RabbitMQ's API gives them: sorted, filtered by name, a page at a time, with the columns
// that are wanted. Pure.
namespace landfall::admin {

struct ListOptions {
  struct Page {
    size_t number = 1;
    size_t size = 100;
  };
  std::optional<Page> page;  // nothing: all of them, in a plain array
  std::string name;          // with a page only, as RabbitMQ has it
  bool use_regex = false;
  std::string sort;  // "messages", "message_stats.publish_details.rate"; "": by vhost and name
  bool sort_reverse = false;
  std::vector<std::string> columns;  // none: all
};

inline constexpr size_t kMaxPageSize = 500;
// Of one answer: a hundred thousand queues are too many for one.
inline constexpr size_t kMaxListBytes = size_t{64} << 20;

// kInvalidArgument: a page or a size that cannot be.
Result<ListOptions> ReadListOptions(const Query& query);

// One object of a list. `build` makes its JSON, which lives only as long as it is needed: a list of
// many objects must not be in memory as JSON and as text.
struct ListItem {
  std::string_view vhost;  // "" where there is none
  std::string_view name;
  std::function<nlohmann::json()> build;
  // What stands in a column, if that is a number that can be told without all the rest. Of a long
  // list that is sorted by it, only a page has to be built then.
  std::function<std::optional<double>(std::string_view column)> number{};
};

// kInvalidArgument: the page is beyond the last one, the name is no regular expression, or the
// answer would have more than kMaxListBytes.
Result<Reply> ListReply(std::vector<ListItem> items, const ListOptions& options);
// Both in one, and errors as replies.
Reply ListReply(std::vector<ListItem> items, const Query& query);

// The columns of one object, as `columns` in the query says.
nlohmann::json WithColumns(nlohmann::json object, const std::vector<std::string>& columns);

}  // namespace landfall::admin
