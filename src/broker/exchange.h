#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "amqp/table.h"
#include "base/cow_map.h"
#include "broker/destinations.h"
#include "broker/topic_trie.h"
#include "broker/types.h"

namespace landfall::broker {

enum class ExchangeType : uint8_t {
  kDirect,
  kFanout,
  kTopic,
  kHeaders,
  kConsistentHash,
  kDelayed,  // holds messages back, then routes like one of the others: see delayed_exchange.h
};

// "direct", "fanout", "topic", "headers", "x-consistent-hash", "x-delayed-message".
std::string_view ExchangeTypeName(ExchangeType type);
std::optional<ExchangeType> ParseExchangeType(std::string_view name);

// Leads from an exchange to a queue or to another exchange of the same vhost. Two that differ in
// anything but `durable` are two bindings.
struct Binding {
  std::string source;
  bool to_exchange = false;
  std::string destination;  // to_exchange: its name; empty otherwise
  QueueTarget queue;        // otherwise
  std::string routing_key;
  amqp::Table arguments;
  bool durable = false;  // both ends survive a restart, so it does too

  // Differs between any two bindings of one source: destination, routing key and arguments (their
  // order does not matter).
  std::string Identity() const;
};
using BindingRef = std::shared_ptr<const Binding>;

// An exchange with the bindings it is the source of. A value: a copy shares all bindings with its
// original and costs the same however many there are.
//
// Thread: the topology changes its own; what others see is const.
class Exchange {
 public:
  std::string name;
  ExchangeType type = ExchangeType::kDirect;
  bool durable = false;
  bool auto_delete = false;
  bool internal = false;
  amqp::Table arguments;
  // Of one of type kDelayed: by which rules it routes, and where messages rest until then.
  ExchangeType delayed_type = ExchangeType::kDirect;
  QueueTarget delay_queue;
  // Where messages go that no binding takes: alternate-exchange of the arguments or of the policy
  // that applies, or empty.
  std::string alternate;

  // By which rules bindings are matched; never kDelayed.
  ExchangeType routing() const { return type == ExchangeType::kDelayed ? delayed_type : type; }

  // False, and nothing changes, if such a binding is there already (or: is not there).
  bool Add(BindingRef binding);
  bool Remove(const Binding& binding);

  // By Binding::Identity().
  const CowMap<std::string, BindingRef>& bindings() const { return bindings_; }

  // The routing index; which one is in use follows from the type.
  const Destinations* FindDirect(ByteView routing_key) const { return by_key_.Find(routing_key); }
  const Destinations& fanout() const { return fanout_; }
  const TopicTrie& topics() const { return topics_; }

 private:
  CowMap<std::string, BindingRef> bindings_;
  CowMap<std::string, Destinations> by_key_;
  Destinations fanout_;
  TopicTrie topics_;
};
using ExchangeRef = std::shared_ptr<const Exchange>;

// Whether a message with these headers satisfies the arguments of a binding of a headers exchange:
// x-match all (the default) or any, each also as …-with-x, which looks at x- arguments too.
bool HeadersMatch(const amqp::Table& binding_arguments, const amqp::Table& headers);
// What is wrong with the arguments of a binding of a headers exchange; nothing mostly.
std::optional<std::string> CheckHeadersBinding(const amqp::Table& arguments);

}  // namespace landfall::broker
