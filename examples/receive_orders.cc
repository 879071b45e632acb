// The receiving half: works on orders until it is told to stop (Ctrl-C).
//
//   receive_orders [amqp://user:password@host:port/vhost]
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <exception>
#include <string>

#include "landfall/receiver.h"

namespace {

void HandleOrder(std::string_view order) {
  std::printf("%.*s\n", static_cast<int>(order.size()), order.data());
}

}  // namespace

int main(int argc, char** argv) {
  const std::string broker = argc > 1 ? argv[1] : "amqp://guest:guest@127.0.0.1:5672/";

  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGINT);
  sigaddset(&stop_signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &stop_signals, nullptr);

  landfall::Receiver receiver({.brokers = {broker},
                               .queue = "orders",
                               .concurrency = 4,
                               .declare = landfall::QueueDeclaration{},
                               .on_error =
                                   [](const landfall::ClientError& error) {
                                     std::fprintf(stderr, "%s\n", error.message.c_str());
                                   }},
                              [](landfall::Delivery d) {
                                try {
                                  HandleOrder(d.body());
                                  d.SendAck();
                                } catch (const std::exception& failed) {
                                  std::fprintf(stderr, "%s\n", failed.what());
                                  d.SendNack(std::chrono::seconds(10));  // try again later
                                }
                              });

  int signal = 0;
  sigwait(&stop_signals, &signal);
  // Finishes the orders that are being worked on; the others go back to the queue.
  return receiver.Stop(std::chrono::seconds(30)) ? 0 : 1;
}
