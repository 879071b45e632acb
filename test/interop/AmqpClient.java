// The cases of languages.py with RabbitMQ's Java client.
//
//   java AmqpClient URL CASE
import com.rabbitmq.client.AMQP;
import com.rabbitmq.client.Channel;
import com.rabbitmq.client.Connection;
import com.rabbitmq.client.ConnectionFactory;
import com.rabbitmq.client.DefaultConsumer;
import com.rabbitmq.client.Envelope;
import com.rabbitmq.client.GetResponse;
import com.rabbitmq.client.MessageProperties;
import com.rabbitmq.client.ShutdownSignalException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Date;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

public class AmqpClient {
  interface Case {
    void run(Connection connection, Channel channel) throws Exception;
  }

  interface Act {
    void on(Channel channel) throws Exception;
  }

  static class Mismatch extends RuntimeException {
    Mismatch(String sentence) {
      super(sentence);
    }
  }

  static class Arrived {
    final Envelope envelope;
    final String body;

    Arrived(Envelope envelope, byte[] body) {
      this.envelope = envelope;
      this.body = text(body);
    }
  }

  static final int MANY = 500;
  static final ConnectionFactory factory = new ConnectionFactory();
  static final Map<String, Object> NONE = Collections.emptyMap();

  static String unique(String name) {
    return "java-" + name + "-" + UUID.randomUUID();
  }

  static byte[] bytes(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.UTF_8);
  }

  static void check(boolean condition, String sentence) {
    if (!condition) throw new Mismatch(sentence);
  }

  static void checkEqual(Object got, Object expected, String what) {
    check(Objects.equals(got, expected), what + " should be " + expected + " and is " + got);
  }

  static Map<String, Object> table(Object... keysAndValues) {
    Map<String, Object> table = new HashMap<>();
    for (int n = 0; n < keysAndValues.length; n += 2) {
      table.put((String) keysAndValues[n], keysAndValues[n + 1]);
    }
    return table;
  }

  static Map<String, Object> with(Map<String, Object> table, String key, Object value) {
    Map<String, Object> more = new HashMap<>(table);
    more.put(key, value);
    return more;
  }

  static String ownQueue(Channel channel, Map<String, Object> arguments) throws IOException {
    return channel.queueDeclare("", false, true, false, arguments).getQueue();
  }

  static String durableQueue(Channel channel, String name) throws IOException {
    return channel.queueDeclare(unique(name), true, false, false, NONE).getQueue();
  }

  static void publish(Channel channel, String queue, String... bodies) throws IOException {
    for (String body : bodies) {
      channel.basicPublish("", queue, MessageProperties.PERSISTENT_TEXT_PLAIN, bytes(body));
    }
  }

  // A message of the queue, waiting for it if need be.
  static GetResponse get(Channel channel, String queue) throws Exception {
    long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(10);
    GetResponse message;
    while ((message = channel.basicGet(queue, false)) == null) {
      check(System.nanoTime() < deadline, "nothing came to " + queue + " within 10 s");
      Thread.sleep(10);
    }
    return message;
  }

  static void ack(Channel channel, GetResponse message) throws IOException {
    channel.basicAck(message.getEnvelope().getDeliveryTag(), false);
  }

  static List<String> getBodies(Channel channel, String queue, long count) throws Exception {
    List<String> bodies = new ArrayList<>();
    while (bodies.size() < count) {
      GetResponse message = get(channel, queue);
      ack(channel, message);
      bodies.add(text(message.getBody()));
    }
    return bodies;
  }

  static BlockingQueue<Arrived> consume(Channel channel, String queue, String tag)
      throws IOException {
    BlockingQueue<Arrived> arrived = new LinkedBlockingQueue<>();
    channel.basicConsume(queue, false, tag, new DefaultConsumer(channel) {
      @Override
      public void handleDelivery(
          String consumerTag, Envelope envelope, AMQP.BasicProperties properties, byte[] body) {
        arrived.add(new Arrived(envelope, body));
      }
    });
    return arrived;
  }

  static Arrived next(BlockingQueue<Arrived> arrived) throws InterruptedException {
    Arrived message = arrived.poll(20, TimeUnit.SECONDS);
    check(message != null, "no message was delivered within 20 s");
    return message;
  }

  static int codeOf(Throwable error) {
    while (error != null && !(error instanceof ShutdownSignalException)) error = error.getCause();
    check(error != null, "an error without a reply code");
    return ((AMQP.Channel.Close) ((ShutdownSignalException) error).getReason()).getReplyCode();
  }

  // The channel is closed with this code, and the connection's next channel works.
  static void rejected(Connection connection, int code, Act act) throws Exception {
    Channel channel = connection.createChannel();
    try {
      act.on(channel);
    } catch (IOException error) {
      checkEqual(codeOf(error), code, "the reply code");
      check(!channel.isOpen(), "a channel that failed should be closed");
      Channel other = connection.createChannel();
      String queue = ownQueue(other, NONE);
      publish(other, queue, "still here");
      checkEqual(getBodies(other, queue, 1), List.of("still here"), "the next channel's message");
      return;
    }
    check(false, "it should have been refused with " + code);
  }

  // What each queue got, bound with (key, arguments) to an exchange of this kind.
  static List<List<String>> route(Channel channel, String kind,
      List<Map.Entry<String, Map<String, Object>>> bindings,
      Map<String, Map<String, Object>> messages) throws Exception {
    String exchange = unique(kind);
    channel.exchangeDeclare(exchange, kind, false, true, NONE);
    List<String> queues = new ArrayList<>();
    for (Map.Entry<String, Map<String, Object>> binding : bindings) {
      String queue = ownQueue(channel, NONE);
      channel.queueBind(queue, exchange, binding.getKey(), binding.getValue());
      queues.add(queue);
    }
    for (Map.Entry<String, Map<String, Object>> message : messages.entrySet()) {
      channel.basicPublish(exchange, message.getKey(),
          new AMQP.BasicProperties.Builder().headers(message.getValue()).build(),
          bytes(message.getKey()));
    }
    channel.waitForConfirmsOrDie(20000);
    List<List<String>> got = new ArrayList<>();
    for (String queue : queues) {
      got.add(getBodies(channel, queue, channel.messageCount(queue)));
    }
    return got;
  }

  static void exchangeTypes(Connection connection, Channel channel) throws Exception {
    channel.confirmSelect();
    Map<String, Map<String, Object>> keys = new LinkedHashMap<>();
    for (String key : List.of("kern.info", "kern.critical.now", "cron")) keys.put(key, NONE);
    List<String> all = List.copyOf(keys.keySet());
    checkEqual(
        route(channel, "direct", List.of(Map.entry("cron", NONE), Map.entry("kern.info", NONE)),
            keys),
        List.of(List.of("cron"), List.of("kern.info")), "what direct routes");
    checkEqual(
        route(channel, "topic", List.of(Map.entry("kern.#", NONE), Map.entry("*.info", NONE),
            Map.entry("#", NONE)), keys),
        List.of(List.of("kern.info", "kern.critical.now"), List.of("kern.info"), all),
        "what topic routes");
    checkEqual(
        route(channel, "fanout", List.of(Map.entry("", NONE), Map.entry("other", NONE)), keys),
        List.of(all, all), "what fanout routes");
    Map<String, Object> wanted = table("kind", "report", "pages", 3);
    Map<String, Map<String, Object>> messages = new LinkedHashMap<>();
    messages.put("both", with(wanted, "more", true));
    messages.put("one", with(wanted, "kind", "letter"));
    messages.put("none", table("kind", "letter"));
    checkEqual(
        route(channel, "headers", List.of(Map.entry("", with(wanted, "x-match", "all")),
            Map.entry("", with(wanted, "x-match", "any"))), messages),
        List.of(List.of("both"), List.of("both", "one")), "what headers routes");
  }

  static void confirms(Connection connection, Channel channel) throws Exception {
    String queue = durableQueue(channel, "confirms");
    channel.confirmSelect();
    for (int n = 0; n < MANY; n++) publish(channel, queue, Integer.toString(n));
    check(channel.waitForConfirms(20000), "no message should have been nacked");
    checkEqual(channel.messageCount(queue), (long) MANY, "the number of messages in the queue");
    checkEqual(channel.queuePurge(queue).getMessageCount(), MANY, "the number of purged messages");
    checkEqual(channel.queueDelete(queue).getMessageCount(), 0, "the number of deleted messages");
  }

  static void consumeAndAck(Connection connection, Channel channel) throws Exception {
    String queue = durableQueue(channel, "tasks");
    Channel sending = connection.createChannel();
    List<String> sent =
        IntStream.range(0, 100).mapToObj(Integer::toString).collect(Collectors.toList());
    publish(sending, queue, sent.toArray(new String[0]));
    BlockingQueue<Arrived> arrived = consume(channel, queue, "tag");
    List<String> bodies = new ArrayList<>();
    while (bodies.size() < sent.size()) {
      Arrived message = next(arrived);
      channel.basicAck(message.envelope.getDeliveryTag(), false);
      bodies.add(message.body);
    }
    checkEqual(bodies, sent, "the order of the messages");
    channel.basicCancel("tag");
    channel.close();
    checkEqual(sending.queueDelete(queue).getMessageCount(), 0, "the number of messages left");
  }

  static void nackRequeues(Connection connection, Channel channel) throws Exception {
    String queue = durableQueue(channel, "nacks");
    publish(channel, queue, "a", "b", "c");
    GetResponse first = get(channel, queue);
    GetResponse second = get(channel, queue);
    check(!first.getEnvelope().isRedeliver(), "the first delivery is not a redelivery");
    channel.basicNack(first.getEnvelope().getDeliveryTag(), false, true);
    GetResponse again = get(channel, queue);
    checkEqual(text(again.getBody()), "a", "the message that comes after a requeue");
    check(again.getEnvelope().isRedeliver(), "it should be marked as redelivered");
    channel.basicReject(second.getEnvelope().getDeliveryTag(), false);
    ack(channel, again);
    GetResponse last = get(channel, queue);
    checkEqual(text(last.getBody()), "c", "the last message");
    check(!last.getEnvelope().isRedeliver(), "the last message is not a redelivery");
    ack(channel, last);
    checkEqual(channel.queueDelete(queue).getMessageCount(), 0, "the number of messages left");
  }

  static void basicGet(Connection connection, Channel channel) throws Exception {
    String queue = ownQueue(channel, NONE);
    checkEqual(channel.basicGet(queue, false), null, "what an empty queue gives");
    publish(channel, queue, "a", "b");
    GetResponse first = channel.basicGet(queue, false);
    GetResponse second = channel.basicGet(queue, false);
    checkEqual(List.of(text(first.getBody()), text(second.getBody())), List.of("a", "b"),
        "what get gives");
    checkEqual(List.of(first.getMessageCount(), second.getMessageCount()), List.of(1, 0),
        "what get says is left");
    checkEqual(channel.basicGet(queue, false), null, "what a queue without ready messages gives");
  }

  static void mandatoryReturn(Connection connection, Channel channel) throws Exception {
    BlockingQueue<String> returned = new LinkedBlockingQueue<>();
    channel.addReturnListener((code, text, exchange, key, properties, body)
                                  -> returned.add(code + " " + exchange + " " + text(body)));
    channel.confirmSelect();
    channel.basicPublish("amq.direct", unique("nobody"), true, null, bytes("back"));
    check(channel.waitForConfirms(20000), "a returned message is acked, not nacked");
    checkEqual(returned.poll(), "312 amq.direct back", "the return that comes before the ack");
  }

  static void prefetch(Connection connection, Channel channel) throws Exception {
    String queue = ownQueue(channel, NONE);
    List<String> sent =
        IntStream.range(0, 10).mapToObj(Integer::toString).collect(Collectors.toList());
    publish(channel, queue, sent.toArray(new String[0]));
    channel.basicQos(3);
    BlockingQueue<Arrived> arrived = consume(channel, queue, "tag");
    List<Arrived> messages = new ArrayList<>();
    for (int n = 0; n < 3; n++) messages.add(next(arrived));
    // An answered request on this channel comes after whatever was delivered before it.
    checkEqual(channel.messageCount(queue), 7L, "the number of messages that wait");
    checkEqual(arrived.size(), 0, "the number of messages beyond the prefetch");
    for (int n = 0; n < 7; n++) {
      channel.basicAck(messages.get(n).envelope.getDeliveryTag(), false);
      messages.add(next(arrived));
    }
    checkEqual(messages.stream().map(message -> message.body).collect(Collectors.toList()), sent,
        "the order");
  }

  static void missingQueue(Connection connection, Channel channel) throws Exception {
    rejected(connection, 404, other -> other.queueDeclarePassive(unique("missing")));
    rejected(connection, 404, other -> other.exchangeDeclarePassive(unique("missing")));
    rejected(connection, 404, other -> other.basicGet(unique("missing"), true));
  }

  static void inequivalentQueue(Connection connection, Channel channel) throws Exception {
    String name = unique("inequivalent");
    Map<String, Object> expires = table("x-expires", 60000);
    channel.queueDeclare(name, false, false, false, expires);
    channel.queueDeclare(name, false, false, false, expires);
    // The same number in another width is the same argument.
    channel.queueDeclare(name, false, false, false, table("x-expires", 60000L));
    rejected(connection, 406, other -> other.queueDeclare(name, true, false, false, expires));
    rejected(connection, 406,
        other -> other.queueDeclare(name, false, false, false, table("x-expires", 61000)));
    rejected(connection, 406, other -> other.queueDeclare(name, false, false, false, NONE));
    channel.exchangeDeclare(name, "direct");
    rejected(connection, 406, other -> other.exchangeDeclare(name, "fanout"));
    channel.queueDelete(name);
    channel.exchangeDelete(name);
  }

  static String deadLetterQueue(Channel channel, String exchange) throws IOException {
    channel.exchangeDeclare(exchange, "fanout", false, true, NONE);
    String graveyard = ownQueue(channel, NONE);
    channel.queueBind(graveyard, exchange, "");
    return graveyard;
  }

  @SuppressWarnings("unchecked")
  static Map<String, Object> death(GetResponse message) {
    return ((List<Map<String, Object>>) message.getProps().getHeaders().get("x-death")).get(0);
  }

  // Strings come as LongString in tables: compare what they read as.
  static void checkDeath(GetResponse message, String queue, String reason) {
    Map<String, Object> death = death(message);
    List<String> got = new ArrayList<>();
    for (String key : List.of("queue", "reason", "count", "exchange", "routing-keys")) {
      got.add(String.valueOf(death.get(key)));
    }
    checkEqual(got, List.of(queue, reason, "1", "", "[" + queue + "]"), "x-death");
    checkEqual(String.valueOf(message.getProps().getHeaders().get("x-first-death-reason")), reason,
        "x-first-death-reason");
  }

  static void deadLetters(Connection connection, Channel channel) throws Exception {
    String exchange = unique("dead");
    String graveyard = deadLetterQueue(channel, exchange);
    String queue = ownQueue(channel,
        table("x-dead-letter-exchange", exchange, "x-dead-letter-routing-key", "late"));
    publish(channel, queue, "bad");
    channel.basicReject(get(channel, queue).getEnvelope().getDeliveryTag(), false);
    GetResponse message = get(channel, graveyard);
    checkEqual(text(message.getBody()), "bad", "the dead message");
    checkEqual(message.getEnvelope().getRoutingKey(), "late", "its routing key");
    checkDeath(message, queue, "rejected");
  }

  static void ttl(Connection connection, Channel channel) throws Exception {
    String exchange = unique("dead");
    String graveyard = deadLetterQueue(channel, exchange);
    Map<String, Object> deadLetterTo = table("x-dead-letter-exchange", exchange);
    String queue = ownQueue(channel, with(deadLetterTo, "x-message-ttl", 200));
    publish(channel, queue, "old");
    GetResponse message = get(channel, graveyard);
    checkEqual(text(message.getBody()), "old", "the expired message");
    checkDeath(message, queue, "expired");
    queue = ownQueue(channel, deadLetterTo);
    channel.basicPublish(
        "", queue, new AMQP.BasicProperties.Builder().expiration("200").build(), bytes("short"));
    message = get(channel, graveyard);
    checkEqual(text(message.getBody()), "short", "the message with an expiration");
    checkDeath(message, queue, "expired");
    checkEqual(message.getProps().getExpiration(), null, "the expiration of a dead message");
    checkEqual(String.valueOf(death(message).get("original-expiration")), "200",
        "its original-expiration");
  }

  static void priorities(Connection connection, Channel channel) throws Exception {
    String queue = ownQueue(channel, table("x-max-priority", 5));
    Map<String, Integer> messages = new LinkedHashMap<>();
    messages.put("low", 1);
    messages.put("none", null);
    messages.put("high", 5);
    messages.put("low too", 1);
    messages.put("beyond", 9);
    messages.put("middle", 3);
    for (Map.Entry<String, Integer> message : messages.entrySet()) {
      channel.basicPublish("", queue,
          new AMQP.BasicProperties.Builder().priority(message.getValue()).build(),
          bytes(message.getKey()));
    }
    checkEqual(getBodies(channel, queue, 6),
        List.of("high", "beyond", "middle", "low", "low too", "none"), "the order");
  }

  static void transactions(Connection connection, Channel channel) throws Exception {
    String queue = durableQueue(channel, "tx");
    Channel sender = connection.createChannel();
    sender.txSelect();
    publish(sender, queue, "a", "b");
    sender.messageCount(queue);
    checkEqual(channel.messageCount(queue), 0L, "what is in the queue before the commit");
    sender.txCommit();
    checkEqual(channel.messageCount(queue), 2L, "what is in the queue after the commit");
    publish(sender, queue, "c");
    ack(sender, get(sender, queue));
    sender.txRollback();
    sender.basicRecover(true);
    checkEqual(getBodies(channel, queue, 2), List.of("a", "b"), "what is there after a rollback");
    checkEqual(channel.queueDelete(queue).getMessageCount(), 0, "the number of messages left");
  }

  static void serverNamed(Connection connection, Channel channel) throws Exception {
    Connection owner = factory.newConnection();
    String name = ownQueue(owner.createChannel(), NONE);
    check(name.startsWith("amq.gen-"), name + " is no name that the broker has chosen");
    rejected(connection, 405, other -> other.queueDeclarePassive(name));
    owner.close();
    int code = 405;
    for (int tries = 0; code == 405 && tries < 1000; tries++) {
      try {
        connection.createChannel().queueDeclarePassive(name);
      } catch (IOException error) {
        code = codeOf(error);
        Thread.sleep(10);
      }
    }
    checkEqual(code, 404, "what an exclusive queue is after its connection");
  }

  static void properties(Connection connection, Channel channel) throws Exception {
    String queue = ownQueue(channel, NONE);
    Date when = new Date(1700000000000L);
    Map<String, Object> headers = table("true", true, "false", false, "int", 7, "negative", -70000,
        "big", 1L << 40, "double", 1.5, "float", 0.5f, "short", (short) -5, "byte", (byte) -5,
        "decimal", new java.math.BigDecimal("1.25"), "none", null, "when", when);
    Map<String, Object> nested = table("text", "grün", "list", Arrays.asList(1, "two",
        table("three", 3)), "table", table("deep", table("deeper", "deepest")));
    Map<String, Object> both = new HashMap<>(headers);
    both.putAll(nested);
    AMQP.BasicProperties sent = new AMQP.BasicProperties("text/plain", "utf-8", both, 2, 4, "c",
        "r", "60000", "m", when, "t", "guest", "a", null);
    byte[] body = new byte[256];
    for (int n = 0; n < body.length; n++) body[n] = (byte) n;
    channel.basicPublish("", queue, sent, body);
    GetResponse message = get(channel, queue);
    check(Arrays.equals(message.getBody(), body), "the body came back changed");
    AMQP.BasicProperties got = message.getProps();
    checkEqual(got.builder().headers(null).build().toString(),
        sent.builder().headers(null).build().toString(), "the properties");
    Map<String, Object> rest = new HashMap<>(got.getHeaders());
    for (String key : nested.keySet()) {
      checkEqual(String.valueOf(rest.remove(key)), String.valueOf(nested.get(key)), key);
    }
    checkEqual(rest, headers, "the headers");
  }

  static void largeMessage(Connection connection, Channel channel) throws Exception {
    String queue = durableQueue(channel, "large");
    channel.confirmSelect();
    byte[] body = new byte[4 << 20];
    new Random(1).nextBytes(body);
    channel.basicPublish("", queue, MessageProperties.PERSISTENT_BASIC, body);
    channel.waitForConfirmsOrDie(20000);
    GetResponse message = get(channel, queue);
    check(Arrays.equals(message.getBody(), body), "4 MiB came back changed");
    ack(channel, message);
    checkEqual(channel.queueDelete(queue).getMessageCount(), 0, "the number of messages left");
  }

  static void heartbeats(Connection connection, Channel channel) throws Exception {
    factory.setRequestedHeartbeat(1);
    Connection idle = factory.newConnection();
    checkEqual(idle.getHeartbeat(), 1, "the agreed heartbeat");
    Thread.sleep(3500);
    ownQueue(idle.createChannel(), NONE);
    idle.close();
  }

  static final Map<String, Case> CASES = new HashMap<>();

  static {
    CASES.put("exchange_types", AmqpClient::exchangeTypes);
    CASES.put("confirms", AmqpClient::confirms);
    CASES.put("consume_and_ack", AmqpClient::consumeAndAck);
    CASES.put("nack_requeues", AmqpClient::nackRequeues);
    CASES.put("basic_get", AmqpClient::basicGet);
    CASES.put("mandatory_return", AmqpClient::mandatoryReturn);
    CASES.put("prefetch", AmqpClient::prefetch);
    CASES.put("missing_queue", AmqpClient::missingQueue);
    CASES.put("inequivalent_queue", AmqpClient::inequivalentQueue);
    CASES.put("dead_letters", AmqpClient::deadLetters);
    CASES.put("ttl", AmqpClient::ttl);
    CASES.put("priorities", AmqpClient::priorities);
    CASES.put("transactions", AmqpClient::transactions);
    CASES.put("server_named", AmqpClient::serverNamed);
    CASES.put("properties", AmqpClient::properties);
    CASES.put("large_message", AmqpClient::largeMessage);
    CASES.put("heartbeats", AmqpClient::heartbeats);
  }

  public static void main(String[] arguments) throws Exception {
    // A slash more would be the vhost with the empty name.
    factory.setUri(arguments[0].replaceAll("/$", ""));
    factory.setAutomaticRecoveryEnabled(false);
    try (Connection connection = factory.newConnection()) {
      CASES.get(arguments[1]).run(connection, connection.createChannel());
    } catch (Mismatch mismatch) {
      System.err.println(arguments[1] + ": " + mismatch.getMessage());
      System.exit(1);
    } catch (Throwable error) {
      error.printStackTrace();
      System.exit(1);
    }
    System.exit(0);
  }
}
