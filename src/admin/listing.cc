#include "admin/listing.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <numeric>
#include <utility>

#include "access/pattern.h"

namespace landfall::admin {
namespace {

using nlohmann::json;

constexpr size_t kMaxColumns = 100;

std::vector<std::string> Split(std::string_view text, char at) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(at));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(text.size(), part.size() + 1));
  }
  return parts;
}

std::optional<size_t> PositiveNumber(std::string_view text) {
  size_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc{} || end != text.data() + text.size() || n == 0) return std::nullopt;
  return n;
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

// What is not there comes before everything else and, among numbers, counts as 0.
json SortKey(const json& object, const std::vector<std::string>& column) {
  const json* at = &object;
  for (const std::string& name : column) {
    if (!at->is_object()) return 0;
    const auto it = at->find(name);
    if (it == at->end() || it->is_null()) return 0;
    at = &*it;
  }
  return *at;
}

// By keys in the order of the items; equal ones stay in their order.
template <class Key>
void SortBy(std::vector<ListItem>& items, const std::vector<Key>& keys) {
  std::vector<size_t> order(items.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) -> const Key& { return keys[i]; });
  std::vector<ListItem> sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(std::move(items[i]));
  items = std::move(sorted);
}

// False: it is none of the numbers that can be told.
bool SortByNumber(std::vector<ListItem>& items, const std::string& column) {
  std::vector<double> keys;
  keys.reserve(items.size());
  for (const ListItem& item : items) {
    const auto key = item.number ? item.number(column) : std::nullopt;
    if (!key) return false;
    keys.push_back(*key);
  }
  SortBy(items, keys);
  return true;
}

void SortByColumn(std::vector<ListItem>& items, const std::string& column) {
  const std::vector<std::string> path = Split(column, '.');
  if (path.empty()) return;
  std::vector<json> keys;
  keys.reserve(items.size());
  for (const ListItem& item : items) keys.push_back(SortKey(item.build(), path));
  SortBy(items, keys);
}

void Sort(std::vector<ListItem>& items, const ListOptions& options) {
  const auto by_name = [](const ListItem& a, const ListItem& b) {
    return std::tie(a.vhost, a.name) < std::tie(b.vhost, b.name);
  };
  if (options.sort.empty() || options.sort == "vhost") {
    std::ranges::sort(items, by_name);
  } else if (options.sort == "name") {
    std::ranges::sort(items, [](const ListItem& a, const ListItem& b) {
      return std::tie(a.name, a.vhost) < std::tie(b.name, b.vhost);
    });
  } else {
    std::ranges::sort(items, by_name);
    if (!SortByNumber(items, options.sort)) SortByColumn(items, options.sort);
  }
  if (options.sort_reverse) std::ranges::reverse(items);
}

Result<void> Filter(std::vector<ListItem>& items, const ListOptions& options) {
  if (options.name.empty()) return {};
  if (options.use_regex) {
    auto pattern = access::Pattern::Compile("(?i)" + options.name);
    if (!pattern) return std::unexpected(pattern.error());
    std::erase_if(items, [&](const ListItem& item) { return !pattern->Matches(item.name); });
  } else {
    const std::string wanted = Lower(options.name);
    std::erase_if(items, [&](const ListItem& item) { return !Lower(item.name).contains(wanted); });
  }
  return {};
}

Result<std::string> ArrayOf(const std::vector<ListItem>& items, size_t first, size_t count,
                            const ListOptions& options) {
  std::string out = "[";
  for (size_t i = first; i < first + count; ++i) {
    if (i != first) out += ',';
    out += JsonText(WithColumns(items[i].build(), options.columns));
    if (out.size() > kMaxListBytes) {
      return Fail(ErrorCode::kInvalidArgument,
                  fmt::format("the list of {} objects is longer than {} MiB; ask for a page of it "
                              "(page=1&page_size=100), or for some columns",
                              items.size(), kMaxListBytes >> 20));
    }
  }
  return out + "]";
}

}  // namespace

Result<ListOptions> ReadListOptions(const Query& query) {
  ListOptions options;
  options.sort = query.Get("sort");
  options.sort_reverse = query.IsTrue("sort_reverse");
  options.columns = Split(query.Get("columns"), ',');
  if (options.columns.size() > kMaxColumns) {
    return Fail(ErrorCode::kInvalidArgument, fmt::format("more than {} columns", kMaxColumns));
  }
  const std::string* page = query.Find("page");
  if (page == nullptr) return options;
  const std::string* size = query.Find("page_size");
  const auto number = PositiveNumber(*page);
  const auto per_page = size == nullptr ? std::optional<size_t>(100) : PositiveNumber(*size);
  if (!number || !per_page || *per_page > kMaxPageSize) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("Invalid pagination parameters: page number {}, page size {}; a page "
                            "has 1 to {} objects",
                            *page, size == nullptr ? "100" : *size, kMaxPageSize));
  }
  options.page = ListOptions::Page{.number = *number, .size = *per_page};
  options.name = query.Get("name");
  options.use_regex = query.IsTrue("use_regex");
  return options;
}

json WithColumns(json object, const std::vector<std::string>& columns) {
  if (columns.empty()) return object;
  json wanted = json::object();
  for (const std::string& column : columns) {
    const json* from = &object;
    json* to = &wanted;
    const std::vector<std::string> path = Split(column, '.');
    for (size_t i = 0; i < path.size(); ++i) {
      const auto it = from->is_object() ? from->find(path[i]) : from->end();
      if (it == from->end()) break;
      from = &*it;
      to = &(*to)[path[i]];
      if (i + 1 == path.size()) {
        *to = *from;
      } else if (!to->is_object()) {
        *to = json::object();
      }
    }
  }
  return wanted;
}

Result<Reply> ListReply(std::vector<ListItem> items, const ListOptions& options) {
  const size_t total = items.size();
  if (auto done = Filter(items, options); !done) return std::unexpected(done.error());
  Sort(items, options);
  if (!options.page) {
    auto all = ArrayOf(items, 0, items.size(), options);
    if (!all) return std::unexpected(all.error());
    return Reply{.body = std::move(*all)};
  }
  const auto [number, size] = *options.page;
  const size_t pages = (items.size() + size - 1) / size;
  if (number > pages && number > 1) {
    return Fail(ErrorCode::kInvalidArgument,
                fmt::format("Page out of range, page: {} page size: {}, len: {}", number, size,
                            items.size()));
  }
  const size_t first = (number - 1) * size;
  const size_t count = std::min(size, items.size() - first);
  const auto array = ArrayOf(items, first, count, options);
  if (!array) return std::unexpected(array.error());
  return Reply{.body = fmt::format("{{\"total_count\":{},\"item_count\":{},\"filtered_count\":{},"
                                   "\"page\":{},\"page_size\":{},\"page_count\":{},\"items\":{}}}",
                                   total, count, items.size(), number, size, pages, *array)};
}

Reply ListReply(std::vector<ListItem> items, const Query& query) {
  auto options = ReadListOptions(query);
  if (!options) return BadRequest(options.error().message);
  auto reply = ListReply(std::move(items), *options);
  return reply ? std::move(*reply) : BadRequest(reply.error().message);
}

}  // namespace landfall::admin
