// RabbitMQ's tutorials and the rest of a client's day with librabbitmq, the C client.
//
//   librabbitmq_client PORT CASE     ends with 0 if all went as it should
//   librabbitmq_client --list        the cases
#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

int g_port = 0;
constexpr timeval kPatience{30, 0};

void Require(bool condition, const std::string& what) {
  if (!condition) throw std::runtime_error("not so: " + what);
}

amqp_bytes_t Bytes(std::string_view text) {
  return amqp_bytes_t{text.size(), const_cast<char*>(text.data())};
}

std::string Text(amqp_bytes_t bytes) {
  return std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

// The code with which the broker has closed the channel or the connection, 0 if it has not.
int CloseCode(const amqp_rpc_reply_t& reply) {
  if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) return 0;
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD) {
    return static_cast<amqp_channel_close_t*>(reply.reply.decoded)->reply_code;
  }
  return static_cast<amqp_connection_close_t*>(reply.reply.decoded)->reply_code;
}

void RequireOk(const amqp_rpc_reply_t& reply, const std::string& what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  std::string why = "no answer";
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) {
    why = amqp_error_string2(reply.library_error);
  }
  if (const int code = CloseCode(reply)) why = "closed with " + std::to_string(code);
  throw std::runtime_error(what + ": " + why);
}

struct Message {
  std::string consumer_tag;
  std::string exchange;
  std::string routing_key;
  std::string body;
  std::string correlation_id;
  std::string reply_to;
  uint64_t tag = 0;
  bool redelivered = false;
};

class Connection {
 public:
  explicit Connection(int heartbeat = 0, std::string_view password = "guest",
                      std::string_view vhost = "/")
      : state_(amqp_new_connection()) {
    amqp_socket_t* socket = amqp_tcp_socket_new(state_);
    Require(amqp_socket_open(socket, "127.0.0.1", g_port) == AMQP_STATUS_OK, "the socket opens");
    amqp_set_rpc_timeout(state_, &kPatience);
    login_ = amqp_login(state_, std::string(vhost).c_str(), 2047, 131072, heartbeat,
                        AMQP_SASL_METHOD_PLAIN, "guest", std::string(password).c_str());
  }
  ~Connection() {
    if (login_.reply_type == AMQP_RESPONSE_NORMAL) {
      amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
    }
    amqp_destroy_connection(state_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  amqp_connection_state_t state() { return state_; }
  const amqp_rpc_reply_t& login() const { return login_; }

  amqp_channel_t OpenChannel() {
    RequireOk(login_, "login");
    const amqp_channel_t channel = ++last_channel_;
    amqp_channel_open(state_, channel);
    RequireOk(amqp_get_rpc_reply(state_), "channel.open");
    return channel;
  }

  void Check(const std::string& what) { RequireOk(amqp_get_rpc_reply(state_), what); }
  void ExpectClosed(int code, const std::string& what) {
    const int got = CloseCode(amqp_get_rpc_reply(state_));
    Require(got == code,
            what + " is refused with " + std::to_string(code) + " and not " + std::to_string(got));
  }

  std::string DeclareQueue(amqp_channel_t channel, std::string_view name, bool durable = false,
                           bool exclusive = false, bool auto_delete = false) {
    const amqp_queue_declare_ok_t* ok = amqp_queue_declare(
        state_, channel, Bytes(name), false, durable, exclusive, auto_delete, amqp_empty_table);
    Check("queue.declare");
    return Text(ok->queue);
  }
  uint32_t CountMessages(amqp_channel_t channel, std::string_view name) {
    const amqp_queue_declare_ok_t* ok = amqp_queue_declare(state_, channel, Bytes(name), true,
                                                           false, false, false, amqp_empty_table);
    Check("queue.declare passive");
    return ok->message_count;
  }
  void DeclareExchange(amqp_channel_t channel, std::string_view name, std::string_view type) {
    amqp_exchange_declare(state_, channel, Bytes(name), Bytes(type), false, false, false, false,
                          amqp_empty_table);
    Check("exchange.declare");
  }
  void Bind(amqp_channel_t channel, std::string_view queue, std::string_view exchange,
            std::string_view key) {
    amqp_queue_bind(state_, channel, Bytes(queue), Bytes(exchange), Bytes(key), amqp_empty_table);
    Check("queue.bind");
  }
  void Publish(amqp_channel_t channel, std::string_view exchange, std::string_view key,
               std::string_view body, bool mandatory = false, std::string_view correlation_id = {},
               std::string_view reply_to = {}) {
    amqp_basic_properties_t properties{};
    properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG;
    properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
    if (!correlation_id.empty()) {
      properties._flags |= AMQP_BASIC_CORRELATION_ID_FLAG;
      properties.correlation_id = Bytes(correlation_id);
    }
    if (!reply_to.empty()) {
      properties._flags |= AMQP_BASIC_REPLY_TO_FLAG;
      properties.reply_to = Bytes(reply_to);
    }
    Require(amqp_basic_publish(state_, channel, Bytes(exchange), Bytes(key), mandatory, false,
                               &properties, Bytes(body)) == AMQP_STATUS_OK,
            "basic.publish is written");
  }
  std::string Consume(amqp_channel_t channel, std::string_view queue, bool no_ack = false) {
    const amqp_basic_consume_ok_t* ok = amqp_basic_consume(
        state_, channel, Bytes(queue), amqp_empty_bytes, false, no_ack, false, amqp_empty_table);
    Check("basic.consume");
    return Text(ok->consumer_tag);
  }
  Message Receive() {
    std::optional<Message> message = ReceiveWithin(kPatience);
    Require(message.has_value(), "a delivery arrives");
    return *message;
  }
  std::optional<Message> ReceiveWithin(timeval patience) {
    amqp_maybe_release_buffers(state_);
    amqp_envelope_t envelope;
    const amqp_rpc_reply_t reply = amqp_consume_message(state_, &envelope, &patience, 0);
    if (reply.library_error == AMQP_STATUS_TIMEOUT) return std::nullopt;
    RequireOk(reply, "a delivery");
    Message message{.consumer_tag = Text(envelope.consumer_tag),
                    .exchange = Text(envelope.exchange),
                    .routing_key = Text(envelope.routing_key),
                    .body = Text(envelope.message.body),
                    .correlation_id = {},
                    .reply_to = {},
                    .tag = envelope.delivery_tag,
                    .redelivered = envelope.redelivered != 0};
    const auto& properties = envelope.message.properties;
    if (properties._flags & AMQP_BASIC_CORRELATION_ID_FLAG) {
      message.correlation_id = Text(properties.correlation_id);
    }
    if (properties._flags & AMQP_BASIC_REPLY_TO_FLAG) message.reply_to = Text(properties.reply_to);
    amqp_destroy_envelope(&envelope);
    return message;
  }
  void Ack(amqp_channel_t channel, uint64_t tag, bool multiple = false) {
    Require(amqp_basic_ack(state_, channel, tag, multiple) == AMQP_STATUS_OK, "ack is written");
  }
  // False if the queue is empty.
  bool Get(amqp_channel_t channel, std::string_view queue, Message& message, bool no_ack = true) {
    amqp_maybe_release_buffers(state_);
    const amqp_rpc_reply_t reply = amqp_basic_get(state_, channel, Bytes(queue), no_ack);
    RequireOk(reply, "basic.get");
    if (reply.reply.id == AMQP_BASIC_GET_EMPTY_METHOD) return false;
    const auto* ok = static_cast<amqp_basic_get_ok_t*>(reply.reply.decoded);
    message.tag = ok->delivery_tag;
    message.redelivered = ok->redelivered != 0;
    amqp_message_t content;
    RequireOk(amqp_read_message(state_, channel, &content, 0), "the content of basic.get");
    message.body = Text(content.body);
    amqp_destroy_message(&content);
    return true;
  }
  // Waits until the broker has confirmed everything up to `last`.
  void AwaitConfirms(uint64_t last) {
    uint64_t confirmed = 0;
    std::set<uint64_t> single;
    while (confirmed < last) {
      const amqp_method_t method = NextMethod();
      Require(method.id == AMQP_BASIC_ACK_METHOD, "the publisher gets basic.ack");
      const auto* ack = static_cast<amqp_basic_ack_t*>(method.decoded);
      if (ack->multiple) {
        confirmed = std::max(confirmed, ack->delivery_tag);
      } else {
        single.insert(ack->delivery_tag);
      }
      while (single.erase(confirmed + 1)) ++confirmed;
      while (!single.empty() && *single.begin() <= confirmed) single.erase(single.begin());
    }
  }
  amqp_method_t NextMethod() {
    amqp_frame_t frame;
    timeval patience = kPatience;
    Require(amqp_simple_wait_frame_noblock(state_, &frame, &patience) == AMQP_STATUS_OK,
            "a frame arrives");
    Require(frame.frame_type == AMQP_FRAME_METHOD, "the frame is a method");
    return frame.payload.method;
  }

 private:
  amqp_connection_state_t state_;
  amqp_rpc_reply_t login_{};
  amqp_channel_t last_channel_ = 0;
};

std::string Unique(std::string_view name) {
  static int counter = 0;
  return "librabbitmq-" + std::string(name) + "-" + std::to_string(getpid()) + "-" +
         std::to_string(++counter);
}

void HelloWorld() {
  const std::string queue = Unique("hello");
  Connection receiver;
  const auto in = receiver.OpenChannel();
  receiver.DeclareQueue(in, queue);
  receiver.Consume(in, queue, true);
  {
    Connection sender;
    const auto out = sender.OpenChannel();
    sender.DeclareQueue(out, queue);
    sender.Publish(out, "", queue, "Hello World!");
  }
  Require(receiver.Receive().body == "Hello World!", "the greeting arrives");
}

void WorkQueues() {
  const std::string queue = Unique("tasks");
  Connection sender;
  const auto out = sender.OpenChannel();
  sender.DeclareQueue(out, queue, true);
  Connection workers[2];
  amqp_channel_t channels[2];
  for (int i = 0; i < 2; ++i) {
    channels[i] = workers[i].OpenChannel();
    amqp_basic_qos(workers[i].state(), channels[i], 0, 1, false);
    workers[i].Check("basic.qos");
    workers[i].Consume(channels[i], queue);
  }
  std::set<std::string> sent;
  for (int i = 0; i < 20; ++i) {
    sent.insert("task " + std::to_string(i));
    sender.Publish(out, "", queue, "task " + std::to_string(i));
  }
  // Nobody has acknowledged yet, so each worker holds one.
  Message held[2];
  for (int i = 0; i < 2; ++i) held[i] = workers[i].Receive();
  std::set<std::string> received = {held[0].body, held[1].body};
  for (int i = 0; i < 2; ++i) workers[i].Ack(channels[i], held[i].tag);
  // From here on it is a race whose acknowledgement the broker sees first, and so who gets which.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(kPatience.tv_sec);
  for (int i = 0; received.size() < sent.size(); i = 1 - i) {
    Require(std::chrono::steady_clock::now() < deadline, "every task is handed out");
    if (const auto message = workers[i].ReceiveWithin({0, 10'000})) {
      Require(received.insert(message->body).second, "no task is handed out twice");
      workers[i].Ack(channels[i], message->tag);
    }
  }
  Require(sent == received, "every task is done once");
}

void PublishSubscribe() {
  const std::string exchange = Unique("logs");
  Connection subscribers[3];
  for (Connection& subscriber : subscribers) {
    const auto channel = subscriber.OpenChannel();
    subscriber.DeclareExchange(channel, exchange, "fanout");
    const std::string queue = subscriber.DeclareQueue(channel, "", false, true);
    subscriber.Bind(channel, queue, exchange, "");
    subscriber.Consume(channel, queue, true);
  }
  Connection emitter;
  emitter.Publish(emitter.OpenChannel(), exchange, "", "news");
  for (Connection& subscriber : subscribers) {
    Require(subscriber.Receive().body == "news", "everybody gets the news");
  }
}

// Queues bound with several keys to one exchange; what arrives at each is what it asked for.
void Route(std::string_view type, const std::vector<std::string>& keys,
           const std::map<std::string, std::vector<std::string>>& expected) {
  const std::string exchange = Unique(type);
  Connection connection;
  const auto channel = connection.OpenChannel();
  connection.DeclareExchange(channel, exchange, type);
  std::map<std::string, std::string> queues;
  for (const auto& [pattern, unused] : expected) {
    queues[pattern] = connection.DeclareQueue(channel, "", false, true);
    connection.Bind(channel, queues[pattern], exchange, pattern);
  }
  for (const std::string& key : keys) connection.Publish(channel, exchange, key, key);
  for (const auto& [pattern, bodies] : expected) {
    Message message;
    for (const std::string& body : bodies) {
      Require(connection.Get(channel, queues[pattern], message) && message.body == body,
              body + " arrives by " + pattern);
    }
    Require(!connection.Get(channel, queues[pattern], message), "nothing else by " + pattern);
  }
}

void Routing() {
  Route("direct", {"info", "error", "debug"}, {{"info", {"info"}}, {"error", {"error"}}});
}

void Topics() {
  const std::vector<std::string> keys{"kern.info", "cron.critical", "kern.critical", "other"};
  Route("topic", keys,
        {{"#", keys}, {"kern.*", {keys[0], keys[2]}}, {"*.critical", {keys[1], keys[2]}}});
}

void RemoteProcedureCall() {
  const std::string queue = Unique("rpc");
  Connection server;
  const auto serving = server.OpenChannel();
  server.DeclareQueue(serving, queue);
  server.Consume(serving, queue);
  Connection client;
  const auto calling = client.OpenChannel();
  const std::string replies = client.DeclareQueue(calling, "", false, true);
  client.Consume(calling, replies, true);
  for (int i = 0; i < 20; ++i) {
    client.Publish(calling, "", queue, std::to_string(i), false, std::to_string(i), replies);
  }
  for (int i = 0; i < 20; ++i) {
    const Message request = server.Receive();
    const int n = std::atoi(request.body.c_str());
    server.Publish(serving, "", request.reply_to, std::to_string(n * n), false,
                   request.correlation_id);
    server.Ack(serving, request.tag);
  }
  for (int i = 0; i < 20; ++i) {
    const Message answer = client.Receive();
    const int n = std::atoi(answer.correlation_id.c_str());
    Require(answer.body == std::to_string(n * n), "the answer belongs to the question");
  }
}

void PublisherConfirms() {
  const std::string queue = Unique("confirms");
  Connection connection;
  const auto channel = connection.OpenChannel();
  connection.DeclareQueue(channel, queue, true);
  amqp_confirm_select(connection.state(), channel);
  connection.Check("confirm.select");
  for (int i = 0; i < 1000; ++i) connection.Publish(channel, "", queue, std::to_string(i));
  connection.AwaitConfirms(1000);
  Require(connection.CountMessages(channel, queue) == 1000, "all of them are there");
  const amqp_queue_purge_ok_t* purged = amqp_queue_purge(connection.state(), channel, Bytes(queue));
  connection.Check("queue.purge");
  Require(purged->message_count == 1000, "the purge counts them");
  const amqp_queue_delete_ok_t* deleted =
      amqp_queue_delete(connection.state(), channel, Bytes(queue), true, true);
  connection.Check("queue.delete");
  Require(deleted->message_count == 0, "nothing is left to delete");
}

void AcksNacksAndRedelivery() {
  const std::string queue = Unique("acks");
  Connection connection;
  const auto channel = connection.OpenChannel();
  connection.DeclareQueue(channel, queue, true);
  for (const char* body : {"a", "b", "c", "d"}) connection.Publish(channel, "", queue, body);
  {
    Connection other;
    const auto in = other.OpenChannel();
    other.Consume(in, queue);
    std::vector<Message> messages;
    for (int i = 0; i < 4; ++i) messages.push_back(other.Receive());
    for (const Message& message : messages) {
      Require(!message.redelivered, "a first delivery is not marked");
    }
    other.Ack(in, messages[0].tag);
    amqp_basic_nack(other.state(), in, messages[1].tag, false, false);
    amqp_basic_reject(other.state(), in, messages[2].tag, false);
    RequireOk(amqp_channel_close(other.state(), in, AMQP_REPLY_SUCCESS), "channel.close");
  }
  Message message;
  Require(connection.Get(channel, queue, message), "what was not acked is back");
  Require(message.body == "d" && message.redelivered, "it is d, and marked");
  Require(!connection.Get(channel, queue, message), "the others are settled");
}

void MandatoryReturns() {
  Connection connection;
  const auto channel = connection.OpenChannel();
  connection.Publish(channel, "amq.direct", Unique("nobody"), "back", true);
  const amqp_method_t method = connection.NextMethod();
  Require(method.id == AMQP_BASIC_RETURN_METHOD, "basic.return");
  Require(static_cast<amqp_basic_return_t*>(method.decoded)->reply_code == AMQP_NO_ROUTE, "312");
  amqp_message_t content;
  RequireOk(amqp_read_message(connection.state(), channel, &content, 0), "the returned message");
  Require(Text(content.body) == "back", "its body");
  amqp_destroy_message(&content);
}

void LargeMessage() {
  const std::string queue = Unique("large");
  Connection connection;
  const auto channel = connection.OpenChannel();
  connection.DeclareQueue(channel, queue, true);
  std::string body(32u << 20, '\0');
  uint32_t x = 1;
  for (char& c : body) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  amqp_confirm_select(connection.state(), channel);
  connection.Check("confirm.select");
  connection.Publish(channel, "", queue, body);
  connection.AwaitConfirms(1);
  connection.Consume(channel, queue);
  const Message message = connection.Receive();
  Require(message.body == body, "it arrives byte for byte");
  connection.Ack(channel, message.tag);
}

void AThousandChannels() {
  const std::string queue = Unique("channels");
  Connection connection;
  std::vector<amqp_channel_t> channels;
  for (int i = 0; i < 1000; ++i) channels.push_back(connection.OpenChannel());
  connection.DeclareQueue(channels[0], queue);
  connection.Consume(channels[999], queue, true);
  for (const amqp_channel_t channel : channels) {
    connection.Publish(channel, "", queue, std::to_string(channel));
  }
  std::set<std::string> bodies;
  for (int i = 0; i < 1000; ++i) bodies.insert(connection.Receive().body);
  Require(bodies.size() == 1000, "every channel has published");
}

void ErrorsHaveTheirCodes() {
  const std::string name = Unique("errors");
  Connection connection;
  amqp_queue_declare(connection.state(), connection.OpenChannel(), Bytes(name), true, false, false,
                     false, amqp_empty_table);
  connection.ExpectClosed(404, "a queue that is not there");
  const auto channel = connection.OpenChannel();
  connection.DeclareQueue(channel, name, false, true);
  amqp_queue_declare(connection.state(), connection.OpenChannel(), Bytes(name), false, false, true,
                     true, amqp_empty_table);
  connection.ExpectClosed(406, "another way to declare a queue");
  Connection other;
  amqp_queue_declare(other.state(), other.OpenChannel(), Bytes(name), true, false, false, false,
                     amqp_empty_table);
  other.ExpectClosed(405, "a locked queue");
  amqp_queue_declare(other.state(), other.OpenChannel(), Bytes("amq.mine"), false, false, false,
                     false, amqp_empty_table);
  other.ExpectClosed(403, "a reserved name");
  Require(CloseCode(Connection(0, "wrong").login()) == 403, "a wrong password is refused");
  Require(CloseCode(Connection(0, "guest", "no-such-vhost").login()) == 530,
          "an unknown vhost is refused");
  // Siblings of the closed channels are alive.
  connection.CountMessages(channel, name);
}

void HeartbeatsKeepAnIdleConnection() {
  Connection connection(1);
  const auto channel = connection.OpenChannel();
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(4);
  while (std::chrono::steady_clock::now() < until) {
    amqp_frame_t frame;
    timeval moment{0, 200'000};
    const int status = amqp_simple_wait_frame_noblock(connection.state(), &frame, &moment);
    Require(status == AMQP_STATUS_TIMEOUT, "nothing but heartbeats arrives");
  }
  connection.DeclareQueue(channel, "", false, true);
}

const std::map<std::string, std::function<void()>> kCases{
    {"hello_world", HelloWorld},
    {"work_queues", WorkQueues},
    {"publish_subscribe", PublishSubscribe},
    {"routing", Routing},
    {"topics", Topics},
    {"remote_procedure_call", RemoteProcedureCall},
    {"publisher_confirms", PublisherConfirms},
    {"acks_nacks_and_redelivery", AcksNacksAndRedelivery},
    {"mandatory_returns", MandatoryReturns},
    {"large_message", LargeMessage},
    {"a_thousand_channels", AThousandChannels},
    {"errors_have_their_codes", ErrorsHaveTheirCodes},
    {"heartbeats_keep_an_idle_connection", HeartbeatsKeepAnIdleConnection},
};

}  // namespace

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--list") {
    for (const auto& [name, run] : kCases) std::printf("%s\n", name.c_str());
    return 0;
  }
  const auto it = argc == 3 ? kCases.find(argv[2]) : kCases.end();
  if (it == kCases.end()) {
    std::fprintf(stderr, "usage: %s PORT CASE | --list\n", argv[0]);
    return 2;
  }
  g_port = std::atoi(argv[1]);
  try {
    it->second();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s: %s\n", argv[2], error.what());
    return 1;
  }
  return 0;
}
