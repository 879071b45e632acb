#include "admin/forms.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "admin/reply.h"

namespace landfall::admin {
namespace {

using nlohmann::json;

TEST(QueueForm, HasTheFieldsThatClientsOfRabbitMqLookAt) {
  broker::Vhost vhost{.name = "/"};
  broker::QueueInfo queue;
  queue.vhost = "/";
  queue.name = "orders";
  queue.durable = true;
  queue.arguments = {{"x-queue-type", "quorum"}, {"x-max-length", 5}};
  QueueRow row;
  row.now.ready = 3;
  row.now.unacked = 2;
  row.now.delayed = 1;
  row.now.held = 6;
  row.now.consumers = 4;
  row.now.ledger.accepted = 10;
  row.now.ledger.Leave(broker::LeaveReason::kAcked, 4);
  row.rates.publish = 1.5;
  const json form = QueueForm(queue, row, {.vhost = vhost, .node = "n", .owner = ""});
  EXPECT_EQ(form["messages"], 6);
  EXPECT_EQ(form["messages_ready"], 3);
  EXPECT_EQ(form["messages_unacknowledged"], 2);
  EXPECT_EQ(form["consumers"], 4);
  EXPECT_EQ(form["type"], "quorum");
  EXPECT_EQ(form["arguments"]["x-max-length"], 5);
  EXPECT_EQ(form["policy"], nullptr);
  EXPECT_EQ(form["message_stats"]["publish"], 10);
  EXPECT_EQ(form["message_stats"]["publish_details"]["rate"], 1.5);
  EXPECT_EQ(form["message_stats"]["ack"], 4);
  EXPECT_FALSE(form.contains("owner_pid_details"));
}

// Or a list sorted by one would be in another order than its values.
TEST(QueueForm, HasTheNumbersThatListsAreSortedBy) {
  broker::Vhost vhost{.name = "/"};
  broker::QueueInfo queue;
  queue.name = "q";
  QueueRow row;
  row.now = {.ready = 1, .unacked = 2, .delayed = 4, .memory = 8, .consumers = 16};
  row.rates = {.publish = 0.5, .deliver = 0.25, .ack = 0.125, .messages = 0.75};
  const json form = QueueForm(queue, row, {.vhost = vhost, .node = "n", .owner = ""});
  for (const char* column :
       {"messages", "messages_ready", "messages_unacknowledged", "messages_delayed", "consumers",
        "memory", "messages_details.rate", "message_stats.publish_details.rate",
        "message_stats.deliver_get_details.rate", "message_stats.ack_details.rate"}) {
    std::string pointer = "/" + std::string(column);
    std::ranges::replace(pointer, '.', '/');
    EXPECT_EQ(NumberOf(row, column), form.at(json::json_pointer(pointer)).get<double>()) << column;
  }
  EXPECT_EQ(NumberOf(row, "name"), std::nullopt);
}

TEST(LedgerForm, TellsAnImbalanceInBothDirections) {
  broker::Ledger ledger{.accepted = 5};
  ledger.Leave(broker::LeaveReason::kAcked, 2);
  EXPECT_EQ(LedgerForm(ledger, 3)["imbalance"], 0);
  EXPECT_EQ(LedgerForm(ledger, 2)["imbalance"], 1);
  EXPECT_EQ(LedgerForm(ledger, 4)["imbalance"], -1);
  EXPECT_EQ(LedgerForm(ledger, 4)["balances"], false);
  EXPECT_EQ(LedgerForm(ledger, 3)["left"]["acked"], 2);
}

TEST(PropertiesKey, NamesABindingAsRabbitMqDoes) {
  broker::Binding binding{.source = "x"};
  EXPECT_EQ(PropertiesKey(binding), "~");
  binding.routing_key = "a.b/c~";
  EXPECT_EQ(PropertiesKey(binding), "a.b%2Fc%7E");
  binding.arguments = {{"k", 1}};
  const std::string with_one = PropertiesKey(binding);
  EXPECT_TRUE(with_one.starts_with("a.b%2Fc%7E~"));
  binding.arguments = {{"k", 2}};
  EXPECT_NE(PropertiesKey(binding), with_one);
}

TEST(Json, SaysBytesThatAreNoTextAsFarAsItCan) {
  EXPECT_EQ(JsonText(json{{"name", "a\xff"}}), "{\"name\":\"a\xEF\xBF\xBD\"}");
}

TEST(ConnectionForm, TellsAddressesApart) {
  ConnectionRow row;
  row.info.peer = "[::1]:4711";
  row.info.own = "127.0.0.1:5672";
  row.info.session.client_properties =
      amqp::Table{{"connection_name", "shop"}, {"product", "p"}}.Encode();
  const json form = ConnectionForm(row, "n");
  EXPECT_EQ(form["name"], "[::1]:4711 -> 127.0.0.1:5672");
  EXPECT_EQ(form["peer_host"], "::1");
  EXPECT_EQ(form["peer_port"], 4711);
  EXPECT_EQ(form["port"], 5672);
  EXPECT_EQ(form["user_provided_name"], "shop");
  EXPECT_EQ(form["client_properties"]["product"], "p");
}

}  // namespace
}  // namespace landfall::admin
