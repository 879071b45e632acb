#pragma once

#include <memory>
#include <mutex>
#include <string>

#include "base/error.h"
#include "net/tls_stream.h"

namespace landfall::server {

// What is asked of a client's certificate.
enum class TlsVerify {
  kNone,
  kOptional,  // one that is shown has to be right
  kRequired,
};

using net::TlsLoginFrom;

struct TlsOptions {
  std::string certificate_file;  // PEM, the server's own first, then what leads to the root
  std::string key_file;          // PEM, without a pass phrase
  std::string ca_file;           // PEM, those that clients' certificates have to lead to
  TlsVerify verify = TlsVerify::kNone;
  TlsLoginFrom login_from = TlsLoginFrom::kCommonName;
};

// The certificates of the listener. What a handshake has begun with it keeps, so Load can replace
// them while connections are open.
//
// Thread: any, several at a time.
class TlsContext {
 public:
  explicit TlsContext(TlsOptions options);

  // Reads the files. On an error, which names the file, what was there before stays in force.
  Result<void> Load();
  // Null before the first Load.
  std::shared_ptr<SSL_CTX> current() const;
  const TlsOptions& options() const { return options_; }

 private:
  const TlsOptions options_;
  mutable std::mutex mutex_;
  std::shared_ptr<SSL_CTX> current_;
};

}  // namespace landfall::server
