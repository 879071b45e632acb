// A live session with a client, shards and a topology that do what the input says: the client sends
// whole methods, broken ones and raw bytes, the others answer what they were asked, sooner or later
// and for better or worse. Nothing may make the session crash, hold more than it should, confirm
// what was not published, or stay when everybody has let go of it.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "amqp/frame.h"
#include "amqp/method.h"
#include "amqp/properties.h"
#include "base/assert.h"
#include "broker/exchange.h"
#include "session/session.h"

namespace landfall::session {
namespace {

constexpr broker::SessionId kSession = 1 << broker::kWorkerBits;
constexpr uint16_t kChannels = 3;

// The input as a source of decisions; zeros when it is used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return at_ >= size_; }
  uint8_t Byte() { return empty() ? 0 : data_[at_++]; }
  uint8_t Below(uint8_t bound) { return Byte() % bound; }
  bool Flip() { return (Byte() & 1) != 0; }
  ByteView Bytes(size_t n) {
    n = std::min(n, size_ - at_);
    const ByteView bytes(reinterpret_cast<const char*>(data_) + at_, n);
    at_ += n;
    return bytes;
  }

 private:
  const uint8_t* data_;
  size_t size_;
  size_t at_ = 0;
};

class World : public SessionPorts {
 public:
  explicit World(Choices& choices) : choices_(choices) {
    auto vhost = std::make_shared<broker::Vhost>();
    vhost->name = "/";
    for (broker::QueueId id = 1; id <= 3; ++id) {
      auto queue = std::make_shared<broker::QueueInfo>();
      queue->id = id;
      queue->shard = static_cast<broker::ShardId>(1 + id % 2);
      queue->vhost = "/";
      queue->name = "q" + std::to_string(id);
      queue->durable = id != 3;
      queues_.push_back(queue);
      vhost->queues.Set(queue->name, queue);
      snapshot_.queues_by_id.Set(id, queue);
    }
    auto fanout = std::make_shared<broker::Exchange>();
    fanout->name = "f";
    fanout->type = broker::ExchangeType::kFanout;
    for (const auto& queue : queues_) {
      broker::Binding binding;
      binding.source = "f";
      binding.queue = queue->target();
      fanout->Add(std::make_shared<broker::Binding>(binding));
    }
    vhost->exchanges.Set("f", fanout);
    snapshot_.vhosts.Set("/", vhost);
    snapshot_.version = 1;
    ByteBuffer properties;
    amqp::AppendProperties(properties, amqp::PropertiesView{});
    message_ = broker::Message::Make("", "q1", properties, "body", true);
    options_.max_suspended_bytes = 2000;
    options_.max_unlanded_messages = 20;
    options_.max_unwritten_bytes = 4000;
    options_.max_message_bytes = 300'000;
  }

  void Run() {
    session_ = std::make_unique<Session>(kSession, options_, Peer{.loopback = true}, *this, now_);
    if (choices_.Flip()) Handshake();
    while (!choices_.empty() && !session_->wants_close()) Step();
    // Whatever happened, it ends when all have answered.
    session_->OnDisconnected(now_);
    for (int i = 0; i < 10'000 && !session_->done(); ++i) {
      if (!Answer()) {
        now_ += std::chrono::seconds(10);
        session_->OnTick(now_);
      }
    }
    LANDFALL_ASSERT(session_->done());
  }

 private:
  void ToShard(broker::ShardId shard, broker::Command&& command) override {
    if (auto* publish = std::get_if<broker::PublishCommand>(&command.body)) {
      LANDFALL_ASSERT(publish->publish_seq == published_[shard] + 1);
      published_[shard] = publish->publish_seq;
    }
    commands_[shard].push_back(std::move(command));
  }
  void ToTopology(broker::TopologyRequest request) override {
    requests_.push_back(std::move(request));
  }
  void SendReply(DirectReply reply) override { replies_.push_back(std::move(reply)); }
  void Authenticate(broker::SessionId, Login) override {}
  const broker::TopologySnapshot& topology() const override { return snapshot_; }
  RouteCache& routes() override { return routes_; }

  template <class M>
  void Send(uint16_t channel, const M& method) {
    amqp::AppendMethodFrame(input_, channel, method);
  }

  void Handshake() {
    input_ = amqp::kProtocolHeader;
    extended_ = choices_.Flip();
    const ByteBuffer properties =
        amqp::Table{{"capabilities", amqp::Table{{"landfall.extensions", extended_},
                                                 {"consumer_cancel_notify", true}}}}
            .Encode();
    Send(0, amqp::ConnectionStartOk{.client_properties = amqp::TableView(properties),
                                    .mechanism = "PLAIN",
                                    .response = ByteView("\0u\0p", 4),
                                    .locale = "en_US"});
    Offer();
    session_->OnAuthenticated(
        {.ok = true, .reason = "", .accounts = access::Accounts::WithoutLimits()}, now_);
    Send(0, amqp::ConnectionTuneOk{.frame_max = 4096, .heartbeat = 10});
    Send(0, amqp::ConnectionOpen{.virtual_host = "/"});
    for (uint16_t c = 1; c <= kChannels; ++c) Send(c, amqp::ChannelOpen{});
    Offer();
    Write();
  }

  void Offer() {
    // As a shell bounds what it reads ahead.
    input_.erase(0, session_->OnBytes(input_, now_));
    if (input_.size() > 1'000'000) input_.clear();
  }

  void Write() {
    const size_t size = session_->output().size();
    received_ += session_->output();
    session_->output().clear();
    session_->OnWritten(size, now_);
    if (session_->wants_close()) return;
    // What the session says must be whole frames, and a client goes on after channel.close.
    size_t used = 0;
    while (true) {
      const amqp::FrameResult result = amqp::ParseFrame(ByteView(received_).substr(used), 4096);
      LANDFALL_ASSERT(result.status != amqp::FrameResult::Status::kError);
      if (result.status == amqp::FrameResult::Status::kNeedMore) break;
      used += result.consumed;
      Receive(result.frame);
    }
    LANDFALL_ASSERT(used == received_.size());
    received_.clear();
    Offer();
  }

  void Receive(const amqp::Frame& frame) {
    if (frame.type != amqp::FrameType::kMethod) return;
    const uint16_t channel = frame.channel;
    switch (amqp::PeekMethodId(frame.payload)) {
      case amqp::ChannelClose::kId:
        Send(channel, amqp::ChannelCloseOk{});
        // Unless our own close and open are on their way already.
        if (opens_[channel]++ == 0) Send(channel, amqp::ChannelOpen{});
        opens_[channel] = 1;
        confirmed_[channel] = 0;
        break;
      case amqp::ChannelCloseOk::kId:
        confirmed_[channel] = 0;
        break;
      case amqp::ChannelOpenOk::kId:
        if (opens_[channel] > 0) --opens_[channel];
        break;
      case amqp::BasicAck::kId: {
        const auto ack = amqp::Decode<amqp::BasicAck>(frame.payload);
        NoteConfirm(channel, ack->delivery_tag);
        break;
      }
      case amqp::LandfallConfirm::kId: {
        const auto confirm = amqp::Decode<amqp::LandfallConfirm>(frame.payload);
        NoteConfirm(channel, confirm->delivery_tag);
        break;
      }
      default:
        break;
    }
  }

  void NoteConfirm(uint16_t channel, uint64_t tag) {
    LANDFALL_ASSERT(tag > 0 && tag <= sent_publishes_);
    ++confirmed_[channel];
    LANDFALL_ASSERT(confirmed_[channel] <= sent_publishes_);
  }

  void Step() {
    switch (choices_.Below(12)) {
      case 0:
        // Rarely: most of it ends the connection.
        if (Rarely()) input_.append(choices_.Bytes(choices_.Byte()));
        Offer();
        break;
      case 1:
      case 2:
        Publish();
        Offer();
        break;
      case 3:
      case 4:
      case 5:
        Method();
        Offer();
        break;
      case 6:
      case 7:
      case 8:
        Answer();
        Offer();
        break;
      case 9:
        Deliver();
        break;
      case 10:
        Write();
        break;
      case 11:
        now_ += std::chrono::milliseconds(choices_.Byte() * 20);
        if (choices_.Below(8) == 0) session_->OnResourceAlarm(choices_.Flip(), "why", now_);
        session_->OnTick(now_);
        break;
    }
  }

  // What ends most connections, so that there is something to end.
  bool Rarely() { return choices_.Byte() == 1 && choices_.Flip(); }
  // Rarely 0, which is not for these methods.
  uint16_t AnyChannel() {
    const uint8_t n = choices_.Byte();
    return n == 0 && Rarely() ? 0 : n % kChannels + 1;
  }
  std::string AnyQueue() {
    const uint8_t n = choices_.Below(7);
    if (n == 6) return reply_address_;
    return n == 0 ? "" : "q" + std::to_string(n);
  }

  void Publish() {
    static constexpr ByteView kExchanges[] = {"", "f", "none"};
    amqp::PropertiesView properties;
    properties.delivery_mode = amqp::kPersistent;
    properties.flags = amqp::kHasDeliveryMode;
    const uint8_t extras = choices_.Byte();
    amqp::Table headers_table;
    if (extras % 4 == 0) {
      headers_table = {{"x-producer", "p"}, {"x-producer-sequence", int64_t{choices_.Below(4)}}};
    } else if (extras % 4 == 1) {
      headers_table = {{"CC", amqp::Array{AnyQueue()}}, {"BCC", amqp::Array{AnyQueue(), "q9"}}};
    }
    const ByteBuffer headers = headers_table.Encode();
    if (extras % 4 <= 1) properties.SetHeaders(amqp::TableView(headers));
    if (extras % 8 >= 6) {
      properties.flags |= amqp::kHasReplyTo;
      properties.reply_to = extras % 16 >= 14 ? ByteView(reply_address_) : kReplyQueue;
    }
    ByteBuffer encoded;
    amqp::AppendProperties(encoded, properties);
    const uint8_t exchange = choices_.Byte();
    ByteBuffer frames;
    amqp::AppendPublish(frames, std::max<uint16_t>(AnyChannel(), 1),
                        kExchanges[exchange % 32 == 0 ? 2 : exchange % 2], AnyQueue(),
                        choices_.Flip(), encoded, std::string(choices_.Byte() * 40, 'x'), 4096);
    if (Rarely()) frames.resize(frames.size() / 2);
    input_ += frames;
    ++sent_publishes_;
  }

  void Method() {
    const uint16_t channel = AnyChannel();
    const uint64_t tag = choices_.Below(20);
    const std::string queue = AnyQueue();
    const std::string name = "c" + std::to_string(choices_.Byte());
    uint8_t method = choices_.Below(32);
    // Those are known by negotiation only.
    if (method >= 19 && method <= 22 && !extended_ && !Rarely()) method = 12;
    switch (method) {
      case 0:
        if (Rarely()) Send(channel, amqp::ChannelOpen{});
        return;
      case 1:
        Send(channel, amqp::ChannelClose{.reply_code = 200});
        ++opens_[channel];
        return Send(channel, amqp::ChannelOpen{});
      case 2:
        if (Rarely()) Send(channel, amqp::ChannelCloseOk{});
        return;
      case 3:
        return Send(channel, amqp::QueueDeclare{.queue = queue, .no_wait = choices_.Flip()});
      case 4:
        return Send(channel, amqp::QueueBind{.queue = queue, .exchange = "f"});
      case 5:
        return Send(channel, amqp::QueuePurge{.queue = queue, .no_wait = choices_.Flip()});
      case 6:
        return Send(channel, amqp::QueueDelete{.queue = queue});
      case 7:
        return Send(channel, amqp::ExchangeDeclare{.exchange = "e", .type = "topic"});
      case 8:
      case 9:
        return Send(channel, amqp::BasicConsume{.queue = queue,
                                                .consumer_tag = name,
                                                .no_ack = choices_.Flip(),
                                                .no_wait = choices_.Flip()});
      case 10:
        return Send(channel, amqp::BasicCancel{.consumer_tag = name});
      case 11:
        return Send(channel, amqp::BasicGet{.queue = queue, .no_ack = choices_.Flip()});
      case 12:
      case 13:
        return Send(channel, amqp::BasicAck{.delivery_tag = tag, .multiple = choices_.Flip()});
      case 14:
        return Send(channel, amqp::BasicNack{.delivery_tag = tag,
                                             .multiple = choices_.Flip(),
                                             .requeue = choices_.Flip()});
      case 15:
        return Send(channel, amqp::BasicReject{.delivery_tag = tag});
      case 16:
        return Send(channel, amqp::BasicRecover{.requeue = true});
      case 17:
        return Send(channel,
                    amqp::BasicQos{.prefetch_count = choices_.Below(5), .global = choices_.Flip()});
      case 18:
        return Send(channel, amqp::ConfirmSelect{});
      case 19:
        return Send(channel, amqp::LandfallAck{.delivery_tag = tag});
      case 20:
        return Send(channel, amqp::LandfallAck{.delivery_tag = tag, .multiple = true});
      case 21:
        return Send(channel, amqp::LandfallNack{.delivery_tag = tag, .delay_ms = 5});
      case 22:
        if (choices_.Flip()) {
          return Send(channel, amqp::LandfallRelease{.delivery_tag = tag, .multiple = true});
        }
        return Send(channel, amqp::LandfallRenew{.delivery_tag = tag, .lease_ms = 5});
      case 23:
        return amqp::AppendHeartbeatFrame(input_);
      case 24:
        if (Rarely()) {
          amqp::AppendFrame(input_, amqp::FrameType::kMethod, channel,
                            choices_.Bytes(choices_.Below(16)));
        }
        return;
      case 25:
        if (Rarely()) Send(channel, amqp::TxSelect{});
        return;
      case 26:
        // Of a channel that never became transactional it is an error, and those are dull.
        if (choices_.Flip() && Rarely()) Send(channel, amqp::TxSelect{});
        return Send(channel, amqp::TxCommit{});
      case 27:
        return Send(channel, amqp::TxRollback{});
      case 28:
        return Send(channel,
                    amqp::BasicConsume{.queue = kReplyQueue, .consumer_tag = name, .no_ack = true});
      case 29:
        return Send(channel, amqp::QueueDeclare{.queue = kReplyQueue, .passive = choices_.Flip()});
      case 30:
        return Send(channel, amqp::QueueUnbind{.queue = queue, .exchange = "f"});
      default:
        if (Rarely()) Send(0, amqp::ConnectionClose{.reply_code = 200});
    }
  }

  void Tell(broker::Outcome outcome) { session_->OnOutcome(outcome, now_); }

  // Lets one shard, or the topology, do the next thing it was asked for.
  bool Answer() {
    if (!replies_.empty()) {
      const DirectReply reply = std::move(replies_.front());
      replies_.pop_front();
      const bool delivered = session_->OnDirectReply(reply, now_);
      session_->OnReplySettled(Settled(reply, delivered), now_);
      return true;
    }
    if (!requests_.empty() && (choices_.Flip() || (commands_[1].empty() && commands_[2].empty()))) {
      const broker::TopologyRequest request = std::move(requests_.front());
      requests_.pop_front();
      if (std::holds_alternative<broker::SessionEnded>(request.body)) return true;
      broker::TopologyReply reply;
      reply.session = kSession;
      reply.channel = request.channel;
      if (choices_.Below(8) == 0) {
        reply.error = !Rarely() ? amqp::ReplyCode::kNotFound : amqp::ReplyCode::kNotAllowed;
        reply.text = "NO";
      } else if (std::holds_alternative<broker::DeclareQueue>(request.body)) {
        reply.queue = queues_[choices_.Below(3)];
      }
      session_->OnTopologyReply(std::move(reply), now_);
      return true;
    }
    broker::ShardId shard = choices_.Flip() ? 1 : 2;
    if (commands_[shard].empty()) shard = static_cast<broker::ShardId>(3 - shard);
    if (commands_[shard].empty()) return false;
    broker::Command command = std::move(commands_[shard].front());
    commands_[shard].pop_front();
    std::visit([&](auto& body) { AnswerTo(shard, body); }, command.body);
    return true;
  }

  template <class C>
  void AnswerTo(broker::ShardId, C&) {}  // no answer
  void AnswerTo(broker::ShardId shard, broker::PublishCommand& c) {
    // As a service learns where to reply.
    const ByteView reply_to = amqp::DecodeProperties(c.message->properties())->reply_to;
    if (!reply_to.empty()) reply_address_ = std::string(reply_to);
    const uint8_t fate = choices_.Below(8);
    if (fate < 3) Tell(broker::PublishFate{shard, c.publish_seq, static_cast<broker::Fate>(fate)});
    Tell(broker::Published{shard, c.publish_seq});
  }
  void AnswerTo(broker::ShardId, broker::SettleCommand& c) {
    LANDFALL_ASSERT(c.first <= c.last && c.first > 0 && c.last <= sequence_);
    if (c.notify_token != 0) Tell(broker::AckLanded{c.channel, c.notify_token});
  }
  void AnswerTo(broker::ShardId shard, broker::ConsumeCommand& c) {
    broker::Consuming consuming{.channel = c.channel, .consumer = c.consumer};
    if (choices_.Below(8) == 0) {
      consuming.refused = amqp::ReplyCode::kAccessRefused;
      consuming.text = "ACCESS_REFUSED - no";
    } else {
      consumers_.push_back({shard, c});
    }
    Tell(std::move(consuming));
  }
  void AnswerTo(broker::ShardId, broker::CancelCommand& c) {
    std::erase_if(consumers_, [&](const auto& x) { return x.second.consumer == c.consumer; });
    Tell(broker::Cancelled{c.channel, c.consumer, true});
  }
  void AnswerTo(broker::ShardId shard, broker::GetCommand& c) {
    broker::Got got{.channel = c.channel, .shard = shard, .queue = c.queue};
    const uint8_t what = choices_.Below(4);
    got.queue_gone = what == 0;
    if (what > 1) {
      got.attempt = 1;
      got.sequence = ++sequence_;
      got.message = message_;
    }
    Tell(std::move(got));
  }
  void AnswerTo(broker::ShardId shard, broker::CloseChannelCommand& c) {
    std::erase_if(consumers_, [&](const auto& x) {
      return x.first == shard && (c.channel == 0 || x.second.channel == c.channel);
    });
    Tell(broker::ChannelClosed{shard, c.channel});
  }
  void AnswerTo(broker::ShardId, broker::PurgeCommand& c) {
    Tell(broker::Purged{.channel = c.channel, .queue_gone = choices_.Below(4) == 0});
  }
  void AnswerTo(broker::ShardId, broker::EchoCommand& c) { Tell(broker::Echo{c.channel}); }
  void AnswerTo(broker::ShardId, broker::CountCommand& c) {
    Tell(broker::QueueCounts{.channel = c.channel, .queue_gone = choices_.Below(4) == 0});
  }

  // A shard does something that nobody asked for.
  void Deliver() {
    if (consumers_.empty()) return;
    const auto [shard, c] = consumers_[choices_.Byte() % consumers_.size()];
    switch (choices_.Below(8)) {
      case 0:
        Tell(broker::WantGrants{c.channel, c.consumer, choices_.Byte()});
        break;
      case 1:
        Tell(broker::ReturnGrants{c.channel, c.consumer, choices_.Below(4)});
        break;
      case 2:
        Tell(broker::LeaseExpired{c.channel, c.consumer, c.queue,
                                  sequence_ - std::min<uint64_t>(sequence_, choices_.Below(8)), 1});
        break;
      case 3:
        if (choices_.Flip()) break;
        std::erase_if(consumers_, [&](const auto& x) { return x.second.consumer == c.consumer; });
        Tell(broker::Cancelled{c.channel, c.consumer, false});
        break;
      default:
        Tell(broker::Deliver{.channel = c.channel,
                             .tell_count = true,
                             .consumer = c.consumer,
                             .attempt = 1,
                             .delivery_count = choices_.Below(2),
                             .shard = shard,
                             .queue = c.queue,
                             .sequence = ++sequence_,
                             .message = message_});
    }
  }

  Choices& choices_;
  SessionOptions options_;
  Time now_{std::chrono::seconds(1000)};
  broker::TopologySnapshot snapshot_;
  RouteCache routes_;
  std::vector<broker::QueueInfoRef> queues_;
  broker::MessageRef message_;
  std::string reply_address_;  // of the last message that had one
  std::unique_ptr<Session> session_;
  ByteBuffer input_;
  ByteBuffer received_;
  uint64_t sent_publishes_ = 0;
  uint64_t confirmed_[kChannels + 1] = {};
  int opens_[kChannels + 1] = {};  // channel.open under way
  bool extended_ = false;
  std::deque<broker::Command> commands_[3];  // by shard: 1 and 2
  uint64_t published_[3] = {};
  std::deque<broker::TopologyRequest> requests_;
  std::deque<DirectReply> replies_;
  std::vector<std::pair<broker::ShardId, broker::ConsumeCommand>> consumers_;
  broker::Sequence sequence_ = 0;
};

}  // namespace
}  // namespace landfall::session

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  landfall::session::Choices choices(data, size);
  landfall::session::World(choices).Run();
  return 0;
}
