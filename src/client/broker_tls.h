#pragma once

#include <memory>

#include "base/error.h"
#include "client/url.h"
#include "landfall/connection.h"
#include "net/tls_client.h"

namespace landfall::client {

// Fills in what the URL leaves to the options. Only for a URL with TLS.
void FillIn(BrokerUrl& broker, const TlsOptions& options);

// What a URL with TLS asks for.
net::TlsClientOptions ClientOptionsOf(const BrokerUrl& broker);

// Says what cannot be meant about the login and the certificate, reads the files, and gives what
// connections to this broker begin with: null for one without TLS. Errors: kInvalidArgument.
Result<std::shared_ptr<SSL_CTX>> MakeTlsContext(const BrokerUrl& broker);

}  // namespace landfall::client
