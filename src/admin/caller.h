#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "access/accounts.h"

namespace landfall::admin {

// What an endpoint asks of whoever calls it: one of these tags, of which administrator stands for
// all, and management is what each of them brings.
enum class Need : uint8_t { kManagement, kPolicymaker, kMonitoring, kAdministrator };

// The user on whose behalf a request is served, as RabbitMQ's tags have it.
struct Caller {
  std::string user;
  access::AccountRef account;
  bool loopback = false;

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
};

// Why a caller is refused who does not meet the need, in RabbitMQ's words.
std::string_view RefusalOf(Need need);

}  // namespace landfall::admin
