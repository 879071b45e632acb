#include "broker/topology_record.h"

#include <fmt/format.h>

#include <utility>

#include "base/wire.h"

namespace landfall::broker {
namespace {

enum class Type : uint8_t {
  kVhostCreated = 1,
  kExchangeDeclared = 2,
  kExchangeDeleted = 3,
  kQueueDeclared = 4,
  kQueueDeleted = 5,
  kBound = 6,
  kUnbound = 7,
  kIdsReserved = 8,
  kCheckpointEnd = 9,
  kPolicySet = 10,
  kPolicyCleared = 11,
  kVhostDeleted = 12,
  kQueuePaused = 13,
};

enum Flag : uint8_t { kDurable = 1, kAutoDelete = 2, kInternal = 4, kHoldsBack = 8 };

// Collects the fields of one record, then puts their length in front.
class RecordWriter {
 public:
  RecordWriter(ByteBuffer& out, Type type) : out_(out) { Byte(static_cast<uint8_t>(type)); }
  RecordWriter(const RecordWriter&) = delete;
  RecordWriter& operator=(const RecordWriter&) = delete;
  ~RecordWriter() { AppendSized(out_, fields_); }

  void Byte(uint8_t v) { fields_.push_back(static_cast<char>(v)); }
  void Number(uint64_t v) { AppendVarint(fields_, v); }
  void String(std::string_view v) { AppendSized(fields_, v); }
  void Arguments(const amqp::Table& v) { String(v.empty() ? ByteBuffer() : v.Encode()); }

 private:
  ByteBuffer& out_;
  ByteBuffer fields_;
};

// Reads fields; a broken one marks the reader as failed.
class RecordReader {
 public:
  explicit RecordReader(ByteView fields) : in_(fields) {}

  uint8_t Byte() { return in_.Big<uint8_t>(); }
  uint64_t Number() { return in_.Varint(); }
  std::string String() { return std::string(in_.Sized()); }
  amqp::Table Arguments() {
    Result<amqp::Table> table = amqp::DecodeTable(in_.Sized());
    if (table) return *std::move(table);
    in_.Fail();
    return {};
  }
  ExchangeType TypeOfExchange() {
    const uint8_t type = Byte();
    if (type > static_cast<uint8_t>(ExchangeType::kDelayed)) in_.Fail();
    return static_cast<ExchangeType>(type);
  }
  PolicyScope Scope() {
    const uint8_t scope = Byte();
    if (scope > static_cast<uint8_t>(PolicyScope::kExchanges)) in_.Fail();
    return static_cast<PolicyScope>(scope);
  }
  ShardId Shard() {
    const uint64_t shard = Number();
    if (shard > UINT16_MAX) in_.Fail();
    return static_cast<ShardId>(shard);
  }
  bool complete() const { return !in_.failed() && in_.done(); }

 private:
  ByteReader in_;
};

ExchangeDeclared ReadExchangeDeclared(RecordReader& in) {
  ExchangeDeclared r;
  r.vhost = in.String();
  r.name = in.String();
  r.type = in.TypeOfExchange();
  const uint8_t flags = in.Byte();
  r.durable = flags & kDurable;
  r.auto_delete = flags & kAutoDelete;
  r.internal = flags & kInternal;
  r.arguments = in.Arguments();
  return r;
}

QueueDeclared ReadQueueDeclared(RecordReader& in) {
  QueueDeclared r;
  r.vhost = in.String();
  r.name = in.String();
  r.id = in.Number();
  r.shard = in.Shard();
  const uint8_t flags = in.Byte();
  r.durable = flags & kDurable;
  r.auto_delete = flags & kAutoDelete;
  r.holds_back = flags & kHoldsBack;
  r.arguments = in.Arguments();
  return r;
}

BindingChanged ReadBinding(RecordReader& in, bool bound) {
  BindingChanged r;
  r.bound = bound;
  r.vhost = in.String();
  r.source = in.String();
  r.to_exchange = in.Byte() != 0;
  if (r.to_exchange) {
    r.destination = in.String();
  } else {
    r.queue = in.Number();
  }
  r.routing_key = in.String();
  r.arguments = in.Arguments();
  return r;
}

PolicySet ReadPolicySet(RecordReader& in) {
  PolicySet r;
  r.vhost = in.String();
  r.policy.name = in.String();
  r.policy.by_operator = in.Byte() != 0;
  r.policy.pattern = in.String();
  r.policy.apply_to = in.Scope();
  r.policy.priority = static_cast<int64_t>(in.Number());
  r.policy.definition = in.Arguments();
  return r;
}

Result<TopologyRecord> ReadRecordOf(uint8_t type, RecordReader& in) {
  switch (static_cast<Type>(type)) {
    case Type::kVhostCreated:
      return VhostCreated{in.String()};
    case Type::kVhostDeleted:
      return VhostDeleted{in.String()};
    case Type::kExchangeDeclared:
      return ReadExchangeDeclared(in);
    case Type::kExchangeDeleted: {
      ExchangeDeleted r;
      r.vhost = in.String();
      r.name = in.String();
      return r;
    }
    case Type::kQueueDeclared:
      return ReadQueueDeclared(in);
    case Type::kQueueDeleted:
      return QueueDeleted{in.Number()};
    case Type::kQueuePaused: {
      QueuePaused r;
      r.id = in.Number();
      r.paused = in.Byte() != 0;
      return r;
    }
    case Type::kBound:
      return ReadBinding(in, true);
    case Type::kUnbound:
      return ReadBinding(in, false);
    case Type::kIdsReserved:
      return IdsReserved{in.Number()};
    case Type::kCheckpointEnd:
      return CheckpointEnd{in.Number()};
    case Type::kPolicySet:
      return ReadPolicySet(in);
    case Type::kPolicyCleared: {
      PolicyCleared r;
      r.vhost = in.String();
      r.name = in.String();
      r.by_operator = in.Byte() != 0;
      return r;
    }
  }
  return Fail(ErrorCode::kCorrupt,
              fmt::format("the topology has a record of type {}, which this version does not know; "
                          "was the data written by a newer one?",
                          type));
}

std::string_view KindOfPolicy(bool by_operator) {
  return by_operator ? "operator policy" : "policy";
}

struct Describer {
  std::string operator()(const VhostCreated& r) const {
    return fmt::format("vhost '{}' created", r.vhost);
  }
  std::string operator()(const VhostDeleted& r) const {
    return fmt::format("vhost '{}' deleted", r.vhost);
  }
  std::string operator()(const ExchangeDeclared& r) const {
    return fmt::format("{} exchange '{}' declared in '{}'", ExchangeTypeName(r.type), r.name,
                       r.vhost);
  }
  std::string operator()(const ExchangeDeleted& r) const {
    return fmt::format("exchange '{}' deleted from '{}'", r.name, r.vhost);
  }
  std::string operator()(const QueueDeclared& r) const {
    return fmt::format("{} '{}' declared in '{}' with id {} in shard {}",
                       r.holds_back ? "queue of the delayed exchange" : "queue", r.name, r.vhost,
                       r.id, r.shard);
  }
  std::string operator()(const QueueDeleted& r) const {
    return fmt::format("queue {} deleted", r.id);
  }
  std::string operator()(const QueuePaused& r) const {
    return r.paused ? fmt::format("deliveries of queue {} paused", r.id)
                    : fmt::format("deliveries of queue {} resumed", r.id);
  }
  std::string operator()(const BindingChanged& r) const {
    const std::string destination = r.to_exchange ? fmt::format("exchange '{}'", r.destination)
                                                  : fmt::format("queue {}", r.queue);
    return fmt::format("{} {} exchange '{}' with key '{}' in '{}'", destination,
                       r.bound ? "bound to" : "unbound from", r.source, r.routing_key, r.vhost);
  }
  std::string operator()(const IdsReserved& r) const {
    return fmt::format("queue ids below {} reserved", r.upto);
  }
  std::string operator()(const CheckpointEnd& r) const {
    return fmt::format("end of a checkpoint of {} records", r.records);
  }
  std::string operator()(const PolicySet& r) const {
    return fmt::format("{} '{}' set in '{}' for {} that match '{}'",
                       KindOfPolicy(r.policy.by_operator), r.policy.name, r.vhost,
                       PolicyScopeName(r.policy.apply_to), r.policy.pattern);
  }
  std::string operator()(const PolicyCleared& r) const {
    return fmt::format("{} '{}' cleared from '{}'", KindOfPolicy(r.by_operator), r.name, r.vhost);
  }
};

}  // namespace

void AppendVhostCreated(ByteBuffer& out, std::string_view vhost) {
  RecordWriter(out, Type::kVhostCreated).String(vhost);
}

void AppendVhostDeleted(ByteBuffer& out, std::string_view vhost) {
  RecordWriter(out, Type::kVhostDeleted).String(vhost);
}

void AppendExchangeDeclared(ByteBuffer& out, std::string_view vhost, const Exchange& exchange) {
  RecordWriter w(out, Type::kExchangeDeclared);
  w.String(vhost);
  w.String(exchange.name);
  w.Byte(static_cast<uint8_t>(exchange.type));
  w.Byte((exchange.durable ? kDurable : 0) | (exchange.auto_delete ? kAutoDelete : 0) |
         (exchange.internal ? kInternal : 0));
  w.Arguments(exchange.arguments);
}

void AppendExchangeDeleted(ByteBuffer& out, std::string_view vhost, std::string_view name) {
  RecordWriter w(out, Type::kExchangeDeleted);
  w.String(vhost);
  w.String(name);
}

void AppendQueueDeclared(ByteBuffer& out, const QueueInfo& queue) {
  RecordWriter w(out, Type::kQueueDeclared);
  w.String(queue.vhost);
  w.String(queue.name);
  w.Number(queue.id);
  w.Number(queue.shard);
  w.Byte((queue.durable ? kDurable : 0) | (queue.auto_delete ? kAutoDelete : 0) |
         (queue.holds_back ? kHoldsBack : 0));
  w.Arguments(queue.arguments);
}

void AppendQueueDeleted(ByteBuffer& out, QueueId id) {
  RecordWriter(out, Type::kQueueDeleted).Number(id);
}

void AppendQueuePaused(ByteBuffer& out, QueueId id, bool paused) {
  RecordWriter w(out, Type::kQueuePaused);
  w.Number(id);
  w.Byte(paused ? 1 : 0);
}

void AppendBindingChanged(ByteBuffer& out, std::string_view vhost, const Binding& binding,
                          bool bound) {
  RecordWriter w(out, bound ? Type::kBound : Type::kUnbound);
  w.String(vhost);
  w.String(binding.source);
  w.Byte(binding.to_exchange ? 1 : 0);
  if (binding.to_exchange) {
    w.String(binding.destination);
  } else {
    w.Number(binding.queue.id);
  }
  w.String(binding.routing_key);
  w.Arguments(binding.arguments);
}

void AppendIdsReserved(ByteBuffer& out, QueueId upto) {
  RecordWriter(out, Type::kIdsReserved).Number(upto);
}

void AppendPolicySet(ByteBuffer& out, std::string_view vhost, const Policy& policy) {
  RecordWriter w(out, Type::kPolicySet);
  w.String(vhost);
  w.String(policy.name);
  w.Byte(policy.by_operator ? 1 : 0);
  w.String(policy.pattern);
  w.Byte(static_cast<uint8_t>(policy.apply_to));
  w.Number(static_cast<uint64_t>(policy.priority));
  w.Arguments(policy.definition);
}

void AppendPolicyCleared(ByteBuffer& out, std::string_view vhost, std::string_view name,
                         bool by_operator) {
  RecordWriter w(out, Type::kPolicyCleared);
  w.String(vhost);
  w.String(name);
  w.Byte(by_operator ? 1 : 0);
}

void AppendCheckpointEnd(ByteBuffer& out, uint64_t records) {
  RecordWriter(out, Type::kCheckpointEnd).Number(records);
}

Result<void> ReadTopologyRecords(ByteView bytes, const TopologyRecordVisitor& visit) {
  if (bytes.empty() || bytes.front() != kTopologyFormat) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("the topology is in format {}, this version reads format {}",
                            bytes.empty() ? 0 : bytes.front(), kTopologyFormat));
  }
  ByteReader in(bytes.substr(1));
  while (!in.done()) {
    const ByteView fields = in.Sized();
    if (in.failed() || fields.empty()) {
      return Fail(ErrorCode::kCorrupt, "a record of the topology is cut short");
    }
    const auto type = static_cast<uint8_t>(fields.front());
    RecordReader reader(fields.substr(1));
    Result<TopologyRecord> record = ReadRecordOf(type, reader);
    if (!record) return std::unexpected(record.error());
    if (!reader.complete()) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("a record of the topology of type {} is broken", type));
    }
    if (Result<void> done = visit(*std::move(record)); !done) return done;
  }
  return {};
}

std::string Describe(const TopologyRecord& record) { return std::visit(Describer{}, record); }

}  // namespace landfall::broker
