#include "session/producer_identity.h"

#include <string>

namespace landfall::session {

namespace {

constexpr std::string_view kProducer = "x-producer";
constexpr std::string_view kEpoch = "x-producer-epoch";
constexpr std::string_view kSequence = "x-producer-sequence";
constexpr std::string_view kLowest = "x-producer-lowest";
constexpr size_t kMaxProducer = 255;

std::unexpected<Exception> Invalid(std::string_view header, std::string_view wanted) {
  return Refuse(amqp::ReplyCode::kPreconditionFailed,
                "invalid header '" + std::string(header) + "': it must be " + std::string(wanted));
}

// An absent header is 0.
std::expected<uint64_t, Exception> ReadCount(amqp::TableView headers, std::string_view name) {
  const std::optional<int64_t> value = headers.FindInteger(name);
  if (value && *value >= 0) return static_cast<uint64_t>(*value);
  if (!value && !headers.Contains(name)) return 0;
  return Invalid(name, "an integer that is not negative");
}

}  // namespace

std::expected<std::unique_ptr<const broker::Identity>, Exception> ReadIdentity(
    amqp::TableView headers) {
  if (headers.empty() || !headers.Contains(kProducer) || !headers.Contains(kSequence)) {
    return nullptr;
  }
  const std::optional<ByteView> producer = headers.FindString(kProducer);
  if (!producer || producer->empty() || producer->size() > kMaxProducer) {
    return Invalid(kProducer, "a string of 1 to 255 bytes");
  }
  const std::optional<int64_t> sequence = headers.FindInteger(kSequence);
  if (!sequence || *sequence <= 0) return Invalid(kSequence, "an integer from 1");
  const auto epoch = ReadCount(headers, kEpoch);
  if (!epoch) return std::unexpected(epoch.error());
  const auto lowest = ReadCount(headers, kLowest);
  if (!lowest) return std::unexpected(lowest.error());
  if (*lowest > static_cast<uint64_t>(*sequence)) {
    return Invalid(kLowest, "at most the sequence of the message");
  }
  return std::make_unique<const broker::Identity>(
      broker::Identity{.producer = std::string(*producer),
                       .epoch = *epoch,
                       .sequence = static_cast<uint64_t>(*sequence),
                       .lowest_unsettled = *lowest});
}

}  // namespace landfall::session
