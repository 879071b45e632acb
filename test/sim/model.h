#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "amqp/methods_generated.h"
#include "amqp/properties.h"
#include "amqp/table.h"
#include "sim/node.h"
#include "sim/world.h"

// What the broker has promised, as its clients can know it. The model is told of everything that
// clients send and receive, and says so (Violation) when something was lost, invented, doubled, out
// of order, too early or forgotten.
//
// Where a client cannot know (a request under way, a connection that was cut), the model holds both
// for possible and demands only what holds in either case.
namespace landfall::sim {

inline constexpr uint64_t kForever = std::numeric_limits<uint64_t>::max();

// Whether something is there: not, certainly, or perhaps (a change was asked for and not answered).
enum class Presence { kAbsent, kPerhaps, kPresent };
struct Existence {
  Presence presence = Presence::kPerhaps;
  uint64_t stable_since = kForever;  // as kPresent
  uint64_t born = 0;
  uint64_t gone = kForever;

  void BecomePresent(uint64_t mark) {
    if (presence == Presence::kPresent) return;
    presence = Presence::kPresent;
    stable_since = mark;
  }
  void BecomeUncertain() {
    if (presence == Presence::kPresent) presence = Presence::kPerhaps;
  }
  void End(uint64_t mark) {
    if (presence == Presence::kAbsent) return;
    presence = Presence::kAbsent;
    gone = mark;
  }
  bool there() const { return presence == Presence::kPresent; }
};

struct QueueSpec {
  std::string name;
  bool durable = true;
  std::optional<Duration> lease;
  bool retries = false;  // x-delayed-retry-*, of type "all"
  Duration retry_min{0};
  Duration retry_max{0};
  double multiplier = 2.0;
  double jitter = 0.1;
  std::optional<uint32_t> limit;
  std::optional<Duration> ttl;
  std::optional<uint32_t> max_length;  // the head is dropped
  bool priorities = false;
  bool single_active = false;
  std::optional<std::string> dlx;
  std::optional<std::string> dlx_key;
  // Policies come and go that shorten it, let messages grow old and send them elsewhere.
  bool under_policies = false;
  // Consumed without acknowledgement: what was sent to nobody is lost, as asked for.
  bool consumed_without_ack = false;

  amqp::Table Arguments() const;
  bool counts_deliveries() const { return limit || retries || lease; }
  // Messages may end as dead letters without having been rejected.
  bool limited() const { return limit || retries || ttl || max_length || under_policies; }
  // The least time to rest after the n-th failure.
  Duration LeastDelay(uint32_t failures) const;
};

// A queue from its declaration to its deletion; another one of the same name is another queue.
struct QueueLife {
  const QueueSpec* spec = nullptr;
  Existence existence;
  bool leaking = false;     // a purge may be under way
  uint64_t leaky_upto = 0;  // messages sent before this mark may be gone
};

struct ExchangeLife {
  std::string name;
  std::string type;
  bool durable = true;
  Existence existence;
};

struct BindingLife {
  ExchangeLife* from = nullptr;
  QueueLife* queue = nullptr;  // one of the two
  ExchangeLife* exchange = nullptr;
  std::string key;
  Existence existence;
  bool durable() const {
    return from->durable && (queue != nullptr ? queue->spec->durable : exchange->durable);
  }
};

struct Message;

// Who holds deliveries: a channel. It gives all of them back at some moment.
struct Copy;
struct Holder {
  Time released = kNever;
  // Something was asked that may close the channel: the moment it was asked. kNever: nothing.
  Time risky_since = kNever;
  std::vector<Copy*> unlanded_acks;

  Time Released() const { return std::min(released, risky_since); }
};
using HolderRef = std::shared_ptr<Holder>;

// A message in one queue. A dead letter is told from the original by the queue that it died in.
struct Copy {
  Message* message = nullptr;
  QueueLife* origin = nullptr;
  QueueLife* at = nullptr;
  bool ack_sent = false;
  bool ack_landed = false;
  Time ack_landed_at = kNever;
  bool reject_sent = false;
  bool given_back = false;
  bool drained = false;
  // The last delivery.
  bool known = false;  // and no crash since that may have been forgotten
  bool known_landed = false;
  bool seen_in_this_life = false;
  uint64_t serial = 0;
  Time made{};
  uint32_t failures = 0;
  HolderRef holder;
  Time released = kNever;  // on its own
  std::optional<Duration> asked_delay;
  bool uncounted = false;  // given back unseen: not a failure
  bool released_landed = false;
  bool listed = false;  // in Model::unlanded_
};

struct Message {
  uint64_t index = 0;
  std::string exchange;
  std::string key;
  std::string body;
  bool persistent = true;
  bool mandatory = false;
  bool identified = false;
  Duration delay{0};  // x-delay: its exchange holds it back
  Time sent{};        // for the first time
  uint64_t first_sent = 0;
  uint64_t last_sent = 0;
  uint32_t sends = 0;
  uint64_t settled = kForever;  // when it was confirmed
  bool returned = false;
  uint64_t order_of = 0;  // which channel sent it
  uint64_t order = 0;
  // Queues that must have it (or have had it settled).
  std::set<QueueLife*> owed;
  std::map<std::pair<QueueLife*, QueueLife*>, std::unique_ptr<Copy>> copies;

  // No more than one is in any queue.
  bool unique() const { return sends == 1 || identified; }
};

struct Subscription {
  std::string queue;
  uint64_t asked = 0;
  bool no_ack = false;
  HolderRef holder;
  std::map<uint64_t, uint64_t> last_order;  // per publishing channel
};

struct Delivery {
  Copy* copy = nullptr;  // null: it is not certain which
  uint64_t serial = 0;
};

struct Statistics {
  uint64_t published = 0;
  uint64_t confirmed = 0;
  uint64_t duplicates = 0;
  uint64_t returned = 0;
  uint64_t delivered = 0;
  uint64_t redelivered = 0;
  uint64_t dead_letters = 0;
  uint64_t acks_landed = 0;
  uint64_t delays_checked = 0;
  uint64_t crashes = 0;
  uint64_t cuts = 0;
  uint64_t quiet_moments = 0;
  uint64_t checkpoints = 0;
  uint64_t steps = 0;
};

class Model {
 public:
  Model(World& world, Statistics& statistics) : world_(world), statistics_(statistics) {}

  // Topology; `lives` are owned here and stay to the end.
  QueueLife* NewQueue(const QueueSpec& spec);
  ExchangeLife* NewExchange(const std::string& name, const std::string& type, bool durable);
  BindingLife* NewBinding(ExchangeLife* from, QueueLife* queue, ExchangeLife* exchange,
                          const std::string& key);
  void QueueMayGo(QueueLife& queue);
  void QueueGone(QueueLife& queue);
  void ExchangeMayGo(ExchangeLife& exchange);
  void ExchangeGone(ExchangeLife& exchange);
  void PurgeAsked(QueueLife& queue) { queue.leaking = true; }
  void Purged(QueueLife& queue);
  // Nothing is known to be durable of what is not.
  QueueLife* CurrentQueue(const std::string& name);

  // Publishing.
  Message& NewMessage(std::string exchange, std::string key, size_t size, bool persistent,
                      bool mandatory, bool identified);
  void OnSent(Message& message, uint64_t channel, uint64_t order);
  // outcome: none when the client was told by basic.ack.
  void OnConfirmed(Message& message, std::optional<amqp::ConfirmOutcome> outcome);
  void OnReturned(Message& message);

  // Consuming.
  Delivery OnDelivered(Subscription& subscription, bool redelivered, ByteView properties,
                       ByteView body, Time made, bool drain);
  void OnAckSent(const Delivery& delivery, Holder& holder);
  void OnAckLanded(const Delivery& delivery);
  void OnRejectSent(const Delivery& delivery);
  // `since`: at the earliest; kNever for now.
  void OnGivenBack(const Delivery& delivery, std::optional<Duration> delay, Time since = kNever);
  // Given back unseen (landfall.release).
  void OnReleased(const Delivery& delivery);

  // Everything that was ever asked is on stable storage.
  void OnQuiet();
  // Everything that was not may be gone.
  void OnCrash();
  // The node has just recovered: looks into its queues.
  void CheckRecovered(Node& node);
  // At the end, when every queue has been emptied.
  void CheckDrained();

  void Fail(const std::string& what) const;
  static std::string Describe(const Message& message);

 private:
  enum class Certainty { kMust, kMay };
  void Route(const std::string& exchange, const std::string& key, Certainty certainty,
             uint64_t since, uint64_t until, std::set<QueueLife*>& to) const;
  std::set<QueueLife*> MayHave(const Message& message) const;
  bool Leaked(const Message& message, const QueueLife& queue) const;
  std::vector<QueueLife*> LivesOf(const std::string& name, uint64_t since) const;
  Copy& CopyOf(Message& message, QueueLife* origin, QueueLife* at);
  Message* Identify(ByteView body);
  void CheckDelay(const Message& message, const amqp::PropertiesView& properties, Time made) const;
  void CheckTimes(const Copy& copy, const Delivery& delivery, uint32_t failures, bool redelivered,
                  Time made);
  void Owe(Message& message, QueueLife* queue);
  // Whether the message has been settled in that queue as far as anybody knows.
  bool Settled(const Message& message, QueueLife* origin, QueueLife* at) const;
  bool Accounted(const Message& message, QueueLife* queue, bool alive,
                 const std::set<std::pair<QueueLife*, QueueLife*>>* found) const;
  std::vector<QueueLife*> DeadLetterQueues(const QueueSpec& spec, const std::string& key) const;

  World& world_;
  Statistics& statistics_;
  std::vector<std::unique_ptr<QueueLife>> queues_;
  std::vector<std::unique_ptr<ExchangeLife>> exchanges_;
  std::vector<std::unique_ptr<BindingLife>> bindings_;
  std::vector<std::unique_ptr<Message>> messages_;
  std::vector<Copy*> unlanded_;  // changed since the last quiet moment
  std::vector<HolderRef> holders_;
  uint64_t serials_ = 0;

 public:
  HolderRef NewHolder();
};

// Whether a topic binding's pattern takes a routing key. Written anew, not the broker's.
bool TopicMatches(std::string_view pattern, std::string_view key);

}  // namespace landfall::sim
