// The producers and consumers that test_crash.py starts, kills and starts again.
#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>

#include "consume.h"
#include "crashtest/link.h"
#include "produce.h"

namespace {

volatile std::sig_atomic_t g_stopping = 0;

}  // namespace

int main(int argc, char** argv) {
  landfall::crash::ProduceOptions produce;
  landfall::crash::ConsumeOptions consume;
  CLI::App app("Load for test/crash; SIGTERM ends it in order");
  app.require_subcommand(1);
  CLI::App* producer = app.add_subcommand("produce");
  producer->add_option("--port", produce.port)->required();
  producer->add_option("--book", produce.book)->required();
  producer->add_option("--exchange", produce.exchange)->required();
  producer->add_option("--name", produce.name)->required();
  producer->add_option("--index", produce.index);
  producer->add_option("--rate", produce.rate);
  CLI::App* consumer = app.add_subcommand("consume");
  consumer->add_option("--port", consume.port)->required();
  consumer->add_option("--book", consume.book)->required();
  consumer->add_option("--queue", consume.queue)->required();
  consumer->add_option("--reject-every", consume.reject_every);
  consumer->add_option("--return-every", consume.return_every);
  CLI11_PARSE(app, argc, argv);

  std::signal(SIGTERM, [](int) { g_stopping = 1; });
  // Whoever started us may have blocked it, so that none comes before we can take it.
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_UNBLOCK, &signals, nullptr);
  try {
    if (*producer) landfall::crash::Produce(produce, g_stopping);
    if (*consumer) landfall::crash::Consume(consume, g_stopping);
  } catch (const landfall::crashtest::LinkRefused& refused) {
    std::fprintf(stderr, "%s\n", refused.what());
    return 3;
  }
  return 0;
}
