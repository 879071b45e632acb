#include <landfall/receiver.h>
#include <landfall/sender.h>

#include <cstdio>

// Nobody listens where it connects to: what counts is that it compiles, links, starts and ends.
int main() {
  landfall::Sender sender(
      {.brokers = {"amqp://guest:guest@127.0.0.1:1/"}, .routing_key = "orders"});
  landfall::Receiver receiver({.brokers = {"amqp://guest:guest@127.0.0.1:1/"}, .queue = "orders"},
                              [](landfall::Delivery d) { d.SendAck(); });
  std::puts("the package works");
}
