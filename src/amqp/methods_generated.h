// Written by generate.py from the AMQP 0-9-1 specification and landfall_extension.json.
// Do not edit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <tuple>
#include <type_traits>

#include "amqp/field_codec.h"
#include "amqp/table.h"
#include "base/bytes.h"
#include "base/wire.h"

namespace landfall::amqp {

// class << 16 | method.
using MethodId = uint32_t;

// What became of a published message that landfall.confirm speaks of.
enum class ConfirmOutcome : uint8_t {
  kLanded = 0,     // on stable storage
  kDuplicate = 1,  // had landed before; this copy was dropped
  kAccepted = 2,   // confirmed, but in no durable queue
  kFenced = 3,     // from an older producer epoch; dropped
};

// Server to client. Answered by start-ok.
struct ConnectionStart {
  static constexpr MethodId kId = 10 << 16 | 10;
  static constexpr std::string_view kName = "connection.start";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint8_t version_major = 0;
  uint8_t version_minor = 0;
  TableView server_properties{};
  ByteView mechanisms{};
  ByteView locales{};

  auto Fields() {
    return std::tie(version_major, version_minor, server_properties, mechanisms, locales);
  }
  bool operator==(const ConnectionStart&) const = default;
};

// Client to server.
struct ConnectionStartOk {
  static constexpr MethodId kId = 10 << 16 | 11;
  static constexpr std::string_view kName = "connection.start-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  TableView client_properties{};
  ByteView mechanism{};
  ByteView response{};
  ByteView locale{};

  auto Fields() { return std::tie(client_properties, mechanism, response, locale); }
  bool operator==(const ConnectionStartOk&) const = default;
};

// Server to client. Answered by secure-ok.
struct ConnectionSecure {
  static constexpr MethodId kId = 10 << 16 | 20;
  static constexpr std::string_view kName = "connection.secure";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  ByteView challenge{};

  auto Fields() { return std::tie(challenge); }
  bool operator==(const ConnectionSecure&) const = default;
};

// Client to server.
struct ConnectionSecureOk {
  static constexpr MethodId kId = 10 << 16 | 21;
  static constexpr std::string_view kName = "connection.secure-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView response{};

  auto Fields() { return std::tie(response); }
  bool operator==(const ConnectionSecureOk&) const = default;
};

// Server to client. Answered by tune-ok.
struct ConnectionTune {
  static constexpr MethodId kId = 10 << 16 | 30;
  static constexpr std::string_view kName = "connection.tune";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint16_t channel_max = 0;
  uint32_t frame_max = 0;
  uint16_t heartbeat = 0;

  auto Fields() { return std::tie(channel_max, frame_max, heartbeat); }
  bool operator==(const ConnectionTune&) const = default;
};

// Client to server.
struct ConnectionTuneOk {
  static constexpr MethodId kId = 10 << 16 | 31;
  static constexpr std::string_view kName = "connection.tune-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint16_t channel_max = 0;
  uint32_t frame_max = 0;
  uint16_t heartbeat = 0;

  auto Fields() { return std::tie(channel_max, frame_max, heartbeat); }
  bool operator==(const ConnectionTuneOk&) const = default;
};

// Client to server. Answered by open-ok.
struct ConnectionOpen {
  static constexpr MethodId kId = 10 << 16 | 40;
  static constexpr std::string_view kName = "connection.open";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView virtual_host{};

  auto Fields() { return std::tie(virtual_host); }
  bool operator==(const ConnectionOpen&) const = default;
};

// Server to client.
struct ConnectionOpenOk {
  static constexpr MethodId kId = 10 << 16 | 41;
  static constexpr std::string_view kName = "connection.open-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ConnectionOpenOk&) const = default;
};

// Either way. Answered by close-ok.
struct ConnectionClose {
  static constexpr MethodId kId = 10 << 16 | 50;
  static constexpr std::string_view kName = "connection.close";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  uint16_t reply_code = 0;
  ByteView reply_text{};
  uint16_t class_id = 0;
  uint16_t method_id = 0;

  auto Fields() { return std::tie(reply_code, reply_text, class_id, method_id); }
  bool operator==(const ConnectionClose&) const = default;
};

// Either way.
struct ConnectionCloseOk {
  static constexpr MethodId kId = 10 << 16 | 51;
  static constexpr std::string_view kName = "connection.close-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ConnectionCloseOk&) const = default;
};

// Server to client.
struct ConnectionBlocked {
  static constexpr MethodId kId = 10 << 16 | 60;
  static constexpr std::string_view kName = "connection.blocked";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  ByteView reason{};

  auto Fields() { return std::tie(reason); }
  bool operator==(const ConnectionBlocked&) const = default;
};

// Server to client.
struct ConnectionUnblocked {
  static constexpr MethodId kId = 10 << 16 | 61;
  static constexpr std::string_view kName = "connection.unblocked";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ConnectionUnblocked&) const = default;
};

// Client to server. Answered by update-secret-ok.
struct ConnectionUpdateSecret {
  static constexpr MethodId kId = 10 << 16 | 70;
  static constexpr std::string_view kName = "connection.update-secret";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView new_secret{};
  ByteView reason{};

  auto Fields() { return std::tie(new_secret, reason); }
  bool operator==(const ConnectionUpdateSecret&) const = default;
};

// Server to client.
struct ConnectionUpdateSecretOk {
  static constexpr MethodId kId = 10 << 16 | 71;
  static constexpr std::string_view kName = "connection.update-secret-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ConnectionUpdateSecretOk&) const = default;
};

// Client to server. Answered by open-ok.
struct ChannelOpen {
  static constexpr MethodId kId = 20 << 16 | 10;
  static constexpr std::string_view kName = "channel.open";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  auto Fields() { return std::tie(); }
  bool operator==(const ChannelOpen&) const = default;
};

// Server to client.
struct ChannelOpenOk {
  static constexpr MethodId kId = 20 << 16 | 11;
  static constexpr std::string_view kName = "channel.open-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ChannelOpenOk&) const = default;
};

// Either way. Answered by flow-ok.
struct ChannelFlow {
  static constexpr MethodId kId = 20 << 16 | 20;
  static constexpr std::string_view kName = "channel.flow";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  bool active = false;

  auto Fields() { return std::tie(active); }
  bool operator==(const ChannelFlow&) const = default;
};

// Either way.
struct ChannelFlowOk {
  static constexpr MethodId kId = 20 << 16 | 21;
  static constexpr std::string_view kName = "channel.flow-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  bool active = false;

  auto Fields() { return std::tie(active); }
  bool operator==(const ChannelFlowOk&) const = default;
};

// Either way. Answered by close-ok.
struct ChannelClose {
  static constexpr MethodId kId = 20 << 16 | 40;
  static constexpr std::string_view kName = "channel.close";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  uint16_t reply_code = 0;
  ByteView reply_text{};
  uint16_t class_id = 0;
  uint16_t method_id = 0;

  auto Fields() { return std::tie(reply_code, reply_text, class_id, method_id); }
  bool operator==(const ChannelClose&) const = default;
};

// Either way.
struct ChannelCloseOk {
  static constexpr MethodId kId = 20 << 16 | 41;
  static constexpr std::string_view kName = "channel.close-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ChannelCloseOk&) const = default;
};

// Client to server. Answered by request-ok.
struct AccessRequest {
  static constexpr MethodId kId = 30 << 16 | 10;
  static constexpr std::string_view kName = "access.request";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView realm{};
  bool exclusive = false;
  bool passive = false;
  bool active = false;
  bool write = false;
  bool read = false;

  auto Fields() { return std::tie(realm, exclusive, passive, active, write, read); }
  bool operator==(const AccessRequest&) const = default;
};

// Server to client.
struct AccessRequestOk {
  static constexpr MethodId kId = 30 << 16 | 11;
  static constexpr std::string_view kName = "access.request-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint16_t ticket = 0;

  auto Fields() { return std::tie(ticket); }
  bool operator==(const AccessRequestOk&) const = default;
};

// Client to server. Answered by declare-ok.
struct ExchangeDeclare {
  static constexpr MethodId kId = 40 << 16 | 10;
  static constexpr std::string_view kName = "exchange.declare";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView exchange{};
  ByteView type{};
  bool passive = false;
  bool durable = false;
  bool auto_delete = false;
  bool internal = false;
  bool no_wait = false;
  TableView arguments{};

  auto Fields() {
    return std::tie(exchange, type, passive, durable, auto_delete, internal, no_wait, arguments);
  }
  bool operator==(const ExchangeDeclare&) const = default;
};

// Server to client.
struct ExchangeDeclareOk {
  static constexpr MethodId kId = 40 << 16 | 11;
  static constexpr std::string_view kName = "exchange.declare-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ExchangeDeclareOk&) const = default;
};

// Client to server. Answered by delete-ok.
struct ExchangeDelete {
  static constexpr MethodId kId = 40 << 16 | 20;
  static constexpr std::string_view kName = "exchange.delete";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView exchange{};
  bool if_unused = false;
  bool no_wait = false;

  auto Fields() { return std::tie(exchange, if_unused, no_wait); }
  bool operator==(const ExchangeDelete&) const = default;
};

// Server to client.
struct ExchangeDeleteOk {
  static constexpr MethodId kId = 40 << 16 | 21;
  static constexpr std::string_view kName = "exchange.delete-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ExchangeDeleteOk&) const = default;
};

// Client to server. Answered by bind-ok.
struct ExchangeBind {
  static constexpr MethodId kId = 40 << 16 | 30;
  static constexpr std::string_view kName = "exchange.bind";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView destination{};
  ByteView source{};
  ByteView routing_key{};
  bool no_wait = false;
  TableView arguments{};

  auto Fields() { return std::tie(destination, source, routing_key, no_wait, arguments); }
  bool operator==(const ExchangeBind&) const = default;
};

// Server to client.
struct ExchangeBindOk {
  static constexpr MethodId kId = 40 << 16 | 31;
  static constexpr std::string_view kName = "exchange.bind-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ExchangeBindOk&) const = default;
};

// Client to server. Answered by unbind-ok.
struct ExchangeUnbind {
  static constexpr MethodId kId = 40 << 16 | 40;
  static constexpr std::string_view kName = "exchange.unbind";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView destination{};
  ByteView source{};
  ByteView routing_key{};
  bool no_wait = false;
  TableView arguments{};

  auto Fields() { return std::tie(destination, source, routing_key, no_wait, arguments); }
  bool operator==(const ExchangeUnbind&) const = default;
};

// Server to client.
struct ExchangeUnbindOk {
  static constexpr MethodId kId = 40 << 16 | 51;
  static constexpr std::string_view kName = "exchange.unbind-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ExchangeUnbindOk&) const = default;
};

// Client to server. Answered by declare-ok.
struct QueueDeclare {
  static constexpr MethodId kId = 50 << 16 | 10;
  static constexpr std::string_view kName = "queue.declare";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  bool passive = false;
  bool durable = false;
  bool exclusive = false;
  bool auto_delete = false;
  bool no_wait = false;
  TableView arguments{};

  auto Fields() {
    return std::tie(queue, passive, durable, exclusive, auto_delete, no_wait, arguments);
  }
  bool operator==(const QueueDeclare&) const = default;
};

// Server to client.
struct QueueDeclareOk {
  static constexpr MethodId kId = 50 << 16 | 11;
  static constexpr std::string_view kName = "queue.declare-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  ByteView queue{};
  uint32_t message_count = 0;
  uint32_t consumer_count = 0;

  auto Fields() { return std::tie(queue, message_count, consumer_count); }
  bool operator==(const QueueDeclareOk&) const = default;
};

// Client to server. Answered by bind-ok.
struct QueueBind {
  static constexpr MethodId kId = 50 << 16 | 20;
  static constexpr std::string_view kName = "queue.bind";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  ByteView exchange{};
  ByteView routing_key{};
  bool no_wait = false;
  TableView arguments{};

  auto Fields() { return std::tie(queue, exchange, routing_key, no_wait, arguments); }
  bool operator==(const QueueBind&) const = default;
};

// Server to client.
struct QueueBindOk {
  static constexpr MethodId kId = 50 << 16 | 21;
  static constexpr std::string_view kName = "queue.bind-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const QueueBindOk&) const = default;
};

// Client to server. Answered by purge-ok.
struct QueuePurge {
  static constexpr MethodId kId = 50 << 16 | 30;
  static constexpr std::string_view kName = "queue.purge";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  bool no_wait = false;

  auto Fields() { return std::tie(queue, no_wait); }
  bool operator==(const QueuePurge&) const = default;
};

// Server to client.
struct QueuePurgeOk {
  static constexpr MethodId kId = 50 << 16 | 31;
  static constexpr std::string_view kName = "queue.purge-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint32_t message_count = 0;

  auto Fields() { return std::tie(message_count); }
  bool operator==(const QueuePurgeOk&) const = default;
};

// Client to server. Answered by delete-ok.
struct QueueDelete {
  static constexpr MethodId kId = 50 << 16 | 40;
  static constexpr std::string_view kName = "queue.delete";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  bool if_unused = false;
  bool if_empty = false;
  bool no_wait = false;

  auto Fields() { return std::tie(queue, if_unused, if_empty, no_wait); }
  bool operator==(const QueueDelete&) const = default;
};

// Server to client.
struct QueueDeleteOk {
  static constexpr MethodId kId = 50 << 16 | 41;
  static constexpr std::string_view kName = "queue.delete-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint32_t message_count = 0;

  auto Fields() { return std::tie(message_count); }
  bool operator==(const QueueDeleteOk&) const = default;
};

// Client to server. Answered by unbind-ok.
struct QueueUnbind {
  static constexpr MethodId kId = 50 << 16 | 50;
  static constexpr std::string_view kName = "queue.unbind";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  ByteView exchange{};
  ByteView routing_key{};
  TableView arguments{};

  auto Fields() { return std::tie(queue, exchange, routing_key, arguments); }
  bool operator==(const QueueUnbind&) const = default;
};

// Server to client.
struct QueueUnbindOk {
  static constexpr MethodId kId = 50 << 16 | 51;
  static constexpr std::string_view kName = "queue.unbind-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const QueueUnbindOk&) const = default;
};

// Client to server. Answered by qos-ok.
struct BasicQos {
  static constexpr MethodId kId = 60 << 16 | 10;
  static constexpr std::string_view kName = "basic.qos";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint32_t prefetch_size = 0;
  uint16_t prefetch_count = 0;
  bool global = false;

  auto Fields() { return std::tie(prefetch_size, prefetch_count, global); }
  bool operator==(const BasicQos&) const = default;
};

// Server to client.
struct BasicQosOk {
  static constexpr MethodId kId = 60 << 16 | 11;
  static constexpr std::string_view kName = "basic.qos-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const BasicQosOk&) const = default;
};

// Client to server. Answered by consume-ok.
struct BasicConsume {
  static constexpr MethodId kId = 60 << 16 | 20;
  static constexpr std::string_view kName = "basic.consume";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  ByteView consumer_tag{};
  bool no_local = false;
  bool no_ack = false;
  bool exclusive = false;
  bool no_wait = false;
  TableView arguments{};

  auto Fields() {
    return std::tie(queue, consumer_tag, no_local, no_ack, exclusive, no_wait, arguments);
  }
  bool operator==(const BasicConsume&) const = default;
};

// Server to client.
struct BasicConsumeOk {
  static constexpr MethodId kId = 60 << 16 | 21;
  static constexpr std::string_view kName = "basic.consume-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  ByteView consumer_tag{};

  auto Fields() { return std::tie(consumer_tag); }
  bool operator==(const BasicConsumeOk&) const = default;
};

// Either way. Answered by cancel-ok.
struct BasicCancel {
  static constexpr MethodId kId = 60 << 16 | 30;
  static constexpr std::string_view kName = "basic.cancel";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  ByteView consumer_tag{};
  bool no_wait = false;

  auto Fields() { return std::tie(consumer_tag, no_wait); }
  bool operator==(const BasicCancel&) const = default;
};

// Either way.
struct BasicCancelOk {
  static constexpr MethodId kId = 60 << 16 | 31;
  static constexpr std::string_view kName = "basic.cancel-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  ByteView consumer_tag{};

  auto Fields() { return std::tie(consumer_tag); }
  bool operator==(const BasicCancelOk&) const = default;
};

// Client to server.
struct BasicPublish {
  static constexpr MethodId kId = 60 << 16 | 40;
  static constexpr std::string_view kName = "basic.publish";
  static constexpr bool kHasContent = true;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView exchange{};
  ByteView routing_key{};
  bool mandatory = false;
  bool immediate = false;

  auto Fields() { return std::tie(exchange, routing_key, mandatory, immediate); }
  bool operator==(const BasicPublish&) const = default;
};

// Server to client.
struct BasicReturn {
  static constexpr MethodId kId = 60 << 16 | 50;
  static constexpr std::string_view kName = "basic.return";
  static constexpr bool kHasContent = true;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint16_t reply_code = 0;
  ByteView reply_text{};
  ByteView exchange{};
  ByteView routing_key{};

  auto Fields() { return std::tie(reply_code, reply_text, exchange, routing_key); }
  bool operator==(const BasicReturn&) const = default;
};

// Server to client.
struct BasicDeliver {
  static constexpr MethodId kId = 60 << 16 | 60;
  static constexpr std::string_view kName = "basic.deliver";
  static constexpr bool kHasContent = true;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  ByteView consumer_tag{};
  uint64_t delivery_tag = 0;
  bool redelivered = false;
  ByteView exchange{};
  ByteView routing_key{};

  auto Fields() { return std::tie(consumer_tag, delivery_tag, redelivered, exchange, routing_key); }
  bool operator==(const BasicDeliver&) const = default;
};

// Client to server. Answered by get-ok or get-empty.
struct BasicGet {
  static constexpr MethodId kId = 60 << 16 | 70;
  static constexpr std::string_view kName = "basic.get";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  ByteView queue{};
  bool no_ack = false;

  auto Fields() { return std::tie(queue, no_ack); }
  bool operator==(const BasicGet&) const = default;
};

// Server to client.
struct BasicGetOk {
  static constexpr MethodId kId = 60 << 16 | 71;
  static constexpr std::string_view kName = "basic.get-ok";
  static constexpr bool kHasContent = true;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint64_t delivery_tag = 0;
  bool redelivered = false;
  ByteView exchange{};
  ByteView routing_key{};
  uint32_t message_count = 0;

  auto Fields() {
    return std::tie(delivery_tag, redelivered, exchange, routing_key, message_count);
  }
  bool operator==(const BasicGetOk&) const = default;
};

// Server to client.
struct BasicGetEmpty {
  static constexpr MethodId kId = 60 << 16 | 72;
  static constexpr std::string_view kName = "basic.get-empty";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const BasicGetEmpty&) const = default;
};

// Either way.
struct BasicAck {
  static constexpr MethodId kId = 60 << 16 | 80;
  static constexpr std::string_view kName = "basic.ack";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  uint64_t delivery_tag = 0;
  bool multiple = false;

  auto Fields() { return std::tie(delivery_tag, multiple); }
  bool operator==(const BasicAck&) const = default;
};

// Client to server.
struct BasicReject {
  static constexpr MethodId kId = 60 << 16 | 90;
  static constexpr std::string_view kName = "basic.reject";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint64_t delivery_tag = 0;
  bool requeue = false;

  auto Fields() { return std::tie(delivery_tag, requeue); }
  bool operator==(const BasicReject&) const = default;
};

// Client to server.
struct BasicRecoverAsync {
  static constexpr MethodId kId = 60 << 16 | 100;
  static constexpr std::string_view kName = "basic.recover-async";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  bool requeue = false;

  auto Fields() { return std::tie(requeue); }
  bool operator==(const BasicRecoverAsync&) const = default;
};

// Client to server. Answered by recover-ok.
struct BasicRecover {
  static constexpr MethodId kId = 60 << 16 | 110;
  static constexpr std::string_view kName = "basic.recover";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  bool requeue = false;

  auto Fields() { return std::tie(requeue); }
  bool operator==(const BasicRecover&) const = default;
};

// Server to client.
struct BasicRecoverOk {
  static constexpr MethodId kId = 60 << 16 | 111;
  static constexpr std::string_view kName = "basic.recover-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const BasicRecoverOk&) const = default;
};

// Either way.
struct BasicNack {
  static constexpr MethodId kId = 60 << 16 | 120;
  static constexpr std::string_view kName = "basic.nack";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = true;

  uint64_t delivery_tag = 0;
  bool multiple = false;
  bool requeue = false;

  auto Fields() { return std::tie(delivery_tag, multiple, requeue); }
  bool operator==(const BasicNack&) const = default;
};

// Client to server. Answered by select-ok.
struct ConfirmSelect {
  static constexpr MethodId kId = 85 << 16 | 10;
  static constexpr std::string_view kName = "confirm.select";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  bool no_wait = false;

  auto Fields() { return std::tie(no_wait); }
  bool operator==(const ConfirmSelect&) const = default;
};

// Server to client.
struct ConfirmSelectOk {
  static constexpr MethodId kId = 85 << 16 | 11;
  static constexpr std::string_view kName = "confirm.select-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const ConfirmSelectOk&) const = default;
};

// Client to server. Answered by select-ok.
struct TxSelect {
  static constexpr MethodId kId = 90 << 16 | 10;
  static constexpr std::string_view kName = "tx.select";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  auto Fields() { return std::tie(); }
  bool operator==(const TxSelect&) const = default;
};

// Server to client.
struct TxSelectOk {
  static constexpr MethodId kId = 90 << 16 | 11;
  static constexpr std::string_view kName = "tx.select-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const TxSelectOk&) const = default;
};

// Client to server. Answered by commit-ok.
struct TxCommit {
  static constexpr MethodId kId = 90 << 16 | 20;
  static constexpr std::string_view kName = "tx.commit";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  auto Fields() { return std::tie(); }
  bool operator==(const TxCommit&) const = default;
};

// Server to client.
struct TxCommitOk {
  static constexpr MethodId kId = 90 << 16 | 21;
  static constexpr std::string_view kName = "tx.commit-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const TxCommitOk&) const = default;
};

// Client to server. Answered by rollback-ok.
struct TxRollback {
  static constexpr MethodId kId = 90 << 16 | 30;
  static constexpr std::string_view kName = "tx.rollback";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = true;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  auto Fields() { return std::tie(); }
  bool operator==(const TxRollback&) const = default;
};

// Server to client.
struct TxRollbackOk {
  static constexpr MethodId kId = 90 << 16 | 31;
  static constexpr std::string_view kName = "tx.rollback-ok";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  auto Fields() { return std::tie(); }
  bool operator==(const TxRollbackOk&) const = default;
};

// Server to client.
// Instead of basic.ack for a publish: says how it landed.
struct LandfallConfirm {
  static constexpr MethodId kId = 19526 << 16 | 10;
  static constexpr std::string_view kName = "landfall.confirm";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint64_t delivery_tag = 0;
  bool multiple = false;
  ConfirmOutcome outcome{};

  auto Fields() { return std::tie(delivery_tag, multiple, outcome); }
  bool operator==(const LandfallConfirm&) const = default;
};

// Client to server.
// Deliver again, but not before delay_ms have passed.
struct LandfallNack {
  static constexpr MethodId kId = 19526 << 16 | 20;
  static constexpr std::string_view kName = "landfall.nack";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint64_t delivery_tag = 0;
  uint32_t delay_ms = 0;

  auto Fields() { return std::tie(delivery_tag, delay_ms); }
  bool operator==(const LandfallNack&) const = default;
};

// Client to server.
// Still working on it: the lease ends lease_ms from now.
struct LandfallRenew {
  static constexpr MethodId kId = 19526 << 16 | 30;
  static constexpr std::string_view kName = "landfall.renew";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint64_t delivery_tag = 0;
  uint32_t lease_ms = 0;

  auto Fields() { return std::tie(delivery_tag, lease_ms); }
  bool operator==(const LandfallRenew&) const = default;
};

// Client to server.
// As basic.ack, answered by landfall.ack-landed once it is on stable storage.
struct LandfallAck {
  static constexpr MethodId kId = 19526 << 16 | 40;
  static constexpr std::string_view kName = "landfall.ack";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint64_t delivery_tag = 0;
  bool multiple = false;

  auto Fields() { return std::tie(delivery_tag, multiple); }
  bool operator==(const LandfallAck&) const = default;
};

// Server to client.
struct LandfallAckLanded {
  static constexpr MethodId kId = 19526 << 16 | 41;
  static constexpr std::string_view kName = "landfall.ack-landed";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = false;
  static constexpr bool kSentByServer = true;

  uint64_t delivery_tag = 0;
  bool multiple = false;

  auto Fields() { return std::tie(delivery_tag, multiple); }
  bool operator==(const LandfallAckLanded&) const = default;
};

// Client to server.
// Nobody has looked at it: ready again at once, and not a failed delivery.
struct LandfallRelease {
  static constexpr MethodId kId = 19526 << 16 | 50;
  static constexpr std::string_view kName = "landfall.release";
  static constexpr bool kHasContent = false;
  static constexpr bool kSynchronous = false;
  static constexpr bool kSentByClient = true;
  static constexpr bool kSentByServer = false;

  uint64_t delivery_tag = 0;
  bool multiple = false;

  auto Fields() { return std::tie(delivery_tag, multiple); }
  bool operator==(const LandfallRelease&) const = default;
};

// "basic.publish"; "unknown" for an id that is not known.
std::string_view MethodName(MethodId id);
bool IsKnownMethod(MethodId id);
// Whether header and body frames follow.
bool MethodHasContent(MethodId id);
// Whether the client, or the server, may send it. False for an unknown id.
bool IsSentByClient(MethodId id);
bool IsSentByServer(MethodId id);

template <class... M>
struct MethodList {};
using AllMethods =
    MethodList<ConnectionStart, ConnectionStartOk, ConnectionSecure, ConnectionSecureOk,
               ConnectionTune, ConnectionTuneOk, ConnectionOpen, ConnectionOpenOk, ConnectionClose,
               ConnectionCloseOk, ConnectionBlocked, ConnectionUnblocked, ConnectionUpdateSecret,
               ConnectionUpdateSecretOk, ChannelOpen, ChannelOpenOk, ChannelFlow, ChannelFlowOk,
               ChannelClose, ChannelCloseOk, AccessRequest, AccessRequestOk, ExchangeDeclare,
               ExchangeDeclareOk, ExchangeDelete, ExchangeDeleteOk, ExchangeBind, ExchangeBindOk,
               ExchangeUnbind, ExchangeUnbindOk, QueueDeclare, QueueDeclareOk, QueueBind,
               QueueBindOk, QueuePurge, QueuePurgeOk, QueueDelete, QueueDeleteOk, QueueUnbind,
               QueueUnbindOk, BasicQos, BasicQosOk, BasicConsume, BasicConsumeOk, BasicCancel,
               BasicCancelOk, BasicPublish, BasicReturn, BasicDeliver, BasicGet, BasicGetOk,
               BasicGetEmpty, BasicAck, BasicReject, BasicRecoverAsync, BasicRecover,
               BasicRecoverOk, BasicNack, ConfirmSelect, ConfirmSelectOk, TxSelect, TxSelectOk,
               TxCommit, TxCommitOk, TxRollback, TxRollbackOk, LandfallConfirm, LandfallNack,
               LandfallRenew, LandfallAck, LandfallAckLanded, LandfallRelease>;

// Calls visit(std::type_identity<M>()) for the method M of that id; false if there is none.
template <class Visitor>
bool VisitMethodType(MethodId id, Visitor&& visit) {
  switch (id) {
    case ConnectionStart::kId:
      visit(std::type_identity<ConnectionStart>());
      return true;
    case ConnectionStartOk::kId:
      visit(std::type_identity<ConnectionStartOk>());
      return true;
    case ConnectionSecure::kId:
      visit(std::type_identity<ConnectionSecure>());
      return true;
    case ConnectionSecureOk::kId:
      visit(std::type_identity<ConnectionSecureOk>());
      return true;
    case ConnectionTune::kId:
      visit(std::type_identity<ConnectionTune>());
      return true;
    case ConnectionTuneOk::kId:
      visit(std::type_identity<ConnectionTuneOk>());
      return true;
    case ConnectionOpen::kId:
      visit(std::type_identity<ConnectionOpen>());
      return true;
    case ConnectionOpenOk::kId:
      visit(std::type_identity<ConnectionOpenOk>());
      return true;
    case ConnectionClose::kId:
      visit(std::type_identity<ConnectionClose>());
      return true;
    case ConnectionCloseOk::kId:
      visit(std::type_identity<ConnectionCloseOk>());
      return true;
    case ConnectionBlocked::kId:
      visit(std::type_identity<ConnectionBlocked>());
      return true;
    case ConnectionUnblocked::kId:
      visit(std::type_identity<ConnectionUnblocked>());
      return true;
    case ConnectionUpdateSecret::kId:
      visit(std::type_identity<ConnectionUpdateSecret>());
      return true;
    case ConnectionUpdateSecretOk::kId:
      visit(std::type_identity<ConnectionUpdateSecretOk>());
      return true;
    case ChannelOpen::kId:
      visit(std::type_identity<ChannelOpen>());
      return true;
    case ChannelOpenOk::kId:
      visit(std::type_identity<ChannelOpenOk>());
      return true;
    case ChannelFlow::kId:
      visit(std::type_identity<ChannelFlow>());
      return true;
    case ChannelFlowOk::kId:
      visit(std::type_identity<ChannelFlowOk>());
      return true;
    case ChannelClose::kId:
      visit(std::type_identity<ChannelClose>());
      return true;
    case ChannelCloseOk::kId:
      visit(std::type_identity<ChannelCloseOk>());
      return true;
    case AccessRequest::kId:
      visit(std::type_identity<AccessRequest>());
      return true;
    case AccessRequestOk::kId:
      visit(std::type_identity<AccessRequestOk>());
      return true;
    case ExchangeDeclare::kId:
      visit(std::type_identity<ExchangeDeclare>());
      return true;
    case ExchangeDeclareOk::kId:
      visit(std::type_identity<ExchangeDeclareOk>());
      return true;
    case ExchangeDelete::kId:
      visit(std::type_identity<ExchangeDelete>());
      return true;
    case ExchangeDeleteOk::kId:
      visit(std::type_identity<ExchangeDeleteOk>());
      return true;
    case ExchangeBind::kId:
      visit(std::type_identity<ExchangeBind>());
      return true;
    case ExchangeBindOk::kId:
      visit(std::type_identity<ExchangeBindOk>());
      return true;
    case ExchangeUnbind::kId:
      visit(std::type_identity<ExchangeUnbind>());
      return true;
    case ExchangeUnbindOk::kId:
      visit(std::type_identity<ExchangeUnbindOk>());
      return true;
    case QueueDeclare::kId:
      visit(std::type_identity<QueueDeclare>());
      return true;
    case QueueDeclareOk::kId:
      visit(std::type_identity<QueueDeclareOk>());
      return true;
    case QueueBind::kId:
      visit(std::type_identity<QueueBind>());
      return true;
    case QueueBindOk::kId:
      visit(std::type_identity<QueueBindOk>());
      return true;
    case QueuePurge::kId:
      visit(std::type_identity<QueuePurge>());
      return true;
    case QueuePurgeOk::kId:
      visit(std::type_identity<QueuePurgeOk>());
      return true;
    case QueueDelete::kId:
      visit(std::type_identity<QueueDelete>());
      return true;
    case QueueDeleteOk::kId:
      visit(std::type_identity<QueueDeleteOk>());
      return true;
    case QueueUnbind::kId:
      visit(std::type_identity<QueueUnbind>());
      return true;
    case QueueUnbindOk::kId:
      visit(std::type_identity<QueueUnbindOk>());
      return true;
    case BasicQos::kId:
      visit(std::type_identity<BasicQos>());
      return true;
    case BasicQosOk::kId:
      visit(std::type_identity<BasicQosOk>());
      return true;
    case BasicConsume::kId:
      visit(std::type_identity<BasicConsume>());
      return true;
    case BasicConsumeOk::kId:
      visit(std::type_identity<BasicConsumeOk>());
      return true;
    case BasicCancel::kId:
      visit(std::type_identity<BasicCancel>());
      return true;
    case BasicCancelOk::kId:
      visit(std::type_identity<BasicCancelOk>());
      return true;
    case BasicPublish::kId:
      visit(std::type_identity<BasicPublish>());
      return true;
    case BasicReturn::kId:
      visit(std::type_identity<BasicReturn>());
      return true;
    case BasicDeliver::kId:
      visit(std::type_identity<BasicDeliver>());
      return true;
    case BasicGet::kId:
      visit(std::type_identity<BasicGet>());
      return true;
    case BasicGetOk::kId:
      visit(std::type_identity<BasicGetOk>());
      return true;
    case BasicGetEmpty::kId:
      visit(std::type_identity<BasicGetEmpty>());
      return true;
    case BasicAck::kId:
      visit(std::type_identity<BasicAck>());
      return true;
    case BasicReject::kId:
      visit(std::type_identity<BasicReject>());
      return true;
    case BasicRecoverAsync::kId:
      visit(std::type_identity<BasicRecoverAsync>());
      return true;
    case BasicRecover::kId:
      visit(std::type_identity<BasicRecover>());
      return true;
    case BasicRecoverOk::kId:
      visit(std::type_identity<BasicRecoverOk>());
      return true;
    case BasicNack::kId:
      visit(std::type_identity<BasicNack>());
      return true;
    case ConfirmSelect::kId:
      visit(std::type_identity<ConfirmSelect>());
      return true;
    case ConfirmSelectOk::kId:
      visit(std::type_identity<ConfirmSelectOk>());
      return true;
    case TxSelect::kId:
      visit(std::type_identity<TxSelect>());
      return true;
    case TxSelectOk::kId:
      visit(std::type_identity<TxSelectOk>());
      return true;
    case TxCommit::kId:
      visit(std::type_identity<TxCommit>());
      return true;
    case TxCommitOk::kId:
      visit(std::type_identity<TxCommitOk>());
      return true;
    case TxRollback::kId:
      visit(std::type_identity<TxRollback>());
      return true;
    case TxRollbackOk::kId:
      visit(std::type_identity<TxRollbackOk>());
      return true;
    case LandfallConfirm::kId:
      visit(std::type_identity<LandfallConfirm>());
      return true;
    case LandfallNack::kId:
      visit(std::type_identity<LandfallNack>());
      return true;
    case LandfallRenew::kId:
      visit(std::type_identity<LandfallRenew>());
      return true;
    case LandfallAck::kId:
      visit(std::type_identity<LandfallAck>());
      return true;
    case LandfallAckLanded::kId:
      visit(std::type_identity<LandfallAckLanded>());
      return true;
    case LandfallRelease::kId:
      visit(std::type_identity<LandfallRelease>());
      return true;
    default:
      return false;
  }
}

// The fields of a method payload behind its id. Decode and AppendMethod in method.h use these.

void ReadFields(ByteReader& r, ConnectionStart& m);
size_t FieldsSize(const ConnectionStart& m);
char* WriteFields(char* p, const ConnectionStart& m);

void ReadFields(ByteReader& r, ConnectionStartOk& m);
size_t FieldsSize(const ConnectionStartOk& m);
char* WriteFields(char* p, const ConnectionStartOk& m);

void ReadFields(ByteReader& r, ConnectionSecure& m);
size_t FieldsSize(const ConnectionSecure& m);
char* WriteFields(char* p, const ConnectionSecure& m);

void ReadFields(ByteReader& r, ConnectionSecureOk& m);
size_t FieldsSize(const ConnectionSecureOk& m);
char* WriteFields(char* p, const ConnectionSecureOk& m);

void ReadFields(ByteReader& r, ConnectionTune& m);
size_t FieldsSize(const ConnectionTune& m);
char* WriteFields(char* p, const ConnectionTune& m);

void ReadFields(ByteReader& r, ConnectionTuneOk& m);
size_t FieldsSize(const ConnectionTuneOk& m);
char* WriteFields(char* p, const ConnectionTuneOk& m);

void ReadFields(ByteReader& r, ConnectionOpen& m);
size_t FieldsSize(const ConnectionOpen& m);
char* WriteFields(char* p, const ConnectionOpen& m);

void ReadFields(ByteReader& r, ConnectionOpenOk& m);
size_t FieldsSize(const ConnectionOpenOk& m);
char* WriteFields(char* p, const ConnectionOpenOk& m);

void ReadFields(ByteReader& r, ConnectionClose& m);
size_t FieldsSize(const ConnectionClose& m);
char* WriteFields(char* p, const ConnectionClose& m);

void ReadFields(ByteReader& r, ConnectionCloseOk& m);
size_t FieldsSize(const ConnectionCloseOk& m);
char* WriteFields(char* p, const ConnectionCloseOk& m);

void ReadFields(ByteReader& r, ConnectionBlocked& m);
size_t FieldsSize(const ConnectionBlocked& m);
char* WriteFields(char* p, const ConnectionBlocked& m);

void ReadFields(ByteReader& r, ConnectionUnblocked& m);
size_t FieldsSize(const ConnectionUnblocked& m);
char* WriteFields(char* p, const ConnectionUnblocked& m);

void ReadFields(ByteReader& r, ConnectionUpdateSecret& m);
size_t FieldsSize(const ConnectionUpdateSecret& m);
char* WriteFields(char* p, const ConnectionUpdateSecret& m);

void ReadFields(ByteReader& r, ConnectionUpdateSecretOk& m);
size_t FieldsSize(const ConnectionUpdateSecretOk& m);
char* WriteFields(char* p, const ConnectionUpdateSecretOk& m);

void ReadFields(ByteReader& r, ChannelOpen& m);
size_t FieldsSize(const ChannelOpen& m);
char* WriteFields(char* p, const ChannelOpen& m);

void ReadFields(ByteReader& r, ChannelOpenOk& m);
size_t FieldsSize(const ChannelOpenOk& m);
char* WriteFields(char* p, const ChannelOpenOk& m);

void ReadFields(ByteReader& r, ChannelFlow& m);
size_t FieldsSize(const ChannelFlow& m);
char* WriteFields(char* p, const ChannelFlow& m);

void ReadFields(ByteReader& r, ChannelFlowOk& m);
size_t FieldsSize(const ChannelFlowOk& m);
char* WriteFields(char* p, const ChannelFlowOk& m);

void ReadFields(ByteReader& r, ChannelClose& m);
size_t FieldsSize(const ChannelClose& m);
char* WriteFields(char* p, const ChannelClose& m);

void ReadFields(ByteReader& r, ChannelCloseOk& m);
size_t FieldsSize(const ChannelCloseOk& m);
char* WriteFields(char* p, const ChannelCloseOk& m);

void ReadFields(ByteReader& r, AccessRequest& m);
size_t FieldsSize(const AccessRequest& m);
char* WriteFields(char* p, const AccessRequest& m);

void ReadFields(ByteReader& r, AccessRequestOk& m);
size_t FieldsSize(const AccessRequestOk& m);
char* WriteFields(char* p, const AccessRequestOk& m);

void ReadFields(ByteReader& r, ExchangeDeclare& m);
size_t FieldsSize(const ExchangeDeclare& m);
char* WriteFields(char* p, const ExchangeDeclare& m);

void ReadFields(ByteReader& r, ExchangeDeclareOk& m);
size_t FieldsSize(const ExchangeDeclareOk& m);
char* WriteFields(char* p, const ExchangeDeclareOk& m);

void ReadFields(ByteReader& r, ExchangeDelete& m);
size_t FieldsSize(const ExchangeDelete& m);
char* WriteFields(char* p, const ExchangeDelete& m);

void ReadFields(ByteReader& r, ExchangeDeleteOk& m);
size_t FieldsSize(const ExchangeDeleteOk& m);
char* WriteFields(char* p, const ExchangeDeleteOk& m);

void ReadFields(ByteReader& r, ExchangeBind& m);
size_t FieldsSize(const ExchangeBind& m);
char* WriteFields(char* p, const ExchangeBind& m);

void ReadFields(ByteReader& r, ExchangeBindOk& m);
size_t FieldsSize(const ExchangeBindOk& m);
char* WriteFields(char* p, const ExchangeBindOk& m);

void ReadFields(ByteReader& r, ExchangeUnbind& m);
size_t FieldsSize(const ExchangeUnbind& m);
char* WriteFields(char* p, const ExchangeUnbind& m);

void ReadFields(ByteReader& r, ExchangeUnbindOk& m);
size_t FieldsSize(const ExchangeUnbindOk& m);
char* WriteFields(char* p, const ExchangeUnbindOk& m);

void ReadFields(ByteReader& r, QueueDeclare& m);
size_t FieldsSize(const QueueDeclare& m);
char* WriteFields(char* p, const QueueDeclare& m);

void ReadFields(ByteReader& r, QueueDeclareOk& m);
size_t FieldsSize(const QueueDeclareOk& m);
char* WriteFields(char* p, const QueueDeclareOk& m);

void ReadFields(ByteReader& r, QueueBind& m);
size_t FieldsSize(const QueueBind& m);
char* WriteFields(char* p, const QueueBind& m);

void ReadFields(ByteReader& r, QueueBindOk& m);
size_t FieldsSize(const QueueBindOk& m);
char* WriteFields(char* p, const QueueBindOk& m);

void ReadFields(ByteReader& r, QueuePurge& m);
size_t FieldsSize(const QueuePurge& m);
char* WriteFields(char* p, const QueuePurge& m);

void ReadFields(ByteReader& r, QueuePurgeOk& m);
size_t FieldsSize(const QueuePurgeOk& m);
char* WriteFields(char* p, const QueuePurgeOk& m);

void ReadFields(ByteReader& r, QueueDelete& m);
size_t FieldsSize(const QueueDelete& m);
char* WriteFields(char* p, const QueueDelete& m);

void ReadFields(ByteReader& r, QueueDeleteOk& m);
size_t FieldsSize(const QueueDeleteOk& m);
char* WriteFields(char* p, const QueueDeleteOk& m);

void ReadFields(ByteReader& r, QueueUnbind& m);
size_t FieldsSize(const QueueUnbind& m);
char* WriteFields(char* p, const QueueUnbind& m);

void ReadFields(ByteReader& r, QueueUnbindOk& m);
size_t FieldsSize(const QueueUnbindOk& m);
char* WriteFields(char* p, const QueueUnbindOk& m);

void ReadFields(ByteReader& r, BasicQos& m);
size_t FieldsSize(const BasicQos& m);
char* WriteFields(char* p, const BasicQos& m);

void ReadFields(ByteReader& r, BasicQosOk& m);
size_t FieldsSize(const BasicQosOk& m);
char* WriteFields(char* p, const BasicQosOk& m);

void ReadFields(ByteReader& r, BasicConsume& m);
size_t FieldsSize(const BasicConsume& m);
char* WriteFields(char* p, const BasicConsume& m);

void ReadFields(ByteReader& r, BasicConsumeOk& m);
size_t FieldsSize(const BasicConsumeOk& m);
char* WriteFields(char* p, const BasicConsumeOk& m);

void ReadFields(ByteReader& r, BasicCancel& m);
size_t FieldsSize(const BasicCancel& m);
char* WriteFields(char* p, const BasicCancel& m);

void ReadFields(ByteReader& r, BasicCancelOk& m);
size_t FieldsSize(const BasicCancelOk& m);
char* WriteFields(char* p, const BasicCancelOk& m);

inline void ReadFields(ByteReader& r, BasicPublish& m) {
  r.Big<uint16_t>();
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
  const auto bits = r.Big<uint8_t>();
  m.mandatory = (bits & 1) != 0;
  m.immediate = (bits & 2) != 0;
}
inline size_t FieldsSize(const BasicPublish& m) {
  return 5 + m.exchange.size() + m.routing_key.size();
}
inline char* WriteFields(char* p, const BasicPublish& m) {
  p = field::Write<uint16_t>(p, 0);
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  *p++ = static_cast<char>((m.mandatory ? 1 : 0) | (m.immediate ? 2 : 0));
  return p;
}

void ReadFields(ByteReader& r, BasicReturn& m);
size_t FieldsSize(const BasicReturn& m);
char* WriteFields(char* p, const BasicReturn& m);

inline void ReadFields(ByteReader& r, BasicDeliver& m) {
  m.consumer_tag = field::ReadShortString(r);
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.redelivered = (bits & 1) != 0;
  m.exchange = field::ReadShortString(r);
  m.routing_key = field::ReadShortString(r);
}
inline size_t FieldsSize(const BasicDeliver& m) {
  return 12 + m.consumer_tag.size() + m.exchange.size() + m.routing_key.size();
}
inline char* WriteFields(char* p, const BasicDeliver& m) {
  p = field::WriteShortString(p, m.consumer_tag);
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.redelivered ? 1 : 0));
  p = field::WriteShortString(p, m.exchange);
  p = field::WriteShortString(p, m.routing_key);
  return p;
}

void ReadFields(ByteReader& r, BasicGet& m);
size_t FieldsSize(const BasicGet& m);
char* WriteFields(char* p, const BasicGet& m);

void ReadFields(ByteReader& r, BasicGetOk& m);
size_t FieldsSize(const BasicGetOk& m);
char* WriteFields(char* p, const BasicGetOk& m);

void ReadFields(ByteReader& r, BasicGetEmpty& m);
size_t FieldsSize(const BasicGetEmpty& m);
char* WriteFields(char* p, const BasicGetEmpty& m);

inline void ReadFields(ByteReader& r, BasicAck& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
}
inline size_t FieldsSize(const BasicAck&) { return 9; }
inline char* WriteFields(char* p, const BasicAck& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0));
  return p;
}

inline void ReadFields(ByteReader& r, BasicReject& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.requeue = (bits & 1) != 0;
}
inline size_t FieldsSize(const BasicReject&) { return 9; }
inline char* WriteFields(char* p, const BasicReject& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.requeue ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, BasicRecoverAsync& m);
size_t FieldsSize(const BasicRecoverAsync& m);
char* WriteFields(char* p, const BasicRecoverAsync& m);

void ReadFields(ByteReader& r, BasicRecover& m);
size_t FieldsSize(const BasicRecover& m);
char* WriteFields(char* p, const BasicRecover& m);

void ReadFields(ByteReader& r, BasicRecoverOk& m);
size_t FieldsSize(const BasicRecoverOk& m);
char* WriteFields(char* p, const BasicRecoverOk& m);

inline void ReadFields(ByteReader& r, BasicNack& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
  m.requeue = (bits & 2) != 0;
}
inline size_t FieldsSize(const BasicNack&) { return 9; }
inline char* WriteFields(char* p, const BasicNack& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0) | (m.requeue ? 2 : 0));
  return p;
}

void ReadFields(ByteReader& r, ConfirmSelect& m);
size_t FieldsSize(const ConfirmSelect& m);
char* WriteFields(char* p, const ConfirmSelect& m);

void ReadFields(ByteReader& r, ConfirmSelectOk& m);
size_t FieldsSize(const ConfirmSelectOk& m);
char* WriteFields(char* p, const ConfirmSelectOk& m);

void ReadFields(ByteReader& r, TxSelect& m);
size_t FieldsSize(const TxSelect& m);
char* WriteFields(char* p, const TxSelect& m);

void ReadFields(ByteReader& r, TxSelectOk& m);
size_t FieldsSize(const TxSelectOk& m);
char* WriteFields(char* p, const TxSelectOk& m);

void ReadFields(ByteReader& r, TxCommit& m);
size_t FieldsSize(const TxCommit& m);
char* WriteFields(char* p, const TxCommit& m);

void ReadFields(ByteReader& r, TxCommitOk& m);
size_t FieldsSize(const TxCommitOk& m);
char* WriteFields(char* p, const TxCommitOk& m);

void ReadFields(ByteReader& r, TxRollback& m);
size_t FieldsSize(const TxRollback& m);
char* WriteFields(char* p, const TxRollback& m);

void ReadFields(ByteReader& r, TxRollbackOk& m);
size_t FieldsSize(const TxRollbackOk& m);
char* WriteFields(char* p, const TxRollbackOk& m);

inline void ReadFields(ByteReader& r, LandfallConfirm& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
  m.outcome = static_cast<ConfirmOutcome>(r.Big<uint8_t>());
}
inline size_t FieldsSize(const LandfallConfirm&) { return 10; }
inline char* WriteFields(char* p, const LandfallConfirm& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0));
  p = field::Write<uint8_t>(p, static_cast<uint8_t>(m.outcome));
  return p;
}

void ReadFields(ByteReader& r, LandfallNack& m);
size_t FieldsSize(const LandfallNack& m);
char* WriteFields(char* p, const LandfallNack& m);

void ReadFields(ByteReader& r, LandfallRenew& m);
size_t FieldsSize(const LandfallRenew& m);
char* WriteFields(char* p, const LandfallRenew& m);

inline void ReadFields(ByteReader& r, LandfallAck& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
}
inline size_t FieldsSize(const LandfallAck&) { return 9; }
inline char* WriteFields(char* p, const LandfallAck& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0));
  return p;
}

inline void ReadFields(ByteReader& r, LandfallAckLanded& m) {
  m.delivery_tag = r.Big<uint64_t>();
  const auto bits = r.Big<uint8_t>();
  m.multiple = (bits & 1) != 0;
}
inline size_t FieldsSize(const LandfallAckLanded&) { return 9; }
inline char* WriteFields(char* p, const LandfallAckLanded& m) {
  p = field::Write<uint64_t>(p, m.delivery_tag);
  *p++ = static_cast<char>((m.multiple ? 1 : 0));
  return p;
}

void ReadFields(ByteReader& r, LandfallRelease& m);
size_t FieldsSize(const LandfallRelease& m);
char* WriteFields(char* p, const LandfallRelease& m);

}  // namespace landfall::amqp
