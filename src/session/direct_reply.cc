#include "session/direct_reply.h"

#include <fmt/format.h>

#include <charconv>

#include "base/wire.h"

namespace landfall::session {

ReplyAddress ReplyAddress::Make(const SipKey& secret, broker::SessionId session,
                                broker::ChannelId channel, uint64_t number) {
  ReplyAddress address{.session = session, .channel = channel};
  ByteBuffer subject;
  AppendVarint(subject, session);
  AppendVarint(subject, channel);
  AppendVarint(subject, number);
  for (uint64_t& word : address.token) {
    word = SipHash(secret, subject);
    subject.push_back('+');
  }
  return address;
}

std::string ReplyAddress::Name() const {
  return fmt::format("{}.{:016x}{:04x}.{:016x}{:016x}==", kReplyQueue, session, channel, token[0],
                     token[1]);
}

std::optional<ReplyAddress> ReplyAddress::Parse(ByteView name) {
  constexpr size_t kFirst = 16 + 4;
  constexpr size_t kSecond = 16 + 16;
  const size_t prefix = kReplyQueue.size() + 1;
  if (name.size() != prefix + kFirst + 1 + kSecond + 2 || !name.starts_with(kReplyQueue) ||
      name[prefix - 1] != '.' || name[prefix + kFirst] != '.' || !name.ends_with("==")) {
    return std::nullopt;
  }
  const char* next = name.data() + prefix;
  bool ok = true;
  const auto take = [&](auto& number, size_t digits) {
    const auto [end, error] = std::from_chars(next, next + digits, number, 16);
    ok = ok && error == std::errc{} && end == next + digits;
    next += digits;
  };
  ReplyAddress address;
  take(address.session, 16);
  take(address.channel, 4);
  ++next;
  take(address.token[0], 16);
  take(address.token[1], 16);
  if (!ok) return std::nullopt;
  return address;
}

DirectReplySettled Settled(const DirectReply& reply, bool delivered) {
  return {.to = reply.from,
          .channel = reply.from_channel,
          .incarnation = reply.incarnation,
          .number = reply.number,
          .asked = reply.message == nullptr,
          .delivered = delivered};
}

}  // namespace landfall::session
