#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "amqp/frame.h"
#include "amqp/methods_generated.h"
#include "amqp/properties.h"
#include "base/bytes.h"

// A broker for the client's tests: bytes in, bytes out, with a switch for everything that can go
// wrong between the client and it. One vhost, one exchange (the default one), no permissions.
namespace landfall::client {

struct FakeMessage {
  std::string body;
  std::string properties;  // encoded
  std::string routing_key;
  bool redelivered = false;
  uint64_t arrival = 0;  // a requeued message goes back to its place
};

// What survives a crash, and what does not.
class FakeBroker {
 public:
  // --- What kind of broker it is
  bool extensions = true;
  bool dedup = true;
  bool durable = true;  // its queues are: confirms say "landed"
  uint16_t heartbeat = 60;
  uint32_t frame_max = 131072;
  std::string password = "guest";
  std::string mechanisms = "AMQPLAIN PLAIN";

  // --- What goes wrong with it
  bool deaf = false;          // reads and does nothing
  bool hold_landing = false;  // publishes and acks wait for Land()
  bool nack = false;          // refuses every publish with basic.nack
  bool quarrels = false;      // its queues have other arguments than those declared
  size_t max_message_bytes = SIZE_MAX;

  std::set<std::string> queue_names;

  // Bodies in the order in which they landed first, per queue; never shrinks.
  std::vector<std::string> landed;
  // Bodies whose ack has landed.
  std::vector<std::string> acked;
  // Bodies of deliveries that failed: refused, or given back other than by landfall.release.
  std::vector<std::string> failed;
  uint64_t publishes = 0;              // copies that came in
  uint64_t duplicates = 0;             // of them, recognised
  std::vector<std::string> published;  // bodies of all copies, in order

  // A message of somebody else's, landed and ready to be consumed.
  void Put(std::string body, const amqp::Properties& properties);
  // What waits to land does so, and its confirms go out.
  void Land();
  // Everything that has not landed is gone, and so are all connections.
  void Crash();

 private:
  friend class FakeSession;
  struct Identity {
    std::string producer;
    uint64_t epoch = 0;
    uint64_t sequence = 0;
  };
  struct Pending {
    std::weak_ptr<class FakeSession> session;
    uint64_t tag = 0;  // publish number, or delivery tag
    bool is_ack = false;
    bool multiple = false;
    bool notify = false;
    FakeMessage message;
    std::vector<FakeMessage> acked;
    std::optional<Identity> identity;
  };

  void LandOne(Pending& pending);
  void Requeue(FakeMessage message);
  void DeliverAll();

  std::vector<Pending> pending_;
  std::map<uint64_t, FakeMessage> ready_;  // by arrival
  uint64_t next_arrival_ = 1;
  std::map<std::string, std::set<uint64_t>> seen_;
  std::map<std::string, uint64_t> epochs_;
  std::vector<std::weak_ptr<FakeSession>> sessions_;
};

// One connection to it.
class FakeSession : public std::enable_shared_from_this<FakeSession> {
 public:
  static std::shared_ptr<FakeSession> Open(FakeBroker& broker);
  ~FakeSession();

  void Receive(ByteView bytes);
  ByteBuffer& output() { return output_; }
  bool closed() const { return closed_; }
  // The socket is gone: what is unacked goes back.
  void Disconnect();

  // The broker's own initiative.
  void CloseConnection(uint16_t code, const std::string& text);
  void CloseChannel(uint16_t code, const std::string& text);
  void CancelConsumer();
  void SendBlocked(bool blocked);
  void Confirm(uint64_t tag, bool multiple, amqp::ConfirmOutcome outcome);
  bool consuming() const { return !consumer_tag_.empty(); }
  size_t unacked() const { return unacked_.size(); }
  uint64_t heartbeats() const { return heartbeats_; }
  uint64_t ack_frames() const { return ack_frames_; }
  // (tag, milliseconds)
  const std::vector<std::pair<uint64_t, uint32_t>>& renewals() const { return renewals_; }
  const std::vector<std::pair<uint64_t, uint32_t>>& delays() const { return delays_; }

 private:
  friend class FakeBroker;
  explicit FakeSession(FakeBroker& broker) : broker_(broker) {}

  void OnMethod(uint16_t channel, ByteView payload);
  void OnPublish(ByteView properties, std::string body);
  void OnAck(uint64_t tag, bool multiple, bool notify);
  enum class Back { kFailed, kUnseen, kRejected };
  void GiveBack(uint64_t tag, Back how);
  void Deliver();
  template <class M>
  void Send(const M& method, uint16_t channel = 1);

  FakeBroker& broker_;
  ByteBuffer input_;
  ByteBuffer output_;
  bool saw_header_ = false;
  bool closed_ = false;
  bool deaf_ = false;
  bool channel_open_ = false;
  bool peer_extensions_ = false;
  bool confirms_ = false;
  uint64_t publish_number_ = 0;
  std::optional<std::pair<std::string, std::string>> publish_;  // exchange, routing key
  std::optional<std::pair<std::string, uint64_t>> header_;      // properties, bytes to come
  std::string body_;
  std::string consumer_tag_;
  bool no_ack_ = false;
  uint16_t prefetch_ = 0;
  uint64_t next_delivery_ = 1;
  std::map<uint64_t, FakeMessage> unacked_;
  uint64_t heartbeats_ = 0;
  uint64_t ack_frames_ = 0;
  std::vector<std::pair<uint64_t, uint32_t>> renewals_;
  std::vector<std::pair<uint64_t, uint32_t>> delays_;
};

}  // namespace landfall::client
