#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/accounts.h"

namespace landfall::admin {

// What an endpoint asks of whoever calls it: one of these tags, of which administrator stands for
// all, and management is what each of them brings.
enum class Need : uint8_t {
  kNobody,  // not even a login
  kManagement,
  kPolicymaker,
  kMonitoring,
  kAdministrator
};

// The user on whose behalf a request is served, as RabbitMQ's tags have it.
struct Caller {
  std::string user;
  access::AccountRef account;
  bool loopback = false;
  // Of the console that asks; 0: it has sent name and password.
  uint64_t session = 0;

  bool is_administrator() const { return account->HasTag("administrator"); }
  bool is_monitor() const { return is_administrator() || account->HasTag("monitoring"); }
  bool is_policymaker() const { return is_administrator() || account->HasTag("policymaker"); }
  bool is_management() const {
    return is_monitor() || is_policymaker() || account->HasTag("management");
  }
  bool Meets(Need need) const;
  // May open it with AMQP.
  bool MayUse(std::string_view vhost) const { return account->In(vhost) != nullptr; }
  // May look at what is in it through the API.
  bool MaySee(std::string_view vhost) const { return is_administrator() || MayUse(vhost); }
  // May look at connections of this user, and know where they come from: monitors at all of them,
  // others at their own.
  bool MaySeeConnectionsOf(std::string_view other) const { return is_monitor() || user == other; }
};

// "management" …, as the list of routes has it.
std::string_view NameOf(Need need);

// Why a caller is refused who does not meet the need, in RabbitMQ's words.
std::string_view RefusalOf(Need need);

}  // namespace landfall::admin
