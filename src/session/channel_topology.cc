// What a channel asks of exchanges, queues and bindings.
#include <optional>
#include <string>
#include <utility>

#include "session/channel.h"
#include "session/permission_check.h"

namespace landfall::session {

using access::Access;
using amqp::ReplyCode;

namespace {

// Stands for the name that the topology makes up for a queue without one when it is asked whether
// the user may declare it: what follows the prefix is nothing that a permission could be about.
constexpr ByteView kMadeUpQueueName = "amq.gen-AAAAAAAAAAAAAAAAAAAAAA";

// An argument that lets a new queue or exchange pass messages on needs the right to take them out
// of the one and to put them into the other.
Verdict CheckPassingOn(const ConnectionContext& context, const Verdict& may_read,
                       const amqp::Table& arguments, std::string_view argument) {
  const std::optional<std::string_view> exchange = arguments.GetString(argument);
  if (!exchange) return {};
  if (!may_read) return may_read;
  return CheckExchange(context, Access::kWrite, *exchange);
}

// Where queues and exchanges are declared, bound or deleted a line break is no part of a name, as
// with RabbitMQ: it comes from a file or a shell, and nobody would see it.
std::string NameOf(ByteView name) {
  std::string stripped(name);
  std::erase_if(stripped, [](char c) { return c == '\r' || c == '\n'; });
  return stripped;
}

}  // namespace

Verdict Channel::AskTopology(amqp::MethodId method, bool no_wait,
                             broker::TopologyRequestBody body) {
  // Without an answer to send, what the client does next must still see the change.
  Await(Awaited::What::kTopology, method, no_wait);
  context_.AskTopology(id_, std::move(body));
  return {};
}

// "" stands for the queue that was declared last on this channel.
std::expected<std::string, Exception> Channel::QueueName(ByteView name) const {
  if (!name.empty()) return std::string(name);
  if (!last_queue_.empty()) return last_queue_;
  return Refuse(ReplyCode::kNotFound, "no previously declared queue");
}

Exception Channel::NoQueue(ByteView name) const {
  return Refuse(ReplyCode::kNotFound,
                "no queue '" + std::string(name) + "' in vhost '" + context_.vhost + "'")
      .error();
}

Verdict Channel::CheckAccess(const broker::QueueInfo& queue) const {
  if (!queue.exclusive || queue.owner == context_.id) return {};
  return Refuse(ReplyCode::kResourceLocked,
                "cannot obtain exclusive access to locked queue '" + queue.name + "' in vhost '" +
                    context_.vhost +
                    "'. It could be originally declared on another connection or the exclusive "
                    "property value does not match that of the original declaration.");
}

Verdict Channel::CheckAccess(ByteView queue_name) const {
  const broker::QueueInfoRef queue = context_.FindQueue(queue_name);
  return queue ? CheckAccess(*queue) : Verdict{};
}

std::expected<broker::QueueInfoRef, Exception> Channel::FindQueueToRead(ByteView name) const {
  const auto full_name = QueueName(name);
  if (!full_name) return std::unexpected(full_name.error());
  if (Verdict may = CheckQueue(context_, Access::kRead, *full_name); !may) {
    return std::unexpected(may.error());
  }
  broker::QueueInfoRef queue = context_.FindQueue(*full_name);
  if (!queue) return std::unexpected(NoQueue(*full_name));
  if (Verdict access = CheckAccess(*queue); !access) return std::unexpected(access.error());
  return queue;
}

Verdict Channel::On(const amqp::ExchangeDeclare& m) {
  auto arguments = m.arguments.Decode();
  if (!arguments) return Refuse(ReplyCode::kSyntaxError, arguments.error().message);
  std::string name = NameOf(m.exchange);
  if (!m.passive) {
    if (Verdict may = CheckNewExchange(name, *arguments); !may) return may;
  }
  return AskTopology(m.kId, m.no_wait,
                     broker::DeclareExchange{.name = std::move(name),
                                             .type = std::string(m.type),
                                             .passive = m.passive,
                                             .durable = m.durable,
                                             .auto_delete = m.auto_delete,
                                             .internal = m.internal,
                                             .arguments = std::move(*arguments)});
}

Verdict Channel::CheckNewExchange(ByteView name, const amqp::Table& arguments) const {
  if (Verdict may = CheckExchange(context_, Access::kConfigure, name); !may) return may;
  return CheckPassingOn(context_, CheckExchange(context_, Access::kRead, name), arguments,
                        "alternate-exchange");
}

Verdict Channel::On(const amqp::ExchangeDelete& m) {
  std::string name = NameOf(m.exchange);
  if (Verdict may = CheckExchange(context_, Access::kConfigure, name); !may) return may;
  return AskTopology(m.kId, m.no_wait,
                     broker::DeleteExchange{.name = std::move(name), .if_unused = m.if_unused});
}

Verdict Channel::AskToBind(amqp::MethodId method, bool no_wait, broker::Bind bind,
                           amqp::TableView arguments) {
  auto decoded = arguments.Decode();
  if (!decoded) return Refuse(ReplyCode::kSyntaxError, decoded.error().message);
  bind.arguments = std::move(*decoded);
  if (!bind.to_exchange) {
    // "" for both stands for the last queue under its own name.
    if (bind.destination.empty() && bind.routing_key.empty()) bind.routing_key = last_queue_;
    auto queue = QueueName(bind.destination);
    if (!queue) return std::unexpected(queue.error());
    bind.destination = std::move(*queue);
  }
  if (Verdict may = CheckBinding(bind); !may) return may;
  if (!bind.to_exchange) {
    if (Verdict access = CheckAccess(bind.destination); !access) return access;
  }
  return AskTopology(method, no_wait, std::move(bind));
}

Verdict Channel::CheckBinding(const broker::Bind& bind) const {
  Verdict may = bind.to_exchange ? CheckExchange(context_, Access::kWrite, bind.destination)
                                 : CheckQueue(context_, Access::kWrite, bind.destination);
  if (may) may = CheckExchange(context_, Access::kRead, bind.source);
  if (may) may = CheckTopic(context_, Access::kRead, bind.source, bind.routing_key);
  return may;
}

Verdict Channel::On(const amqp::ExchangeBind& m) {
  return AskToBind(m.kId, m.no_wait,
                   broker::Bind{.to_exchange = true,
                                .source = NameOf(m.source),
                                .destination = NameOf(m.destination),
                                .routing_key = std::string(m.routing_key),
                                .arguments = {}},
                   m.arguments);
}

Verdict Channel::On(const amqp::ExchangeUnbind& m) {
  return AskToBind(m.kId, m.no_wait,
                   broker::Bind{.unbind = true,
                                .to_exchange = true,
                                .source = NameOf(m.source),
                                .destination = NameOf(m.destination),
                                .routing_key = std::string(m.routing_key),
                                .arguments = {}},
                   m.arguments);
}

Verdict Channel::On(const amqp::QueueBind& m) {
  return AskToBind(m.kId, m.no_wait,
                   broker::Bind{.source = NameOf(m.exchange),
                                .destination = NameOf(m.queue),
                                .routing_key = std::string(m.routing_key),
                                .arguments = {}},
                   m.arguments);
}

Verdict Channel::On(const amqp::QueueUnbind& m) {
  return AskToBind(m.kId, false,
                   broker::Bind{.unbind = true,
                                .source = NameOf(m.exchange),
                                .destination = NameOf(m.queue),
                                .routing_key = std::string(m.routing_key),
                                .arguments = {}},
                   m.arguments);
}

Verdict Channel::On(const amqp::QueueDeclare& m) {
  if (m.queue.starts_with(kReplyQueue)) return DeclareReplyQueue(m);
  auto arguments = m.arguments.Decode();
  if (!arguments) return Refuse(ReplyCode::kSyntaxError, arguments.error().message);
  std::string name = NameOf(m.queue);
  if (m.passive && name.empty()) {
    auto last = QueueName(name);
    if (!last) return std::unexpected(last.error());
    name = std::move(*last);
  }
  if (!m.passive) {
    if (Verdict may = CheckNewQueue(name.empty() ? kMadeUpQueueName : name, *arguments); !may) {
      return may;
    }
  }
  if (m.exclusive) context_.may_own_queues = true;
  return AskTopology(m.kId, m.no_wait,
                     broker::DeclareQueue{.name = std::move(name),
                                          .passive = m.passive,
                                          .durable = m.durable,
                                          .exclusive = m.exclusive,
                                          .auto_delete = m.auto_delete,
                                          .arguments = std::move(*arguments),
                                          .max_queues = context_.max_queues});
}

Verdict Channel::CheckNewQueue(ByteView name, const amqp::Table& arguments) const {
  if (Verdict may = CheckQueue(context_, Access::kConfigure, name); !may) return may;
  // Also where it seems to be there already: it may be gone by the time that the topology looks.
  return CheckPassingOn(context_, CheckQueue(context_, Access::kRead, name), arguments,
                        "x-dead-letter-exchange");
}

Verdict Channel::On(const amqp::QueueDelete& m) {
  auto name = QueueName(NameOf(m.queue));
  if (!name) return std::unexpected(name.error());
  if (Verdict may = CheckQueue(context_, Access::kConfigure, *name); !may) return may;
  if (Verdict access = CheckAccess(*name); !access) return access;
  return AskTopology(
      m.kId, m.no_wait,
      broker::DeleteQueue{
          .name = std::move(*name), .if_unused = m.if_unused, .if_empty = m.if_empty});
}

Verdict Channel::On(const amqp::QueuePurge& m) {
  const auto queue = FindQueueToRead(m.queue);
  if (!queue) return std::unexpected(queue.error());
  Await(Awaited::What::kPurged, m.kId, m.no_wait);
  awaited_.name = (*queue)->name;
  context_.ToShard((*queue)->shard, broker::PurgeCommand{id_, (*queue)->id});
  return {};
}

Verdict Channel::OnTopologyReply(broker::TopologyReply& reply) {
  if (!Answered(Awaited::What::kTopology)) return {};
  if (reply.error) {
    return std::unexpected(Exception{*reply.error, std::move(reply.text), awaited_.method});
  }
  if (awaited_.method == amqp::QueueDeclare::kId && reply.queue) {
    last_queue_ = reply.queue->name;
    if (awaited_.no_wait) return {};
    // Only its shard knows how many messages and consumers it has.
    Await(Awaited::What::kCounts, amqp::QueueDeclare::kId);
    awaited_.name = reply.queue->name;
    context_.ToShard(reply.queue->shard, broker::CountCommand{id_, reply.queue->id});
    return {};
  }
  if (awaited_.no_wait) return {};
  switch (awaited_.method) {
    case amqp::ExchangeDeclare::kId:
      context_.Send(id_, amqp::ExchangeDeclareOk{});
      break;
    case amqp::ExchangeDelete::kId:
      context_.Send(id_, amqp::ExchangeDeleteOk{});
      break;
    case amqp::ExchangeBind::kId:
      context_.Send(id_, amqp::ExchangeBindOk{});
      break;
    case amqp::ExchangeUnbind::kId:
      context_.Send(id_, amqp::ExchangeUnbindOk{});
      break;
    case amqp::QueueBind::kId:
      context_.Send(id_, amqp::QueueBindOk{});
      break;
    case amqp::QueueUnbind::kId:
      context_.Send(id_, amqp::QueueUnbindOk{});
      break;
    case amqp::QueueDelete::kId:
      context_.Send(id_, amqp::QueueDeleteOk{.message_count = reply.messages});
      break;
    default:
      break;
  }
  return {};
}

Verdict Channel::OnOutcome(broker::QueueCounts& counts) {
  if (!Answered(Awaited::What::kCounts)) return {};
  context_.Send(id_, amqp::QueueDeclareOk{.queue = awaited_.name,
                                          .message_count = counts.ready,
                                          .consumer_count = counts.consumers});
  return {};
}

Verdict Channel::OnOutcome(broker::Purged& purged) {
  if (!Answered(Awaited::What::kPurged)) return {};
  if (purged.queue_gone) {
    Exception gone = NoQueue(awaited_.name);
    gone.method = awaited_.method;
    return std::unexpected(std::move(gone));
  }
  if (!awaited_.no_wait) {
    context_.Send(id_, amqp::QueuePurgeOk{.message_count = purged.messages});
  }
  return {};
}

}  // namespace landfall::session
