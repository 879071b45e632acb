#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "apps/failure.h"

namespace landfall::apps {

struct ApiAddress {
  std::string host;
  uint16_t port = 15672;
  std::string path;  // before "/api": behind a proxy
  bool tls = false;
};

// Of http://host:port or https://host:port (15671 unless it is said). Errors: kInvalidArgument; a
// URL with a user or a password in it is one, since others see a process's arguments.
Result<ApiAddress> ParseApiUrl(const std::string& url);

// "a b/c" as a part of a path: "a%20b%2Fc".
std::string Quoted(std::string_view name);

using QueryFields = std::vector<std::pair<std::string, std::string>>;
// The path with ?name=value&…; as it is when there are none.
std::string WithQuery(std::string path, const QueryFields& fields);

// One user of a broker's HTTP API. A connection is made when it is needed and kept.
//
// Thread: one. Every call waits, with a bound on the time.
class ApiClient {
 public:
  struct Login {
    std::string user;
    std::string password;
  };
  struct Answer {
    unsigned status = 0;
    nlohmann::json body;  // null if there is none
  };
  // An answer that is larger is not taken.
  static constexpr uint64_t kMaxAnswerBytes = uint64_t{256} << 20;

  // `ca_file`: the authorities (PEM) that a server with TLS, and no other, is to be vouched for by;
  // "": the system's. Errors: kInvalidArgument.
  static Result<std::unique_ptr<ApiClient>> Make(ApiAddress address, const Login& login,
                                                 const std::string& ca_file,
                                                 std::chrono::seconds timeout);
  ~ApiClient();
  ApiClient(const ApiClient&) = delete;
  ApiClient& operator=(const ApiClient&) = delete;

  // Whatever the status is. `target`: the path, encoded, with its query. Failures: nobody answers,
  // or with something that is no answer of the API.
  Outcome<Answer> Send(std::string_view method, const std::string& target,
                       const nlohmann::json& body = nullptr);

  // The body of an answer that says that it is done; anything else is a failure with the broker's
  // words.
  Outcome<nlohmann::json> Get(const std::string& target) { return Ask("GET", target); }
  Outcome<nlohmann::json> Put(const std::string& target, const nlohmann::json& body) {
    return Ask("PUT", target, body);
  }
  Outcome<nlohmann::json> Post(const std::string& target, const nlohmann::json& body) {
    return Ask("POST", target, body);
  }
  Outcome<nlohmann::json> Delete(const std::string& target) { return Ask("DELETE", target); }

  // All of a list that is given in pages, or the first `at_most`.
  Outcome<nlohmann::json> GetList(const std::string& path, QueryFields query = {},
                                  size_t at_most = SIZE_MAX);

 private:
  class Wire;
  struct Tls;

  ApiClient(ApiAddress address, const Login& login, std::unique_ptr<Tls> tls,
            std::chrono::seconds timeout);
  Outcome<nlohmann::json> Ask(std::string_view method, const std::string& target,
                              const nlohmann::json& body = nullptr);
  std::string Where() const;

  const ApiAddress address_;
  const std::string authorization_;
  const std::chrono::seconds timeout_;
  const std::unique_ptr<Tls> tls_;  // null: in the clear
  std::unique_ptr<Wire> wire_;      // null: not connected
};

// What an answer that is no success means.
Failure FailureOf(const ApiClient::Answer& answer);

}  // namespace landfall::apps
