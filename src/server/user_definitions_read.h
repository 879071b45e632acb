#pragma once

#include <set>
#include <string>
#include <vector>

#include "server/definition_entry.h"
#include "server/user_definitions.h"

namespace landfall::server {

// Reads the sections of definitions that are about users and limits, entry by entry. What is wrong
// with an entry is said to the entry.
class UserDefinitionsReader {
 public:
  // Of entries of `users`, `permissions` and `topic_permissions`.
  void ReadUser(DefinitionEntry& e);
  void ReadPermission(DefinitionEntry& e);
  void ReadTopicPermission(DefinitionEntry& e);
  // `field` of an entry (`limits` of `vhosts`, `value` of `parameters`), if it is there.
  void ReadVhostLimits(DefinitionEntry& e, const char* field, const std::string& vhost);

  UserDefinitions read;
  std::vector<std::string> left_out;  // limits that do not exist here

 private:
  using Limit = UserDefinitions::Limit;
  struct Known {
    std::string_view name;
    std::optional<Limit>* to;
  };

  UserDefinitions::Password ReadPassword(DefinitionEntry& e);
  void ReadLimits(DefinitionEntry& e, const char* field, const std::vector<Known>& known);

  std::set<std::string> names_;
};

}  // namespace landfall::server
