#include "apps/perf_fake_broker.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "amqp/method.h"
#include "amqp/properties.h"
#include "amqp/table.h"
#include "base/assert.h"

namespace landfall::apps {
namespace {

constexpr uint16_t kChannel = 1;
constexpr uint32_t kFrameMax = 131072;
constexpr size_t kReadSize = 256 << 10;
constexpr int kPollMilliseconds = 5;

}  // namespace

PerfFakeBroker::PerfFakeBroker(std::function<Fate(uint64_t)> fate)
    : fate_(std::move(fate)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  LANDFALL_ASSERT(bind(listener_, any, sizeof address) == 0);
  LANDFALL_ASSERT(listen(listener_, SOMAXCONN) == 0);
  socklen_t size = sizeof address;
  LANDFALL_ASSERT(getsockname(listener_, any, &size) == 0);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread(&PerfFakeBroker::Run, this);
}

PerfFakeBroker::~PerfFakeBroker() {
  stop_ = true;
  thread_.join();
  for (auto& peer : peers_) close(peer->fd);
  close(listener_);
}

std::string PerfFakeBroker::Url() const {
  return "amqp://guest:guest@127.0.0.1:" + std::to_string(port_) + "/";
}

void PerfFakeBroker::Run() {
  std::vector<pollfd> polled;
  while (!stop_) {
    polled.assign(1, {.fd = listener_, .events = POLLIN, .revents = 0});
    for (const auto& peer : peers_) {
      const int events = (peer->deaf ? 0 : POLLIN) | (peer->out.empty() ? 0 : POLLOUT);
      polled.push_back({.fd = peer->fd, .events = static_cast<short>(events), .revents = 0});
    }
    poll(polled.data(), polled.size(), kPollMilliseconds);
    const size_t known = peers_.size();
    for (size_t i = 0; i < known; ++i) {
      if ((polled[i + 1].revents & ~POLLOUT) == 0) continue;
      if (Read(*peers_[i])) continue;
      close(peers_[i]->fd);
      peers_[i].reset();
    }
    std::erase(peers_, nullptr);
    Accept();
    Deliver();
    for (auto& peer : peers_) {
      if (peer->out.empty()) continue;
      const ssize_t n = send(peer->fd, peer->out.data(), peer->out.size(), MSG_NOSIGNAL);
      if (n > 0) peer->out.erase(0, static_cast<size_t>(n));
    }
  }
}

void PerfFakeBroker::Accept() {
  const int fd = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
  if (fd < 0) return;
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peers_.push_back(std::make_unique<Peer>(Peer{.fd = fd}));
}

// False if the peer is done with.
bool PerfFakeBroker::Read(Peer& peer) {
  const size_t before = peer.in.size();
  peer.in.resize(before + kReadSize);
  const ssize_t n = recv(peer.fd, peer.in.data() + before, kReadSize, 0);
  peer.in.resize(before + static_cast<size_t>(n > 0 ? n : 0));
  if (n == 0) return false;
  if (!peer.greeted) {
    if (amqp::ParseProtocolHeader(peer.in) != amqp::HeaderStatus::kOk) return true;
    peer.in.erase(0, amqp::kProtocolHeader.size());
    peer.greeted = true;
    const ByteBuffer properties = amqp::Table{{"product", "Fake"}, {"version", "1"}}.Encode();
    amqp::AppendMethodFrame(peer.out, 0,
                            amqp::ConnectionStart{.version_minor = 9,
                                                  .server_properties = amqp::TableView(properties),
                                                  .mechanisms = "PLAIN",
                                                  .locales = "en_US"});
  }
  ByteView rest = peer.in;
  while (true) {
    const amqp::FrameResult r = amqp::ParseFrame(rest, kFrameMax);
    LANDFALL_ASSERT(r.status != amqp::FrameResult::Status::kError);
    if (r.status != amqp::FrameResult::Status::kFrame) break;
    if (!OnFrame(peer, r.frame)) return false;
    rest.remove_prefix(r.consumed);
  }
  peer.in.erase(0, peer.in.size() - rest.size());
  Confirm(peer);
  return true;
}

bool PerfFakeBroker::OnFrame(Peer& peer, const amqp::Frame& frame) {
  if (frame.type == amqp::FrameType::kMethod) {
    OnMethod(peer, frame.payload);
    return true;
  }
  if (frame.type == amqp::FrameType::kHeader) {
    peer.body_left = amqp::DecodeContentHeader(frame.payload)->body_size;
    peer.body.clear();
  } else {
    peer.body_left -= frame.payload.size();
    peer.body += frame.payload;
  }
  return peer.body_left != 0 || OnMessage(peer);
}

void PerfFakeBroker::OnMethod(Peer& peer, ByteView payload) {
  const auto answer = [&](const auto& method) {
    amqp::AppendMethodFrame(peer.out, kChannel, method);
  };
  const auto answer_connection = [&](const auto& method) {
    amqp::AppendMethodFrame(peer.out, 0, method);
  };
  switch (amqp::PeekMethodId(payload)) {
    case amqp::ConnectionStartOk::kId:
      return answer_connection(amqp::ConnectionTune{.frame_max = kFrameMax});
    case amqp::ConnectionOpen::kId:
      return answer_connection(amqp::ConnectionOpenOk{});
    case amqp::ConnectionClose::kId:
      return answer_connection(amqp::ConnectionCloseOk{});
    case amqp::ChannelOpen::kId:
      return answer(amqp::ChannelOpenOk{});
    case amqp::QueueDeclare::kId:
      return answer(amqp::QueueDeclareOk{});
    case amqp::QueueDelete::kId:
      return answer(amqp::QueueDeleteOk{});
    case amqp::BasicQos::kId:
      return answer(amqp::BasicQosOk{});
    case amqp::ConfirmSelect::kId:
      peer.confirms = true;
      return answer(amqp::ConfirmSelectOk{});
    case amqp::BasicConsume::kId:
      peer.consumes = true;
      return;
    case amqp::BasicPublish::kId:
      peer.routing_key = amqp::Decode<amqp::BasicPublish>(payload)->routing_key;
      return;
    case amqp::BasicAck::kId: {
      const uint64_t tag = amqp::Decode<amqp::BasicAck>(payload)->delivery_tag;
      LANDFALL_ASSERT(tag > peer.acked && tag <= peer.delivered);
      acked_ += tag - peer.acked;
      peer.acked = tag;
      return;
    }
    default:
      return;
  }
}

bool PerfFakeBroker::OnMessage(Peer& peer) {
  ++peer.published;
  ++peer.unconfirmed;
  switch (fate_(messages_++)) {
    case Fate::kRepeat:
      queue_.push_back(peer.body);
      [[fallthrough]];
    case Fate::kDeliver:
      queue_.push_back(std::move(peer.body));
      return true;
    case Fate::kLose:
      return true;
    case Fate::kNack:
      --peer.unconfirmed;
      --peer.published;
      Confirm(peer);
      ++peer.published;
      amqp::AppendMethodFrame(peer.out, kChannel, amqp::BasicNack{.delivery_tag = peer.published});
      return true;
    case Fate::kReturn:
      amqp::AppendMethodFrame(
          peer.out, kChannel,
          amqp::BasicReturn{
              .reply_code = 312, .reply_text = "NO_ROUTE", .routing_key = peer.routing_key});
      amqp::AppendContent(peer.out, kChannel, ByteView("\0\0", 2), peer.body, kFrameMax);
      return true;
    case Fate::kIgnore:
      // What came before is confirmed; this one never will be, nor can anything after it be
      // confirmed as "multiple".
      --peer.unconfirmed;
      --peer.published;
      Confirm(peer);
      ++peer.published;
      return true;
    case Fate::kDeafen:
      peer.deaf = true;
      return true;
    case Fate::kHangUp:
      return false;
  }
  return false;
}

void PerfFakeBroker::Confirm(Peer& peer) {
  if (!peer.confirms || peer.unconfirmed == 0) return;
  amqp::AppendMethodFrame(
      peer.out, kChannel,
      amqp::BasicAck{.delivery_tag = peer.published, .multiple = peer.unconfirmed > 1});
  peer.unconfirmed = 0;
}

void PerfFakeBroker::Deliver() {
  std::vector<Peer*> consumers;
  for (auto& peer : peers_) {
    if (peer->consumes) consumers.push_back(peer.get());
  }
  if (consumers.empty()) return;
  for (size_t i = 0; !queue_.empty(); ++i) {
    Peer& peer = *consumers[i % consumers.size()];
    amqp::AppendDelivery(
        peer.out, kChannel,
        {.consumer_tag = "fake", .delivery_tag = ++peer.delivered, .routing_key = "perf-0"},
        ByteView("\0\0", 2), queue_.front(), kFrameMax);
    queue_.pop_front();
  }
}

}  // namespace landfall::apps
