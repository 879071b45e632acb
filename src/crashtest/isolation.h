#pragma once

#include "base/error.h"

namespace landfall::crashtest {

// Gives this process mounts and a loopback network of its own, for good: what is mounted from here
// on goes when the last of our processes goes, however they end, and every port is free. Call it
// before there are threads. kAccessRefused: this machine or this user may not.
Result<void> Isolate();

}  // namespace landfall::crashtest
