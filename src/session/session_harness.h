#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"
#include "broker/exchange.h"
#include "broker/topology_snapshot.h"
#include "session/session.h"

namespace landfall::session {

// For tests: the world around a session, which only takes note.
class FakePorts : public SessionPorts {
 public:
  struct Sent {
    broker::ShardId shard = 0;
    broker::Command command;
  };

  FakePorts() {
    AddVhost("/");
    for (const auto& [name, type] : {std::pair{"amq.direct", broker::ExchangeType::kDirect},
                                     std::pair{"amq.fanout", broker::ExchangeType::kFanout},
                                     std::pair{"amq.headers", broker::ExchangeType::kHeaders}}) {
      AddExchange(name, type);
    }
  }

  void ToShard(broker::ShardId shard, broker::Command&& command) override {
    commands.push_back({shard, std::move(command)});
  }
  void ToTopology(broker::TopologyRequest request) override {
    requests.push_back(std::move(request));
  }
  void Authenticate(broker::SessionId, Login login) override {
    user = std::move(login.user);
    password = std::move(login.password);
  }
  void SendReply(DirectReply reply) override { replies.push_back(std::move(reply)); }
  const broker::TopologySnapshot& topology() const override { return snapshot; }
  RouteCache& routes() override { return route_cache; }

  void AddVhost(const std::string& name) {
    auto vhost = std::make_shared<broker::Vhost>();
    vhost->name = name;
    snapshot.vhosts.Set(name, vhost);
    ++snapshot.version;
  }
  void AddExchange(const std::string& name, broker::ExchangeType type, bool internal = false) {
    auto exchange = std::make_shared<broker::Exchange>();
    exchange->name = name;
    exchange->type = type;
    exchange->internal = internal;
    ChangeVhost([&](broker::Vhost& vhost) { vhost.exchanges.Set(name, exchange); });
  }
  broker::QueueInfoRef AddQueue(const std::string& name, broker::QueueId id, broker::ShardId shard,
                                bool durable = true, broker::SessionId owner = 0) {
    auto queue = std::make_shared<broker::QueueInfo>();
    queue->id = id;
    queue->shard = shard;
    queue->vhost = "/";
    queue->name = name;
    queue->durable = durable;
    queue->exclusive = owner != 0;
    queue->owner = owner;
    ChangeVhost([&](broker::Vhost& vhost) { vhost.queues.Set(name, queue); });
    snapshot.queues_by_id.Set(id, queue);
    return queue;
  }
  void RemoveQueue(const std::string& name) {
    ChangeVhost([&](broker::Vhost& vhost) { vhost.queues.Erase(name); });
  }
  void Bind(const std::string& exchange, const std::string& queue, const std::string& key,
            amqp::Table arguments = {}) {
    broker::Binding binding;
    binding.source = exchange;
    binding.queue = snapshot.FindQueue("/", queue)->target();
    binding.routing_key = key;
    binding.arguments = std::move(arguments);
    ChangeVhost([&](broker::Vhost& vhost) {
      auto copy = std::make_shared<broker::Exchange>(**vhost.exchanges.Find(exchange));
      copy->Add(std::make_shared<broker::Binding>(binding));
      vhost.exchanges.Set(exchange, copy);
    });
  }

  RouteCache route_cache;
  broker::TopologySnapshot snapshot;
  std::deque<Sent> commands;
  std::deque<broker::TopologyRequest> requests;
  std::deque<DirectReply> replies;
  std::string user;
  std::optional<std::string> password;

 private:
  template <class F>
  void ChangeVhost(F change) {
    auto vhost = std::make_shared<broker::Vhost>(*snapshot.FindVhost("/"));
    change(*vhost);
    snapshot.vhosts.Set("/", vhost);
    ++snapshot.version;
  }
};

// A frame that the session has sent, with bytes of its own.
struct SentFrame {
  amqp::FrameType type{};
  uint16_t channel = 0;
  std::string payload;

  amqp::MethodId method() const {
    return type == amqp::FrameType::kMethod ? amqp::PeekMethodId(payload) : 0;
  }
};

// A test that is a client of one session, and plays the shards and the topology behind it.
class SessionTest : public testing::Test {
 protected:
  static constexpr broker::SessionId kSession = 7 << broker::kWorkerBits;
  static constexpr broker::ShardId kShard = 3;
  static constexpr broker::QueueId kQueue = 11;

  void Start(Peer peer = {.loopback = true}) {
    session = std::make_unique<Session>(kSession, options, std::move(peer), ports, now);
    sent_.clear();
    unread_.clear();
  }

  // As a client with these capabilities, up to connection.open-ok.
  void Connect(amqp::Table capabilities = AllCapabilities(), uint32_t frame_max = 131072,
               uint16_t heartbeat = 0) {
    Start();
    Bytes(amqp::kProtocolHeader);
    Expect<amqp::ConnectionStart>(0);
    StartOk("guest", "guest", std::move(capabilities));
    session->OnAuthenticated({.ok = true, .reason = "", .accounts = accounts}, now);
    Read();
    Expect<amqp::ConnectionTune>(0);
    Send(0, amqp::ConnectionTuneOk{
                .channel_max = 2047, .frame_max = frame_max, .heartbeat = heartbeat});
    Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
    Expect<amqp::ConnectionOpenOk>(0);
  }
  static amqp::Table AllCapabilities() {
    return {{"consumer_cancel_notify", true},
            {"connection.blocked", true},
            {"authentication_failure_close", true},
            {"landfall.extensions", true}};
  }
  static amqp::Table PlainCapabilities() {
    return {{"consumer_cancel_notify", true},
            {"connection.blocked", true},
            {"authentication_failure_close", true}};
  }
  void StartOk(const std::string& user, const std::string& password, amqp::Table capabilities) {
    const ByteBuffer properties = amqp::Table{{"capabilities", std::move(capabilities)}}.Encode();
    const std::string response = std::string(1, '\0') + user + std::string(1, '\0') + password;
    Send(0, amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                    .mechanism = "PLAIN",
                                    .response = response,
                                    .locale = "en_US"});
  }
  // Connects, opens channel 1, knows queue "q".
  void ConnectWithChannel(amqp::Table capabilities = AllCapabilities()) {
    Connect(std::move(capabilities));
    OpenChannel(1);
    ports.AddQueue("q", kQueue, kShard);
  }
  void OpenChannel(uint16_t channel) {
    Send(channel, amqp::ChannelOpen{});
    Expect<amqp::ChannelOpenOk>(channel);
  }

  template <class M>
  void Send(uint16_t channel, const M& method) {
    ByteBuffer frame;
    amqp::AppendMethodFrame(frame, channel, method);
    Bytes(frame);
  }
  // As a shell does: what is not used is offered again.
  void Bytes(ByteView bytes) {
    unread_.append(bytes);
    Offer();
  }
  void Offer() {
    unread_.erase(0, session->OnBytes(unread_, now));
    Read();
  }
  void Publish(uint16_t channel, ByteView exchange, ByteView key, ByteView body,
               bool mandatory = false, const amqp::PropertiesView& properties = {}) {
    Bytes(Published(channel, exchange, key, body, mandatory, properties));
  }
  static ByteBuffer Published(uint16_t channel, ByteView exchange, ByteView key, ByteView body,
                              bool mandatory = false, const amqp::PropertiesView& properties = {}) {
    ByteBuffer encoded;
    amqp::AppendProperties(encoded, properties);
    ByteBuffer frames;
    amqp::AppendPublish(frames, channel, exchange, key, mandatory, encoded, body, 131072);
    return frames;
  }
  static amqp::PropertiesView Persistent() {
    amqp::PropertiesView properties;
    properties.delivery_mode = amqp::kPersistent;
    properties.flags = amqp::kHasDeliveryMode;
    return properties;
  }
  void Outcome(broker::Outcome outcome) {
    session->OnOutcome(outcome, now);
    Read();
  }
  void Reply(broker::TopologyReply reply) {
    reply.session = kSession;
    session->OnTopologyReply(std::move(reply), now);
    Read();
  }
  void Pass(Duration duration) {
    now += duration;
    session->OnTick(now);
    Read();
  }

  // Takes the next frame that the session has sent.
  SentFrame Next() {
    if (sent_.empty()) {
      ADD_FAILURE() << "the session has sent nothing";
      return {};
    }
    last_ = std::move(sent_.front());
    sent_.pop_front();
    return last_;
  }
  // The next frame must be this method; its views live until the next call.
  template <class M>
  M Expect(uint16_t channel) {
    const SentFrame frame = Next();
    EXPECT_EQ(amqp::MethodName(frame.method()), M::kName);
    EXPECT_EQ(frame.channel, channel);
    const auto method = amqp::Decode<M>(last_.payload);
    return method ? *method : M{};
  }
  // The next frames must be content; gives the body.
  std::string ExpectContent(uint16_t channel) {
    const SentFrame header = Next();
    EXPECT_EQ(header.type, amqp::FrameType::kHeader);
    EXPECT_EQ(header.channel, channel);
    const auto decoded = amqp::DecodeContentHeader(header.payload);
    if (!decoded) return "";
    properties_ = decoded->properties;
    std::string body;
    while (body.size() < decoded->body_size && !sent_.empty()) body += Next().payload;
    return body;
  }
  void ExpectSilence() {
    EXPECT_TRUE(sent_.empty()) << "sent " << amqp::MethodName(sent_.front().method());
  }
  void ExpectChannelClose(uint16_t channel, amqp::ReplyCode code, std::string_view text) {
    const auto close = Expect<amqp::ChannelClose>(channel);
    EXPECT_EQ(close.reply_code, static_cast<uint16_t>(code));
    EXPECT_EQ(close.reply_text, text);
  }
  void ExpectConnectionClose(amqp::ReplyCode code, std::string_view text) {
    const auto close = Expect<amqp::ConnectionClose>(0);
    EXPECT_EQ(close.reply_code, static_cast<uint16_t>(code));
    EXPECT_EQ(close.reply_text, text);
  }

  // The next command must be one of these.
  template <class C>
  C ExpectCommand(broker::ShardId shard = kShard) {
    if (ports.commands.empty()) {
      ADD_FAILURE() << "no command";
      return {};
    }
    FakePorts::Sent sent = std::move(ports.commands.front());
    ports.commands.pop_front();
    EXPECT_EQ(sent.shard, shard);
    EXPECT_EQ(sent.command.session, kSession);
    EXPECT_TRUE(std::holds_alternative<C>(sent.command.body)) << sent.command.body.index();
    if (!std::holds_alternative<C>(sent.command.body)) return {};
    return std::get<C>(std::move(sent.command.body));
  }
  void ExpectNoCommand() { EXPECT_EQ(ports.commands.size(), 0u); }
  template <class R>
  R ExpectRequest() {
    if (ports.requests.empty()) {
      ADD_FAILURE() << "no request";
      return {};
    }
    broker::TopologyRequest request = std::move(ports.requests.front());
    ports.requests.pop_front();
    EXPECT_TRUE(std::holds_alternative<R>(request.body));
    if (!std::holds_alternative<R>(request.body)) return {};
    return std::get<R>(std::move(request.body));
  }

  // Consumes from "q" as `tag`; gives the consumer's id.
  broker::ConsumerId Consume(uint16_t channel, ByteView tag, bool no_ack = false,
                             ByteView queue = "q") {
    Send(channel, amqp::BasicConsume{.queue = queue, .consumer_tag = tag, .no_ack = no_ack});
    consume_ = ExpectCommand<broker::ConsumeCommand>();
    Outcome(broker::Consuming{.channel = channel, .consumer = consume_.consumer});
    EXPECT_EQ(Expect<amqp::BasicConsumeOk>(channel).consumer_tag, tag);
    return consume_.consumer;
  }
  broker::Deliver Delivery(broker::ConsumerId consumer, broker::Sequence sequence,
                           ByteView body = "hello", uint16_t channel = 1) {
    broker::Deliver deliver;
    deliver.channel = channel;
    deliver.consumer = consumer;
    deliver.attempt = 1;
    deliver.shard = kShard;
    deliver.queue = kQueue;
    deliver.sequence = sequence;
    ByteBuffer properties;
    amqp::AppendProperties(properties, amqp::PropertiesView{});
    deliver.message = broker::Message::Make("", "q", properties, body, true);
    return deliver;
  }
  // Lets the shard deliver and reads it; gives the delivery tag.
  uint64_t Deliver(broker::ConsumerId consumer, broker::Sequence sequence, uint16_t channel = 1) {
    Outcome(Delivery(consumer, sequence, "hello", channel));
    const uint64_t tag = Expect<amqp::BasicDeliver>(channel).delivery_tag;
    EXPECT_EQ(ExpectContent(channel), "hello");
    return tag;
  }

  // Reads what the session has to say; without `write`, its socket has not taken it yet.
  void Read() {
    if (!write_) return;
    ByteBuffer bytes;
    bytes.swap(session->output());
    session->OnWritten(bytes.size(), now);
    received_ += bytes;
    while (true) {
      const amqp::FrameResult result = amqp::ParseFrame(received_, 0);
      if (result.status != amqp::FrameResult::Status::kFrame) break;
      sent_.push_back({result.frame.type, result.frame.channel, std::string(result.frame.payload)});
      received_.erase(0, result.consumed);
    }
  }

  FakePorts ports;
  access::AccountsRef accounts = access::Accounts::WithoutLimits();
  SessionOptions options;
  Time now{std::chrono::seconds(1'000'000)};
  std::unique_ptr<Session> session;
  broker::ConsumeCommand consume_;  // of the last Consume
  std::string properties_;          // of the last ExpectContent
  std::string received_;            // bytes that are no whole frame
  std::string unread_;              // what the session has not used yet
  bool write_ = true;

 private:
  std::deque<SentFrame> sent_;
  SentFrame last_;
};

}  // namespace landfall::session
