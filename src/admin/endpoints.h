#pragma once

#include "admin/router.h"

// What the API serves, one file a kind of object. docs/http-api.md is the list for people.
namespace landfall::admin {

void AddOverviewEndpoints(Router& router);
void AddQueueEndpoints(Router& router);
void AddMessageEndpoints(Router& router);
void AddExchangeEndpoints(Router& router);
void AddBindingEndpoints(Router& router);
void AddConnectionEndpoints(Router& router);
void AddUserEndpoints(Router& router);
void AddPolicyEndpoints(Router& router);
void AddDefinitionEndpoints(Router& router);
void AddHealthEndpoints(Router& router);
void AddMetricsEndpoints(Router& router);
void AddSessionEndpoints(Router& router);
void AddLimitEndpoints(Router& router);
void AddPeekEndpoints(Router& router);
void AddMoveEndpoints(Router& router);
void AddWatchEndpoints(Router& router);
void AddTraceEndpoints(Router& router);
void AddStorageEndpoints(Router& router);

}  // namespace landfall::admin
