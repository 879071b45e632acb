#pragma once

#include <chrono>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/error.h"
#include "client/link.h"
#include "landfall/connection.h"

namespace landfall::client {

// The checks of options that Sender and Receiver share. Each throws std::invalid_argument with a
// sentence that names the option: a constructor has no other way, and this is before anything runs.
LinkOptions MakeLinkOptions(const std::vector<std::string>& brokers, const RetryTimes& reconnect,
                            std::chrono::milliseconds connect_timeout,
                            std::chrono::seconds heartbeat, const std::string& connection_name,
                            const TlsOptions& tls);
void CheckName(const std::string& option, const std::string& value);
void CheckDeclaration(const QueueDeclaration& declaration);
[[noreturn]] void BadOption(const std::string& option, const std::string& why);

// Tells the person's handler; what it throws is dropped.
void Report(const ErrorHandler& handler, const Error& error);
void Report(const ErrorHandler& handler, ErrorKind kind, std::string message);

// Runs a callback of the person's; what it throws is reported.
template <class Callback>
void RunCallback(const ErrorHandler& handler, const char* which, const Callback& callback) {
  try {
    callback();
  } catch (const std::exception& e) {
    Report(handler, ErrorKind::kCallback, std::string(which) + " threw: " + e.what());
  } catch (...) {
    Report(handler, ErrorKind::kCallback,
           std::string(which) + " threw something that is no std::exception");
  }
}

// A seed for jitter.
uint64_t RandomSeed();
// A name that nobody else has or can guess.
std::string RandomName();

}  // namespace landfall::client
