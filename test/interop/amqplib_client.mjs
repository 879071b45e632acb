// RabbitMQ's tutorials and the rest of a client's day with amqplib, the JavaScript client.
//
//   node amqplib_client.mjs URL CASE     ends with 0 if all went as it should
//   node amqplib_client.mjs --list       the cases
import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { once } from 'node:events';
import amqplib from 'amqplib';

const SECONDS = 60;
const [url, chosen] = process.argv.slice(2);
const open = [];

async function connect(options = {}) {
  const connection = await amqplib.connect(url, { noDelay: true, ...options });
  connection.on('error', () => {});
  open.push(connection);
  return connection;
}

async function newChannel(connection) {
  const channel = await (connection ?? (await connect())).createChannel();
  channel.on('error', () => {});
  return channel;
}

async function newConfirmChannel() {
  const channel = await (await connect()).createConfirmChannel();
  channel.on('error', () => {});
  return channel;
}

const unique = (name) => `amqplib-${name}-${crypto.randomUUID()}`;

// A subscription: next() waits for the next message.
async function subscribe(channel, queue, options = {}) {
  const waiting = [];
  const arrived = [];
  const { consumerTag } = await channel.consume(
    queue,
    (message) => (waiting.length ? waiting.shift()(message) : arrived.push(message)),
    options,
  );
  return {
    consumerTag,
    arrived,
    next: () =>
      arrived.length
        ? Promise.resolve(arrived.shift())
        : new Promise((resolve) => waiting.push(resolve)),
    async bodies(count) {
      const bodies = [];
      while (bodies.length < count) bodies.push((await this.next()).content.toString());
      return bodies;
    },
  };
}

async function closesChannel(code, act) {
  const channel = await newChannel();
  const error = once(channel, 'error');
  await assert.rejects(act(channel));
  assert.equal((await error)[0].code, code);
}

const cases = {
  async hello_world() {
    const queue = unique('hello');
    const receiver = await newChannel();
    await receiver.assertQueue(queue, { durable: false });
    const messages = await subscribe(receiver, queue, { noAck: true });
    const sender = await newChannel();
    await sender.assertQueue(queue, { durable: false });
    sender.sendToQueue(queue, Buffer.from('Hello World!'));
    assert.deepEqual(await messages.bodies(1), ['Hello World!']);
  },

  async work_queues() {
    const queue = unique('tasks');
    const sender = await newChannel();
    await sender.assertQueue(queue, { durable: true });
    const bodies = [];
    const worker = async () => {
      const channel = await newChannel();
      await channel.prefetch(1);
      await channel.consume(queue, (message) => {
        setImmediate(() => {
          channel.ack(message);
          bodies.push(message.content.toString());
        });
      });
    };
    await Promise.all([worker(), worker()]);
    const tasks = Array.from({ length: 30 }, (_, n) => `task ${n}`);
    for (const task of tasks) sender.sendToQueue(queue, Buffer.from(task), { persistent: true });
    while (bodies.length < tasks.length) await new Promise(setImmediate);
    assert.deepEqual(bodies.toSorted(), tasks.toSorted());
  },

  async publish_subscribe() {
    const exchange = unique('logs');
    const subscribers = [];
    for (let n = 0; n < 3; n++) {
      const channel = await newChannel();
      await channel.assertExchange(exchange, 'fanout', { durable: false });
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, '');
      subscribers.push(await subscribe(channel, queue, { noAck: true }));
    }
    (await newChannel()).publish(exchange, '', Buffer.from('news'));
    for (const subscriber of subscribers) assert.deepEqual(await subscriber.bodies(1), ['news']);
  },

  async routing() {
    const exchange = unique('direct');
    const channel = await newChannel();
    await channel.assertExchange(exchange, 'direct', { durable: false });
    const subscriber = async (...keys) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      for (const key of keys) await channel.bindQueue(queue, exchange, key);
      return subscribe(channel, queue, { noAck: true });
    };
    const all = await subscriber('info', 'error');
    const errors = await subscriber('error');
    for (const key of ['info', 'error', 'debug']) channel.publish(exchange, key, Buffer.from(key));
    assert.deepEqual(await all.bodies(2), ['info', 'error']);
    assert.deepEqual(await errors.bodies(1), ['error']);
  },

  async topics() {
    const exchange = unique('topic');
    const channel = await newChannel();
    await channel.assertExchange(exchange, 'topic', { durable: false });
    const subscriber = async (key) => {
      const { queue } = await channel.assertQueue('', { exclusive: true });
      await channel.bindQueue(queue, exchange, key);
      return subscribe(channel, queue, { noAck: true });
    };
    const all = await subscriber('#');
    const kernel = await subscriber('kern.*');
    const critical = await subscriber('*.critical');
    const keys = ['kern.info', 'cron.critical', 'kern.critical', 'anonymous.info'];
    for (const key of keys) channel.publish(exchange, key, Buffer.from(key));
    assert.deepEqual(await all.bodies(4), keys);
    assert.deepEqual(await kernel.bodies(2), [keys[0], keys[2]]);
    assert.deepEqual(await critical.bodies(2), [keys[1], keys[2]]);
  },

  async remote_procedure_call() {
    const queue = unique('rpc');
    const server = await newChannel();
    await server.assertQueue(queue, { durable: false });
    await server.prefetch(1);
    await server.consume(queue, (message) => {
      const n = Number(message.content.toString());
      server.sendToQueue(message.properties.replyTo, Buffer.from(String(n * n)), {
        correlationId: message.properties.correlationId,
      });
      server.ack(message);
    });
    const client = await newChannel();
    const { queue: replies } = await client.assertQueue('', { exclusive: true });
    const answers = await subscribe(client, replies, { noAck: true });
    for (let n = 0; n < 20; n++) {
      client.sendToQueue(queue, Buffer.from(String(n)), {
        correlationId: String(n),
        replyTo: replies,
      });
    }
    for (let n = 0; n < 20; n++) {
      const { content, properties } = await answers.next();
      assert.equal(Number(content.toString()), Number(properties.correlationId) ** 2);
    }
  },

  async publisher_confirms() {
    const queue = unique('confirms');
    const channel = await newConfirmChannel();
    await channel.assertQueue(queue, { durable: true });
    let confirmed = 0;
    for (let n = 0; n < 2000; n++) {
      channel.sendToQueue(queue, Buffer.from(String(n)), { persistent: true }, (error) => {
        assert.equal(error, null);
        confirmed++;
      });
    }
    await channel.waitForConfirms();
    assert.equal(confirmed, 2000);
    assert.equal((await channel.checkQueue(queue)).messageCount, 2000);
    assert.equal((await channel.purgeQueue(queue)).messageCount, 2000);
    assert.equal((await channel.deleteQueue(queue)).messageCount, 0);
  },

  async acks_nacks_and_redelivery() {
    const queue = unique('acks');
    const channel = await newConfirmChannel();
    await channel.assertQueue(queue, { durable: true });
    for (const body of ['a', 'b', 'c', 'd']) channel.sendToQueue(queue, Buffer.from(body));
    await channel.waitForConfirms();
    const first = await newChannel();
    const got = [];
    for (let n = 0; n < 4; n++) got.push(await first.get(queue));
    assert.ok(got.every((message) => !message.fields.redelivered));
    first.ack(got[0]);
    first.nack(got[1], false, false);
    first.reject(got[2], true);
    await first.close();
    const rest = [await channel.get(queue), await channel.get(queue)];
    assert.deepEqual(rest.map((message) => message.content.toString()), ['c', 'd']);
    assert.ok(rest.every((message) => message.fields.redelivered));
    channel.ackAll();
    assert.equal(await channel.get(queue), false);
  },

  async mandatory_returns() {
    const channel = await newConfirmChannel();
    const returned = once(channel, 'return');
    channel.publish('amq.direct', unique('nobody'), Buffer.from('back'), { mandatory: true });
    const [message] = await returned;
    assert.equal(message.content.toString(), 'back');
    assert.equal(message.fields.replyCode, 312);
    await channel.waitForConfirms();
  },

  async properties_and_tables() {
    const queue = unique('properties');
    const channel = await newChannel();
    await channel.assertQueue(queue, { durable: false });
    const headers = {
      string: 'text', true: true, int: 7, negative: -70000, big: 2 ** 40, float: 1.5,
      list: [1, 'two', { three: 3 }], table: { deep: { deeper: 'deepest' } }, none: null,
      small: { '!': 'int8', value: -5 }, float32: { '!': 'float', value: 0.5 },
      when: { '!': 'timestamp', value: 1700000000 },
    };
    const options = {
      headers, contentType: 'text/plain', contentEncoding: 'utf-8', deliveryMode: 2, priority: 4,
      correlationId: 'c', replyTo: 'r', expiration: '60000', messageId: 'm',
      timestamp: 1700000000, type: 't', userId: 'guest', appId: 'a',
    };
    channel.sendToQueue(queue, Buffer.from('x'), options);
    const { properties } = await (await subscribe(channel, queue)).next();
    for (const name of Object.keys(options).filter((key) => key !== 'headers')) {
      assert.equal(properties[name], options[name], name);
    }
    assert.deepEqual(
      { ...properties.headers },
      { ...headers, small: -5, float32: 0.5, when: { '!': 'timestamp', value: 1700000000 } },
    );
  },

  async large_message() {
    const queue = unique('large');
    const channel = await newConfirmChannel();
    await channel.assertQueue(queue, { durable: true });
    const body = crypto.randomBytes(32 << 20);
    channel.sendToQueue(queue, body, { persistent: true });
    await channel.waitForConfirms();
    const message = await (await subscribe(channel, queue)).next();
    assert.ok(message.content.equals(body));
    channel.ack(message);
    assert.equal((await channel.deleteQueue(queue)).messageCount, 0);
  },

  async a_thousand_channels() {
    const queue = unique('channels');
    const connection = await connect();
    const channels = await Promise.all(
      Array.from({ length: 1000 }, () => connection.createChannel()),
    );
    await channels[0].assertQueue(queue, { durable: false });
    const messages = await subscribe(channels[999], queue, { noAck: true });
    channels.forEach((channel, n) => channel.sendToQueue(queue, Buffer.from(String(n))));
    const bodies = await messages.bodies(1000);
    assert.equal(new Set(bodies).size, 1000);
  },

  async errors_have_their_codes() {
    const name = unique('errors');
    await closesChannel(404, (channel) => channel.checkQueue(name));
    await closesChannel(404, (channel) => channel.checkExchange(name));
    const channel = await newChannel();
    await channel.assertQueue(name, { exclusive: true });
    await closesChannel(405, (other) => other.checkQueue(name));
    await channel.assertExchange(name, 'direct', { durable: false });
    await closesChannel(406, (other) => other.assertExchange(name, 'fanout', { durable: false }));
    await closesChannel(403, (other) => other.assertQueue('amq.mine'));
    await assert.rejects(amqplib.connect(url.replace('guest:guest', 'guest:wrong')), /403/);
    await assert.rejects(amqplib.connect(`${url}no-such-vhost`), /530|NOT_ALLOWED|ConnectionClose/);
  },

  async heartbeats_keep_an_idle_connection() {
    const connection = await amqplib.connect(`${url}?heartbeat=1`);
    open.push(connection);
    await new Promise((resolve) => setTimeout(resolve, 4000));
    const channel = await connection.createChannel();
    await channel.assertQueue('', { exclusive: true });
  },

  async a_deleted_queue_cancels_its_consumers() {
    const queue = unique('deleted');
    const channel = await newChannel();
    await channel.assertQueue(queue, { durable: false });
    const messages = await subscribe(channel, queue);
    await (await newChannel()).deleteQueue(queue);
    assert.equal(await messages.next(), null);
  },
};

if (url === '--list') {
  console.log(Object.keys(cases).join('\n'));
} else {
  const timer = setTimeout(() => {
    console.error(`${chosen} took more than ${SECONDS} s`);
    process.exit(1);
  }, SECONDS * 1000);
  try {
    await cases[chosen]();
    await Promise.all(open.map((connection) => connection.close().catch(() => {})));
  } catch (error) {
    console.error(error);
    process.exitCode = 1;
    for (const connection of open) connection.connection?.stream?.destroy();
  }
  clearTimeout(timer);
  process.exit();
}
