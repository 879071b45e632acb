#include "broker/queue_page.h"

#include <algorithm>
#include <utility>

namespace landfall::broker {

Result<void> AddResting(QueuePage& page, ByteView bytes) {
  const RestingBlock& block = *page.block;
  auto records = ReadBlockMessages(bytes);
  if (!records) return std::unexpected(records.error());
  const size_t in_memory = page.messages.size();
  const auto known = [&](Sequence sequence) {
    const auto end = page.messages.begin() + static_cast<ptrdiff_t>(in_memory);
    return std::binary_search(page.messages.begin(), end, SeenMessage{.sequence = sequence},
                              [](const auto& a, const auto& b) { return a.sequence < b.sequence; });
  };
  for (QueuedMessageRecord& r : *records) {
    const Sequence s = r.position.sequence;
    if (s <= page.after || s > page.upto || block.settled.Contains(s) || known(s)) continue;
    SeenMessage seen{.sequence = s,
                     .message = std::move(r.message),
                     .born = r.born,
                     .attempts = r.failures,
                     .failures = r.failures,
                     .redelivered = r.redelivered};
    if (const auto change = block.changes.find(s); change != block.changes.end()) {
      seen.attempts = seen.failures = change->second.failures;
      seen.redelivered |= change->second.redelivered;
      seen.due = change->second.due;
      if (seen.due != Time{}) seen.state = SeenMessage::State::kDelayed;
    }
    page.messages.push_back(std::move(seen));
  }
  std::ranges::sort(page.messages, {}, &SeenMessage::sequence);
  return {};
}

}  // namespace landfall::broker
