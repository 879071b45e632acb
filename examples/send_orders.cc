// The sending half: hands over a few orders and hears what became of each.
//
//   send_orders [amqp://user:password@host:port/vhost]
#include <atomic>
#include <chrono>
#include <cstdio>
#include <string>

#include "landfall/sender.h"

int main(int argc, char** argv) {
  const std::string broker = argc > 1 ? argv[1] : "amqp://guest:guest@127.0.0.1:5672/";
  std::atomic<int> missing = 0;

  landfall::Sender sender({.brokers = {broker},
                           .routing_key = "orders",
                           .declare = {{.queue = "orders"}},
                           .on_error = [](const landfall::ClientError& error) {
                             std::fprintf(stderr, "%s\n", error.message.c_str());
                           }});

  for (int i = 1; i <= 10; ++i) {
    const std::string order = "order " + std::to_string(i);
    ++missing;
    // Until this callback the order is in this process's memory and nowhere else.
    sender.SendMsg(order, [&missing, order](const landfall::SendResult& result) {
      std::printf("%s: %s %s\n", order.c_str(),
                  std::string(landfall::SendStatusName(result.status)).c_str(), result.why.c_str());
      if (result.ok()) --missing;
    });
  }

  // What is not confirmed by then is told kFailed when the Sender goes.
  sender.Close(std::chrono::seconds(60));
  return missing == 0 ? 0 : 1;
}
