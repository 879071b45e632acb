#include "admin/caller.h"

#include "base/assert.h"

namespace landfall::admin {

bool Caller::Meets(Need need) const {
  switch (need) {
    case Need::kNobody:
      return true;
    case Need::kManagement:
      return is_management();
    case Need::kPolicymaker:
      return is_policymaker();
    case Need::kMonitoring:
      return is_monitor();
    case Need::kAdministrator:
      return is_administrator();
  }
  LANDFALL_ASSERT(false);
}

std::string_view NameOf(Need need) {
  switch (need) {
    case Need::kNobody:
      return "nobody";
    case Need::kManagement:
      return "management";
    case Need::kPolicymaker:
      return "policymaker";
    case Need::kMonitoring:
      return "monitoring";
    case Need::kAdministrator:
      return "administrator";
  }
  LANDFALL_ASSERT(false);
}

std::string_view RefusalOf(Need need) {
  switch (need) {
    case Need::kNobody:
      break;
    case Need::kManagement:
      return "Not management user";
    case Need::kPolicymaker:
      return "User not authorised to access object";
    case Need::kMonitoring:
      return "Not monitor user";
    case Need::kAdministrator:
      return "Not administrator user";
  }
  LANDFALL_ASSERT(false);
}

}  // namespace landfall::admin
