#pragma once

#include <memory>

#include "amqp/table.h"
#include "broker/command.h"
#include "session/exception.h"

namespace landfall::session {

// The sender's identity of a message, from its headers: x-producer (string), x-producer-epoch,
// x-producer-sequence (from 1) and x-producer-lowest (integers). Null unless both producer and
// sequence are there. A value that cannot be is a channel exception: to take the message without
// its identity would store repeats without anybody's knowing.
std::expected<std::unique_ptr<const broker::Identity>, Exception> ReadIdentity(
    amqp::TableView headers);

}  // namespace landfall::session
