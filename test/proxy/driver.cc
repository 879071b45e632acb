// Both halves of our client as programs, for tests that break what is between them and the broker.
//
//   client_driver send    prints one line a SendCallback:  NUMBER STATUS ATTEMPTS [WHY]
//   client_driver receive prints one line a RecvCallback:  recv BODY REDELIVERED COUNT
//                         one line an ack that has landed: acked BODY
//                         and at the end:                  repeats NUMBER
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>

#include "landfall/receiver.h"
#include "landfall/sender.h"

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Arguments {
  std::string broker;
  std::string exchange;
  std::string queue;
  std::string producer;
  uint64_t first = 1;
  uint64_t count = 100;
  size_t window = 10;
  size_t size = 20;
};

void Print(const std::string& line) {
  // One write, so that lines of several threads do not mix.
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void PrintError(const landfall::ClientError& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
}

int Send(const Arguments& arguments) {
  landfall::Sender sender({
      .brokers = {arguments.broker},
      .routing_key = arguments.queue,
      .exchange = arguments.exchange,
      .producer = arguments.producer,
      .max_unconfirmed_messages = arguments.window,
      .resend = {.first = milliseconds(700), .cap = seconds(5)},
      .max_sends = 100,
      .reconnect = {.first = milliseconds(20), .cap = milliseconds(200)},
      .connect_timeout = seconds(2),
      .heartbeat = seconds(1),
      .on_error = PrintError,
  });
  for (uint64_t number = arguments.first; number < arguments.first + arguments.count; ++number) {
    std::string body = std::to_string(number);
    body.resize(std::max(body.size(), arguments.size), '.');
    landfall::MessageOptions options;
    if (!arguments.producer.empty()) options.sequence = number;
    sender.SendMsg(std::move(body), std::move(options),
                   [number](const landfall::SendResult& result) {
                     Print(std::to_string(number) + " " +
                           std::string(landfall::SendStatusName(result.status)) + " " +
                           std::to_string(result.attempts) + " " + result.why + "\n");
                   });
  }
  return sender.Close(seconds(120)) ? 0 : 1;
}

int Receive(const Arguments& arguments) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);  // before threads are made; they inherit it
  landfall::Receiver receiver(
      {
          .brokers = {arguments.broker},
          .queue = arguments.queue,
          .prefetch = static_cast<uint32_t>(arguments.window),
          .reconnect = {.first = milliseconds(20), .cap = milliseconds(200)},
          .connect_timeout = seconds(2),
          .heartbeat = seconds(1),
          .on_error = PrintError,
      },
      [](landfall::Delivery delivery) {
        const std::string body(delivery.body().substr(0, delivery.body().find('.')));
        Print("recv " + body + " " + std::to_string(delivery.redelivered()) + " " +
              std::to_string(delivery.delivery_count()) + "\n");
        delivery.SendAck([body](landfall::AckStatus status) {
          if (status == landfall::AckStatus::kLanded) Print("acked " + body + "\n");
        });
      });
  int signal = 0;
  sigwait(&signals, &signal);
  const bool stopped = receiver.Stop(seconds(30));
  Print("repeats " + std::to_string(receiver.repeats_dropped()) + "\n");
  return stopped ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Drives our client for test/proxy and test/crash");
  app.require_subcommand(1);
  CLI::App* send = app.add_subcommand("send");
  CLI::App* receive = app.add_subcommand("receive");
  for (CLI::App* command : {send, receive}) {
    command->add_option("--broker", arguments.broker)->required();
    command->add_option("--queue", arguments.queue);
    command->add_option("--window", arguments.window);
  }
  send->add_option("--exchange", arguments.exchange);
  send->add_option("--producer", arguments.producer, "a stable name; numbers become sequences");
  send->add_option("--first", arguments.first, "number of the first message");
  send->add_option("--count", arguments.count);
  send->add_option("--size", arguments.size, "least size of a body");
  CLI11_PARSE(app, argc, argv);
  return *send ? Send(arguments) : Receive(arguments);
}
