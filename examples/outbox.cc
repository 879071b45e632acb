// Sends what stands in an outbox, so that every row reaches the queue once, whenever this process
// or the broker dies and however often this is run again.
//
// A program that changes its database and sends a message about it must not do one without the
// other. So it writes the message into a table, the outbox, in the same transaction; and a loop
// like this one sends the rows and removes those that have landed. Two things make it safe:
//   - a row is removed only after its SendCallback has said that it landed;
//   - the producer has a stable name, and the row's id is the message's sequence: a row that is
//   sent
//     again, because the confirm or this process was lost, is recognised and stored once.
//
// Here two files stand for the table: FILE has one row a line, the line number is its id; FILE.sent
// has the ids of those that have landed.
//
//   outbox FILE [amqp://user:password@host:port/vhost]
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include "landfall/sender.h"

namespace {

// Rows by id, without those that have been sent.
std::map<uint64_t, std::string> ReadOutbox(const std::string& path) {
  std::map<uint64_t, std::string> rows;
  std::ifstream file(path);
  std::string row;
  for (uint64_t id = 1; std::getline(file, row); ++id) rows[id] = row;
  std::ifstream sent(path + ".sent");
  for (uint64_t id = 0; sent >> id;) rows.erase(id);
  return rows;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: outbox FILE [BROKER]\n");
    return 2;
  }
  const std::string path = argv[1];
  const std::string broker = argc > 2 ? argv[2] : "amqp://guest:guest@127.0.0.1:5672/";

  const std::map<uint64_t, std::string> rows = ReadOutbox(path);
  if (rows.empty()) return 0;
  std::ofstream sent(path + ".sent", std::ios::app);
  int failures = 0;

  // One process at a time uses this name; if two run by accident, the older one is fenced.
  landfall::Sender sender({.brokers = {broker},
                           .routing_key = "outbox",
                           .producer = "outbox-example",
                           .declare = {{.queue = "outbox"}}});
  // No smaller id will ever be sent again: the broker need not remember those.
  sender.SetLowestSequence(rows.begin()->first);

  for (const auto& [id, row] : rows) {
    sender.SendMsg(row, {.sequence = id}, [&, id = id](const landfall::SendResult& result) {
      // Callbacks come one after another on one thread, so nothing here needs a lock.
      if (result.ok()) {
        sent << id << std::endl;
      } else {
        std::fprintf(stderr, "row %llu: %s\n", static_cast<unsigned long long>(id),
                     result.why.c_str());
        ++failures;
      }
    });
  }

  sender.Close(std::chrono::seconds(60));
  return failures == 0 ? 0 : 1;
}
