# The cases of languages.py with bunny, the Ruby client.
#
#   ruby bunny_client.rb URL CASE
require 'bunny'
require 'securerandom'

URL = ARGV[0].chomp('/') # a slash more would be the vhost with the empty name
CASE = ARGV[1]
CONNECTIONS = []

class Mismatch < StandardError; end

def connect(**options)
  connection = Bunny.new(URL, automatically_recover: false, continuation_timeout: 20_000,
                         logger: Logger.new(File::NULL), **options)
  CONNECTIONS << connection
  connection.start
end

def unique(name) = "bunny-#{name}-#{SecureRandom.uuid}"

def check(condition, sentence)
  raise Mismatch, sentence unless condition
end

def check_equal(got, expected, what)
  check(got == expected, "#{what} should be #{expected.inspect} and is #{got.inspect}")
end

def wait_until(what, seconds = 10)
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + seconds
  until (value = yield)
    check(Process.clock_gettime(Process::CLOCK_MONOTONIC) < deadline, "not within #{seconds} s: #{what}")
    sleep 0.01
  end
  value
end

# A message of the queue, waiting for it if need be: [delivery, properties, body].
def get(queue)
  wait_until("a message in #{queue.name}") do
    message = queue.pop(manual_ack: true)
    message if message[0]
  end
end

def get_bodies(channel, queue, count)
  Array.new(count) do
    delivery, _, body = get(queue)
    channel.ack(delivery.delivery_tag)
    body
  end
end

# A queue of this connection alone.
def own_queue(channel, **options) = channel.queue('', exclusive: true, **options)

# The channel is closed with this error, and the connection's next channel works.
def rejected(connection, error)
  channel = connection.create_channel
  begin
    yield channel
  rescue error
    check(channel.closed?, 'a channel that failed should be closed')
  else
    check(false, "it should have been refused with #{error}")
  end
  other = connection.create_channel
  queue = own_queue(other)
  queue.publish('still here')
  check_equal(get_bodies(other, queue, 1), ['still here'], "the next channel's message")
end

def dead_letter_queue(channel)
  exchange = channel.fanout(unique('dead'), auto_delete: true)
  [exchange, own_queue(channel).bind(exchange)]
end

def check_death(properties, queue, reason)
  death = properties.headers['x-death'][0]
  check_equal(death.slice('queue', 'reason', 'count', 'exchange', 'routing-keys'),
              { 'queue' => queue.name, 'reason' => reason, 'count' => 1, 'exchange' => '',
                'routing-keys' => [queue.name] }, 'x-death')
  check_equal(properties.headers['x-first-death-reason'], reason, 'x-first-death-reason')
end

# What each queue got, bound with (key, arguments) to an exchange of this kind.
def route(channel, kind, bindings, messages)
  exchange = channel.exchange(unique(kind), type: kind, auto_delete: true)
  queues = bindings.map do |key, arguments|
    own_queue(channel).bind(exchange, routing_key: key, arguments: arguments || {})
  end
  messages.each { |key, headers| exchange.publish(key, routing_key: key, headers: headers || {}) }
  channel.wait_for_confirms
  queues.map { |queue| get_bodies(channel, queue, queue.message_count) }
end

cases = {
  'exchange_types' => lambda do |_, channel|
    channel.confirm_select
    keys = [['kern.info'], ['kern.critical.now'], ['cron']]
    check_equal(route(channel, 'direct', [['cron'], ['kern.info']], keys), [['cron'], ['kern.info']],
                'what direct routes')
    check_equal(route(channel, 'topic', [['kern.#'], ['*.info'], ['#']], keys),
                [%w[kern.info kern.critical.now], %w[kern.info], keys.flatten], 'what topic routes')
    check_equal(route(channel, 'fanout', [[''], ['other']], keys), [keys.flatten] * 2,
                'what fanout routes')
    wanted = { 'kind' => 'report', 'pages' => 3 }
    got = route(channel, 'headers',
                [['', wanted.merge('x-match' => 'all')], ['', wanted.merge('x-match' => 'any')]],
                [['both', wanted.merge('more' => true)], ['one', wanted.merge('kind' => 'letter')],
                 ['none', { 'kind' => 'letter' }]])
    check_equal(got, [%w[both], %w[both one]], 'what headers routes')
  end,

  'confirms' => lambda do |_, channel|
    channel.confirm_select
    queue = channel.queue(unique('confirms'), durable: true)
    500.times { |n| queue.publish(n.to_s, persistent: true) }
    check(channel.wait_for_confirms, 'no message should have been nacked')
    check_equal(channel.unconfirmed_set.size, 0, 'the number of unconfirmed messages')
    check_equal(queue.message_count, 500, 'the number of confirmed messages in the queue')
    check_equal(channel.queue_purge(queue.name).message_count, 500, 'the number of purged messages')
    check_equal(queue.delete.message_count, 0, 'the number of deleted messages')
  end,

  'consume_and_ack' => lambda do |connection, channel|
    queue = channel.queue(unique('tasks'), durable: true)
    sending = connection.create_channel
    100.times { |n| sending.default_exchange.publish(n.to_s, routing_key: queue.name) }
    arrived = Queue.new
    consumer = queue.subscribe(manual_ack: true) do |delivery, _, body|
      channel.ack(delivery.delivery_tag)
      arrived << body
    end
    check_equal(Array.new(100) { arrived.pop }, (0...100).map(&:to_s), 'the order of the messages')
    consumer.cancel
    channel.close
    check_equal(sending.queue_delete(queue.name).message_count, 0,
                'the number of messages that are left')
  end,

  'nack_requeues' => lambda do |_, channel|
    queue = channel.queue(unique('nacks'), auto_delete: true)
    %w[a b c].each { |body| queue.publish(body) }
    first, second = get(queue), get(queue)
    check(!first[0].redelivered?, 'the first delivery is not a redelivery')
    channel.nack(first[0].delivery_tag, false, true)
    again = get(queue)
    check_equal(again[2], 'a', 'the message that comes after a requeue')
    check(again[0].redelivered?, 'it should be marked as redelivered')
    channel.reject(second[0].delivery_tag, false)
    channel.ack(again[0].delivery_tag)
    last = get(queue)
    check_equal([last[2], last[0].redelivered?], ['c', false], 'the last message')
    channel.ack(last[0].delivery_tag)
    check_equal(queue.delete.message_count, 0, 'the number of messages that are left')
  end,

  'basic_get' => lambda do |_, channel|
    queue = own_queue(channel)
    check_equal(queue.pop, [nil, nil, nil], 'what an empty queue gives')
    %w[a b].each { |body| queue.publish(body) }
    got = Array.new(3) { queue.pop(manual_ack: true) }
    check_equal(got.map { |message| message[2] }, ['a', 'b', nil], 'what get gives')
    # bunny keeps to itself what get says is left.
    check_equal(queue.message_count, 0, 'what is left')
  end,

  'mandatory_return' => lambda do |_, channel|
    channel.confirm_select
    exchange = channel.direct('amq.direct', durable: true)
    returned = Queue.new
    exchange.on_return { |info, _, body| returned << [info.reply_code, info.exchange, body] }
    exchange.publish('back', routing_key: unique('nobody'), mandatory: true)
    check(channel.wait_for_confirms, 'a returned message is acked, not nacked')
    check_equal(returned.pop, [312, 'amq.direct', 'back'], 'the return')
  end,

  'prefetch' => lambda do |_, channel|
    queue = own_queue(channel)
    10.times { |n| queue.publish(n.to_s) }
    channel.prefetch(3)
    arrived = Queue.new
    queue.subscribe(manual_ack: true) { |delivery, _, body| arrived << [delivery, body] }
    messages = Array.new(3) { arrived.pop }
    # An answered request on this channel comes after whatever was delivered before it.
    check_equal(queue.message_count, 7, 'the number of messages that wait')
    check_equal(arrived.size, 0, 'the number of messages beyond the prefetch')
    7.times do |n|
      channel.ack(messages[n][0].delivery_tag)
      messages << arrived.pop
    end
    check_equal(messages.map { |message| message[1] }, ('0'..'9').to_a, 'the order')
  end,

  'missing_queue' => lambda do |connection, _|
    rejected(connection, Bunny::NotFound) { |channel| channel.queue(unique('missing'), passive: true) }
    rejected(connection, Bunny::NotFound) do |channel|
      channel.direct(unique('missing'), passive: true)
    end
    rejected(connection, Bunny::NotFound) { |channel| channel.basic_consume(unique('missing')) }
  end,

  'inequivalent_queue' => lambda do |connection, channel|
    name = unique('inequivalent')
    arguments = { 'x-expires' => 60_000 }
    refused = Bunny::PreconditionFailed
    channel.queue(name, arguments: arguments)
    channel.queue_declare(name, arguments: arguments)
    rejected(connection, refused) { |other| other.queue(name, arguments: arguments, durable: true) }
    rejected(connection, refused) { |other| other.queue(name, arguments: { 'x-expires' => 61_000 }) }
    rejected(connection, refused) { |other| other.queue(name) }
    channel.direct(name, auto_delete: true)
    rejected(connection, refused) { |other| other.fanout(name, auto_delete: true) }
    channel.queue_delete(name)
    channel.exchange_delete(name)
  end,

  'dead_letters' => lambda do |_, channel|
    exchange, graveyard = dead_letter_queue(channel)
    queue = own_queue(channel, arguments: { 'x-dead-letter-exchange' => exchange.name,
                                            'x-dead-letter-routing-key' => 'late' })
    queue.publish('bad')
    channel.reject(get(queue)[0].delivery_tag, false)
    delivery, properties, body = get(graveyard)
    check_equal([body, delivery.routing_key], %w[bad late], 'the dead message')
    check_death(properties, queue, 'rejected')
  end,

  'ttl' => lambda do |_, channel|
    exchange, graveyard = dead_letter_queue(channel)
    dead_letter_to = { 'x-dead-letter-exchange' => exchange.name }
    queue = own_queue(channel, arguments: dead_letter_to.merge('x-message-ttl' => 200))
    queue.publish('old')
    _, properties, body = get(graveyard)
    check_equal(body, 'old', 'the expired message')
    check_death(properties, queue, 'expired')
    queue = own_queue(channel, arguments: dead_letter_to)
    queue.publish('short', expiration: 200)
    _, properties, body = get(graveyard)
    check_equal(body, 'short', 'the message with an expiration')
    check_death(properties, queue, 'expired')
    check(properties.expiration.nil?, "a dead message's expiration is taken away")
    check_equal(properties.headers['x-death'][0]['original-expiration'], '200', 'and kept in x-death')
  end,

  'priorities' => lambda do |_, channel|
    queue = own_queue(channel, arguments: { 'x-max-priority' => 5 })
    { 'low' => 1, 'none' => nil, 'high' => 5, 'low too' => 1, 'beyond' => 9,
      'middle' => 3 }.each { |body, priority| queue.publish(body, { priority: priority }.compact) }
    check_equal(get_bodies(channel, queue, 6), ['high', 'beyond', 'middle', 'low', 'low too', 'none'],
                'the order')
  end,

  'transactions' => lambda do |connection, channel|
    queue = channel.queue(unique('tx'), durable: true)
    sender = connection.create_channel
    send = ->(body) { sender.default_exchange.publish(body, routing_key: queue.name, persistent: true) }
    sender.tx_select
    %w[a b].each(&send)
    sender.queue_declare(queue.name, passive: true)
    check_equal(queue.message_count, 0, 'what is in the queue before the commit')
    sender.tx_commit
    check_equal(queue.message_count, 2, 'what is in the queue after the commit')
    send.call('c')
    sender.ack(sender.basic_get(queue.name)[0].delivery_tag)
    sender.tx_rollback
    sender.basic_recover(true)
    check_equal(get_bodies(channel, queue, 2), %w[a b], 'what is there after a rollback')
    check_equal(queue.delete.message_count, 0, 'the number of messages that are left')
  end,

  'server_named' => lambda do |connection, _|
    owner = connect
    name = own_queue(owner.create_channel).name
    check(name.start_with?('amq.gen-'), "#{name} is no name that the broker has chosen")
    rejected(connection, Bunny::ResourceLocked) { |channel| channel.queue_declare(name, passive: true) }
    owner.close
    wait_until('an exclusive queue is gone with its connection') do
      connection.create_channel.queue_declare(name, passive: true)
      false
    rescue Bunny::NotFound
      true
    rescue Bunny::ResourceLocked
      false
    end
  end,

  'properties' => lambda do |_, channel|
    queue = own_queue(channel)
    headers = {
      'text' => 'grün'.b, 'true' => true, 'false' => false, 'int' => 7, 'negative' => -70_000,
      'big' => 2**40, 'float' => 1.5, 'list' => [1, 'two', { 'three' => 3 }],
      'table' => { 'deep' => { 'deeper' => 'deepest' } }, 'none' => nil, 'when' => Time.at(1_700_000_000)
    }
    options = {
      content_type: 'text/plain', content_encoding: 'utf-8', delivery_mode: 2, priority: 4,
      correlation_id: 'c', reply_to: 'r', expiration: '60000', message_id: 'm',
      timestamp: 1_700_000_000, type: 't', user_id: 'guest', app_id: 'a'
    }
    body = (0..255).to_a.pack('C*')
    queue.publish(body, headers: headers, **options)
    _, properties, got = get(queue)
    check_equal(got.b, body, 'the body')
    options.each do |name, value|
      check_equal(name == :timestamp ? properties[name].to_i : properties[name], value, name)
    end
    check_equal(properties.headers, headers, 'the headers')
  end,

  'large_message' => lambda do |_, channel|
    channel.confirm_select
    queue = channel.queue(unique('large'), durable: true)
    body = SecureRandom.random_bytes(4 << 20)
    queue.publish(body, persistent: true)
    check(channel.wait_for_confirms, 'the message should have been confirmed')
    delivery, _, got = get(queue)
    check(got.b == body, '4 MiB came back changed')
    channel.ack(delivery.delivery_tag)
    check_equal(queue.delete.message_count, 0, 'the number of messages that are left')
  end,

  'heartbeats' => lambda do |_, _|
    idle = connect(heartbeat: 1)
    check_equal(idle.heartbeat, 1, 'the agreed heartbeat')
    sleep 3.5
    own_queue(idle.create_channel)
  end
}

begin
  connection = connect
  cases.fetch(CASE).call(connection, connection.create_channel)
rescue Mismatch => e
  abort "#{CASE}: #{e.message}"
ensure
  CONNECTIONS.each { |opened| opened.close if opened.open? }
end
