#pragma once

#include <functional>
#include <memory>
#include <string>

#include "client/fake_broker.h"

namespace landfall::client {

// A FakeBroker behind a real socket on 127.0.0.1, with a thread of its own.
class LoopbackBroker {
 public:
  LoopbackBroker();
  ~LoopbackBroker();
  LoopbackBroker(const LoopbackBroker&) = delete;
  LoopbackBroker& operator=(const LoopbackBroker&) = delete;

  std::string url() const;

  // Runs `use` with the broker, not at the same time as its thread, and lets it say what it has to.
  void With(const std::function<void(FakeBroker&)>& use);
  // Breaks all connections.
  void Cut();

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace landfall::client
