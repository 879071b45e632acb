#pragma once

#include <string>

#include "amqp/table.h"
#include "broker/policy.h"
#include "broker/queue_config.h"

// What holds for a queue or an exchange that has arguments and to which policies apply: the table
// of precedence in docs/policies.md.
namespace landfall::broker {

// The arguments with which a queue without policies would behave the same. Either policy may be
// null.
amqp::Table EffectiveArguments(const amqp::Table& arguments, const Policy* policy,
                               const Policy* operator_policy);

// `arguments` have been parsed and both policies checked before, so nothing can be wrong.
QueueConfig EffectiveConfig(const amqp::Table& arguments, const Policy* policy,
                            const Policy* operator_policy);

// The alternate exchange, or empty.
std::string EffectiveAlternate(const amqp::Table& arguments, const Policy* policy);

}  // namespace landfall::broker
