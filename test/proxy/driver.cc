// Both halves of our client as programs, for tests that break what is between them and the broker.
//
//   client_driver send    prints one line a SendCallback:  NUMBER STATUS ATTEMPTS [WHY]
//                         (instead of "failed": fenced, refused, closed …)
//   client_driver receive prints one line a RecvCallback:  recv BODY REDELIVERED COUNT SIZE
//                         (SIZE is 0 if the body is damaged)
//                         one line a lease renewed:        renewed BODY
//                         one line an ack that has landed: acked BODY
//                         and at the end:                  repeats NUMBER
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "landfall/receiver.h"
#include "landfall/sender.h"

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Arguments {
  std::string broker;
  std::string exchange;
  std::string queue;
  std::string declare;
  size_t window = 10;
  // send
  std::string producer;
  std::optional<uint64_t> epoch;
  uint64_t first = 1;
  uint64_t count = 100;
  size_t size = 20;
  uint32_t resend_ms = 700;
  uint32_t heartbeat_s = 1;
  // receive
  std::string at_first = "ack";
  uint32_t ms = 0;
  uint32_t work_ms = 0;
};

void Print(const std::string& line) {
  // One write, so that lines of several threads do not mix.
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fflush(stdout);
}

void PrintError(const landfall::ClientError& error) {
  std::fprintf(stderr, "%s\n", error.message.c_str());
}

std::optional<landfall::QueueDeclaration> Declaration(const Arguments& arguments) {
  if (arguments.declare.empty()) return std::nullopt;
  return landfall::QueueDeclaration{.queue = arguments.queue,
                                    .durable = arguments.declare == "durable"};
}

std::string_view Outcome(const landfall::SendResult& result) {
  switch (result.failure) {
    case landfall::SendFailure::kNone:
      return landfall::SendStatusName(result.status);
    case landfall::SendFailure::kFenced:
      return "fenced";
    case landfall::SendFailure::kRefused:
      return "refused";
    case landfall::SendFailure::kClosed:
      return "closed";
    default:
      return "failed";
  }
}

int Send(const Arguments& arguments) {
  landfall::Sender sender({
      .brokers = {arguments.broker},
      .routing_key = arguments.queue,
      .exchange = arguments.exchange,
      .producer = arguments.producer,
      .epoch = arguments.epoch,
      .max_unconfirmed_messages = arguments.window,
      .resend = {.first = milliseconds(arguments.resend_ms),
                 .cap = milliseconds(std::max(arguments.resend_ms, 5000u))},
      .max_sends = 100,
      .reconnect = {.first = milliseconds(20), .cap = milliseconds(200)},
      .connect_timeout = seconds(2),
      .heartbeat = seconds(arguments.heartbeat_s),
      .declare = Declaration(arguments),
      .on_error = PrintError,
  });
  for (uint64_t number = arguments.first; number < arguments.first + arguments.count; ++number) {
    std::string body = std::to_string(number);
    body.resize(std::max(body.size(), arguments.size), '.');
    landfall::MessageOptions options;
    if (!arguments.producer.empty()) options.sequence = number;
    sender.SendMsg(std::move(body), std::move(options),
                   [number](const landfall::SendResult& result) {
                     Print(std::to_string(number) + " " + std::string(Outcome(result)) + " " +
                           std::to_string(result.attempts) + " " + result.why + "\n");
                   });
  }
  return sender.Close(seconds(120)) ? 0 : 1;
}

void Ack(landfall::Delivery& delivery, const std::string& number) {
  delivery.SendAck([number](landfall::AckStatus status) {
    if (status == landfall::AckStatus::kLanded) Print("acked " + number + "\n");
  });
}

// What comes again is acknowledged, whatever is done at first.
void OnDelivery(const Arguments& arguments, landfall::Delivery delivery) {
  const std::string_view body = delivery.body();
  const std::string number(body.substr(0, body.find('.')));
  const bool damaged = body.find_first_not_of('.', number.size()) != std::string_view::npos;
  Print("recv " + number + " " + std::to_string(delivery.redelivered()) + " " +
        std::to_string(delivery.delivery_count()) + " " +
        std::to_string(damaged ? 0 : body.size()) + "\n");
  const std::string verb = delivery.redelivered() ? "ack" : arguments.at_first;
  if (verb == "renew" && delivery.Renew(milliseconds(arguments.ms))) {
    Print("renewed " + number + "\n");
  }
  std::this_thread::sleep_for(milliseconds(arguments.work_ms));
  if (verb == "nack") {
    delivery.SendNack(milliseconds(arguments.ms));
  } else if (verb == "reject") {
    delivery.Reject();
  } else if (verb == "give-back") {
    delivery.GiveBack();
  } else {
    Ack(delivery, number);
  }
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
          .declare = Declaration(arguments),
          .reconnect = {.first = milliseconds(20), .cap = milliseconds(200)},
          .connect_timeout = seconds(2),
          .heartbeat = seconds(arguments.heartbeat_s),
          .on_error = PrintError,
      },
      [&](landfall::Delivery delivery) { OnDelivery(arguments, std::move(delivery)); });
  int signal = 0;
  sigwait(&signals, &signal);
  const bool stopped = receiver.Stop(seconds(30));
  Print("repeats " + std::to_string(receiver.repeats_dropped()) + "\n");
  return stopped ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  CLI::App app("Drives our client for test/proxy, test/crash and test/interop");
  app.require_subcommand(1);
  CLI::App* send = app.add_subcommand("send");
  CLI::App* receive = app.add_subcommand("receive");
  for (CLI::App* command : {send, receive}) {
    command->add_option("--broker", arguments.broker)->required();
    command->add_option("--queue", arguments.queue);
    command->add_option("--window", arguments.window, "messages unconfirmed, or prefetched");
    command->add_option("--heartbeat", arguments.heartbeat_s, "seconds");
    command->add_option("--declare", arguments.declare)
        ->check(CLI::IsMember({"durable", "transient"}));
  }
  send->add_option("--exchange", arguments.exchange);
  send->add_option("--producer", arguments.producer, "a stable name; numbers become sequences");
  send->add_option("--epoch", arguments.epoch);
  send->add_option("--first", arguments.first, "number of the first message");
  send->add_option("--count", arguments.count);
  send->add_option("--size", arguments.size, "least size of a body");
  send->add_option("--resend", arguments.resend_ms, "milliseconds until the first resend");
  receive->add_option("--at-first", arguments.at_first, "what to do with what is new")
      ->check(CLI::IsMember({"ack", "nack", "reject", "renew", "give-back"}));
  receive->add_option("--ms", arguments.ms, "the nack's delay, or the lease to renew");
  receive->add_option("--work", arguments.work_ms, "milliseconds for each message");
  CLI11_PARSE(app, argc, argv);
  return *send ? Send(arguments) : Receive(arguments);
}
