#include "client/broker_tls.h"

#include "base/assert.h"

namespace landfall::client {

void FillIn(BrokerUrl& broker, const TlsOptions& options) {
  LANDFALL_ASSERT(broker.tls);
  BrokerTls& tls = *broker.tls;
  if (tls.ca_file.empty()) tls.ca_file = options.ca_file;
  if (tls.server_name.empty()) tls.server_name = options.server_name;
  // Never the certificate of one and the key of the other.
  if (tls.certificate_file.empty() && tls.key_file.empty()) {
    tls.certificate_file = options.certificate_file;
    tls.key_file = options.key_file;
  }
  if (!tls.verify) tls.verify = !options.dangerously_accept_any_certificate;
  if (!broker.mechanism && options.login_with_certificate) {
    broker.mechanism = SaslMechanism::kExternal;
  }
}

net::TlsClientOptions ClientOptionsOf(const BrokerUrl& broker) {
  LANDFALL_ASSERT(broker.tls);
  const BrokerTls& tls = *broker.tls;
  return {.ca_file = tls.ca_file,
          .certificate_file = tls.certificate_file,
          .key_file = tls.key_file,
          .server_name = tls.server_name.empty() ? broker.host : tls.server_name,
          .verify = tls.verify.value_or(true)};
}

Result<std::shared_ptr<SSL_CTX>> MakeTlsContext(const BrokerUrl& broker) {
  const auto refuse = [&](const std::string& why) {
    return Fail(ErrorCode::kInvalidArgument, broker.Address() + ": " + why);
  };
  const bool external = broker.mechanism == SaslMechanism::kExternal;
  if (external && (!broker.tls || broker.tls->certificate_file.empty())) {
    return refuse(
        "a login with a certificate (auth_mechanism=external) needs amqps://, certfile "
        "and keyfile");
  }
  if (!broker.tls) return nullptr;
  if (broker.tls->certificate_file.empty() != broker.tls->key_file.empty()) {
    return refuse("a certificate (certfile) and its key (keyfile) need each other");
  }
  auto context = net::MakeTlsClientContext(ClientOptionsOf(broker));
  if (!context) return refuse(context.error().message);
  return context;
}

}  // namespace landfall::client
