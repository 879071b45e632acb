#include "amqp/method.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>
#include <type_traits>

namespace landfall::amqp {
namespace {

using namespace std::literals;

const ByteBuffer& SampleTable() {
  static const ByteBuffer bytes = Table{{"x-a", 1}, {"x-b", Table{{"c", "d"}}}}.Encode();
  return bytes;
}

// Distinct values, so that two swapped fields are seen.
class Filler {
 public:
  template <class M>
  void Fill(M& method) {
    std::apply([&](auto&... field) { (Set(field), ...); }, method.Fields());
  }

 private:
  void Set(bool& v) { v = ++count_ % 2 == 0; }
  void Set(ByteView& v) { v = strings_[++count_ % std::size(strings_)]; }
  void Set(TableView& v) { v = TableView(SampleTable()); }
  template <class T>
  void Set(T& v) {
    v = static_cast<T>(0x0102030405060708u + ++count_);
  }

  static constexpr ByteView strings_[] = {"", "a", "longer text", "\xff\0\xce"sv};
  uint64_t count_ = 0;
};

template <class F>
void ForEachMethod(F f) {
  [&]<class... M>(MethodList<M...>) { (f(std::type_identity<M>()), ...); }(AllMethods());
}

TEST(Method, EveryOneReadsBackWhatItWrote) {
  Filler filler;
  for (int round = 0; round < 4; ++round) {
    ForEachMethod([&]<class M>(std::type_identity<M>) {
      M method;
      if (round > 0) filler.Fill(method);
      ByteBuffer payload;
      AppendMethod(payload, method);
      EXPECT_EQ(PeekMethodId(payload), M::kId);
      EXPECT_EQ(payload.size(), 4 + FieldsSize(method)) << M::kName;
      const Result<M> read = Decode<M>(payload);
      ASSERT_TRUE(read) << M::kName << ": " << read.error().ToString();
      EXPECT_EQ(*read, method) << M::kName;
    });
  }
}

TEST(Method, EveryOneRefusesEveryTruncationAndAnyByteMore) {
  Filler filler;
  ForEachMethod([&]<class M>(std::type_identity<M>) {
    M method;
    filler.Fill(method);
    ByteBuffer payload;
    AppendMethod(payload, method);
    for (size_t n = 0; n < payload.size(); ++n) {
      // A buffer of its own, so that a sanitizer sees a read beyond its end.
      const ByteBuffer cut(payload.data(), n);
      const Result<M> read = Decode<M>(cut);
      ASSERT_FALSE(read) << M::kName << " cut to " << n;
      EXPECT_EQ(read.error().code, ErrorCode::kProtocol);
    }
    EXPECT_FALSE(Decode<M>(payload + '\0')) << M::kName;
  });
}

TEST(Method, EveryOneMakesTheSameFrameAsItsPayloadInAFrame) {
  Filler filler;
  ForEachMethod([&]<class M>(std::type_identity<M>) {
    M method;
    filler.Fill(method);
    ByteBuffer payload;
    AppendMethod(payload, method);
    ByteBuffer expected = "kept";
    AppendFrame(expected, FrameType::kMethod, 0x0203, payload);
    ByteBuffer frame = "kept";
    AppendMethodFrame(frame, 0x0203, method);
    EXPECT_EQ(frame, expected) << M::kName;
  });
}

TEST(Method, EveryOneIsKnownByItsIdAndNameAndHasASender) {
  std::set<MethodId> ids;
  std::set<std::string_view> names;
  ForEachMethod([&]<class M>(std::type_identity<M>) {
    EXPECT_TRUE(ids.insert(M::kId).second);
    EXPECT_TRUE(names.insert(M::kName).second);
    EXPECT_TRUE(IsKnownMethod(M::kId));
    EXPECT_EQ(MethodName(M::kId), M::kName);
    EXPECT_EQ(MethodHasContent(M::kId), M::kHasContent);
    EXPECT_EQ(IsSentByClient(M::kId), M::kSentByClient);
    EXPECT_EQ(IsSentByServer(M::kId), M::kSentByServer);
    EXPECT_TRUE(M::kSentByClient || M::kSentByServer);
    MethodId visited = 0;
    EXPECT_TRUE(VisitMethodType(M::kId, [&]<class V>(std::type_identity<V>) { visited = V::kId; }));
    EXPECT_EQ(visited, M::kId);
  });
}

TEST(Method, AnUnknownIdIsNoMethod) {
  for (const MethodId id : {0u, 10u << 16, 60u << 16 | 41, 0xffffffffu}) {
    EXPECT_FALSE(IsKnownMethod(id));
    EXPECT_EQ(MethodName(id), "unknown");
    EXPECT_FALSE(MethodHasContent(id));
    EXPECT_FALSE(IsSentByClient(id));
    EXPECT_FALSE(IsSentByServer(id));
    EXPECT_FALSE(VisitMethodType(id, [](auto) {}));
  }
  EXPECT_EQ(PeekMethodId("\0\x3c\0"sv), 0u);
}

TEST(Method, IsRefusedAsAnother) {
  ByteBuffer ack;
  AppendMethod(ack, BasicAck{.delivery_tag = 1});
  EXPECT_TRUE(Decode<BasicAck>(ack));
  EXPECT_FALSE(Decode<LandfallAck>(ack));
  EXPECT_FALSE(Decode<BasicPublish>(ack));
}

TEST(Method, RabbitMqExtensionsHaveTheirIds) {
  EXPECT_EQ(ConfirmSelect::kId, 85u << 16 | 10);
  EXPECT_EQ(ConfirmSelectOk::kId, 85u << 16 | 11);
  EXPECT_EQ(BasicNack::kId, 60u << 16 | 120);
  EXPECT_EQ(ExchangeBind::kId, 40u << 16 | 30);
  EXPECT_EQ(ExchangeUnbind::kId, 40u << 16 | 40);
  EXPECT_EQ(ExchangeUnbindOk::kId, 40u << 16 | 51);
  EXPECT_EQ(ConnectionBlocked::kId, 10u << 16 | 60);
  EXPECT_EQ(ConnectionUnblocked::kId, 10u << 16 | 61);
  EXPECT_EQ(ConnectionUpdateSecret::kId, 10u << 16 | 70);
  EXPECT_EQ(ConnectionUpdateSecretOk::kId, 10u << 16 | 71);
  EXPECT_TRUE(BasicAck::kSentByServer);
  EXPECT_TRUE(BasicNack::kSentByServer);
  EXPECT_TRUE(BasicCancel::kSentByServer);
  EXPECT_FALSE(BasicPublish::kSentByServer);
  EXPECT_FALSE(BasicDeliver::kSentByClient);
}

TEST(Method, OursHaveTheClassOfTheLettersLF) {
  EXPECT_EQ(LandfallConfirm::kId >> 16, 0x4C46u);
  EXPECT_EQ(LandfallConfirm::kId & 0xffff, 10u);
  EXPECT_EQ(LandfallNack::kId & 0xffff, 20u);
  EXPECT_EQ(LandfallRenew::kId & 0xffff, 30u);
  EXPECT_EQ(LandfallAck::kId & 0xffff, 40u);
  EXPECT_EQ(LandfallAckLanded::kId & 0xffff, 41u);
  ByteBuffer payload;
  AppendMethod(
      payload,
      LandfallConfirm{.delivery_tag = 3, .multiple = true, .outcome = ConfirmOutcome::kFenced});
  EXPECT_EQ(payload, "LF\0\x0a\0\0\0\0\0\0\0\3\1\3"s);
}

TEST(Method, KnowsWhichOnesAreAnswered) {
  EXPECT_TRUE(QueueDeclare::kSynchronous);
  EXPECT_TRUE(BasicGet::kSynchronous);
  EXPECT_TRUE(BasicRecover::kSynchronous);
  EXPECT_FALSE(QueueDeclareOk::kSynchronous);
  EXPECT_FALSE(BasicPublish::kSynchronous);
  EXPECT_FALSE(BasicRecoverAsync::kSynchronous);
  EXPECT_FALSE(ConnectionBlocked::kSynchronous);
}

TEST(Method, HasTheBytesOfTheSpecification) {
  ByteBuffer out;
  AppendMethodFrame(out, 1,
                    BasicPublish{.exchange = "ex", .routing_key = "key", .immediate = true});
  EXPECT_EQ(out, "\1\0\1\0\0\0\x0e\0\x3c\0\x28\0\0\2ex\3key\2\xce"s);

  out.clear();
  AppendMethodFrame(out, 2, BasicAck{.delivery_tag = 258, .multiple = true});
  EXPECT_EQ(out, "\1\0\2\0\0\0\x0d\0\x3c\0\x50\0\0\0\0\0\0\1\2\1\xce"s);

  out.clear();
  const ByteBuffer arguments = Table{{"x-max-length", 10}}.Encode();
  AppendMethod(
      out, QueueDeclare{
               .queue = "q", .durable = true, .no_wait = true, .arguments = TableView(arguments)});
  EXPECT_EQ(out, "\0\x32\0\x0a\0\0\1q\x12\0\0\0\x12\x0cx-max-lengthI\0\0\0\x0a"s);

  out.clear();
  AppendMethod(out, ConnectionTune{.channel_max = 2047, .frame_max = 131072, .heartbeat = 60});
  EXPECT_EQ(out, "\0\x0a\0\x1e\x07\xff\0\2\0\0\0\x3c"s);

  out.clear();
  AppendMethod(out, ConnectionOpen{.virtual_host = "/"});
  EXPECT_EQ(out, "\0\x0a\0\x28\1/\0\0"s);

  out.clear();
  AppendMethod(out, ChannelOpenOk{});
  EXPECT_EQ(out, "\0\x14\0\x0b\0\0\0\0"s);
}

TEST(Method, SkipsReservedFieldsAndUnusedBits) {
  // The old ticket, and a bit beyond mandatory and immediate.
  const Result<BasicPublish> publish = Decode<BasicPublish>("\0\x3c\0\x28\0\7\0\1k\x05"sv);
  ASSERT_TRUE(publish);
  EXPECT_EQ(*publish, (BasicPublish{.exchange = "", .routing_key = "k", .mandatory = true}));
  // connection.open with capabilities and insist, as 0-8 had them.
  const Result<ConnectionOpen> open = Decode<ConnectionOpen>("\0\x0a\0\x28\1/\3cap\1"sv);
  ASSERT_TRUE(open);
  EXPECT_EQ(open->virtual_host, "/");
}

TEST(Method, RefusesABrokenTableInsideIt) {
  ByteBuffer payload;
  AppendMethod(payload, QueueDeclare{.queue = "q", .arguments = TableView("\1kz")});
  EXPECT_FALSE(Decode<QueueDeclare>(payload));
}

TEST(Method, CutsReplyTextsBetweenCharacters) {
  ByteBuffer payload;
  const std::string text = std::string(254, 'a') + "\xc3\xa4" + "more";
  AppendMethod(payload, ChannelClose{.reply_code = 404, .reply_text = text, .class_id = 50});
  const Result<ChannelClose> close = Decode<ChannelClose>(payload);
  ASSERT_TRUE(close);
  EXPECT_EQ(close->reply_text, std::string(254, 'a'));
  EXPECT_EQ(close->class_id, 50);
}

TEST(MethodDeathTest, DiesRatherThanShortenAName) {
  ByteBuffer out;
  EXPECT_DEATH(
      AppendMethod(out, BasicPublish{.exchange = "", .routing_key = std::string(256, 'k')}),
      "kMaxShortString");
}

}  // namespace
}  // namespace landfall::amqp
