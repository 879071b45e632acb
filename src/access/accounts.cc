#include "access/accounts.h"

#include <algorithm>

namespace landfall::access {

PermissionsRef Account::In(std::string_view vhost) const {
  const auto it = vhosts.find(vhost);
  return it == vhosts.end() ? elsewhere : it->second;
}

bool Account::HasTag(std::string_view tag) const {
  return std::find(tags.begin(), tags.end(), tag) != tags.end();
}

AccountRef Accounts::Find(std::string_view user) const {
  const auto it = users.find(user);
  return it == users.end() ? anybody : it->second;
}

VhostLimits Accounts::LimitsOf(std::string_view vhost) const {
  const auto it = vhost_limits.find(vhost);
  return it == vhost_limits.end() ? VhostLimits{} : it->second;
}

AccountsRef Accounts::WithoutLimits() {
  auto accounts = std::make_shared<Accounts>();
  auto account = std::make_shared<Account>();
  account->elsewhere = FullPermissions();
  accounts->anybody = std::move(account);
  return accounts;
}

}  // namespace landfall::access
