#include "session/permission_check.h"

namespace landfall::session {

using access::Access;

namespace {

std::unexpected<Exception> RefuseAccess(const ConnectionContext& context, Access access,
                                        std::string_view what) {
  return Refuse(amqp::ReplyCode::kAccessRefused,
                std::string(AccessName(access)) + " access to " + std::string(what) +
                    " in vhost '" + context.vhost + "' refused for user '" + context.user + "'");
}

Verdict Check(const ConnectionContext& context, Access access, std::string_view kind,
              std::string_view name) {
  if (context.permissions && context.permissions->May(access, name)) return {};
  return RefuseAccess(context, access, std::string(kind) + " '" + std::string(name) + "'");
}

}  // namespace

Verdict CheckQueue(const ConnectionContext& context, Access access, ByteView name) {
  return Check(context, access, "queue", name);
}

Verdict CheckExchange(const ConnectionContext& context, Access access, ByteView name) {
  return Check(context, access, "exchange", name.empty() ? "amq.default" : name);
}

Verdict CheckTopic(const ConnectionContext& context, Access access, ByteView exchange,
                   ByteView routing_key) {
  if (context.permissions && context.permissions->MayUseTopic(access, exchange, routing_key)) {
    return {};
  }
  const broker::VhostRef vhost = context.FindVhost();
  const broker::ExchangeRef* found = vhost ? vhost->exchanges.Find(exchange) : nullptr;
  if (found == nullptr || (*found)->routing() != broker::ExchangeType::kTopic) return {};
  return RefuseAccess(
      context, access,
      "topic '" + std::string(routing_key) + "' in exchange topic '" + std::string(exchange) + "'");
}

Verdict PublishPermits::Look(const ConnectionContext& context, ByteView exchange) {
  if (version_ != context.access_version) {
    version_ = 0;
    size_ = next_ = last_ = 0;
  }
  for (size_t i = 0; i < size_; ++i) {
    if (names_[i] != exchange) continue;
    last_ = i;
    return {};
  }
  if (Verdict allowed = CheckExchange(context, Access::kWrite, exchange); !allowed) return allowed;
  version_ = context.access_version;
  last_ = next_;
  names_[last_] = exchange;
  next_ = (next_ + 1) % kNames;
  if (size_ < kNames) ++size_;
  return {};
}

}  // namespace landfall::session
