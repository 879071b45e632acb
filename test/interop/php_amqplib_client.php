<?php
// The cases of languages.py with php-amqplib, the PHP client.
//
//   php php_amqplib_client.php URL CASE
declare(strict_types=1);

require 'PhpAmqpLib/autoload.php';

use PhpAmqpLib\Channel\AMQPChannel;
use PhpAmqpLib\Connection\AMQPStreamConnection;
use PhpAmqpLib\Exception\AMQPProtocolChannelException;
use PhpAmqpLib\Message\AMQPMessage;
use PhpAmqpLib\Wire\AMQPTable;

set_error_handler(function (int $kind, string $text, string $file, int $line): bool {
    // What a newer PHP thinks of the library's age is not our question.
    if ($kind & (E_DEPRECATED | E_USER_DEPRECATED)) {
        return true;
    }
    throw new ErrorException($text, 0, $kind, $file, $line);
});

class Mismatch extends Exception
{
}

function connect(int $heartbeat = 0): AMQPStreamConnection
{
    global $url;
    return new AMQPStreamConnection(
        $url['host'], $url['port'], $url['user'], $url['pass'], '/', false, 'PLAIN', null, 'en_US',
        10.0, 20.0, null, false, $heartbeat
    );
}

function unique(string $name): string
{
    return "php-$name-" . bin2hex(random_bytes(8));
}

function check(bool $condition, string $sentence): void
{
    if (!$condition) {
        throw new Mismatch($sentence);
    }
}

function check_equal($got, $expected, string $what): void
{
    check($got === $expected,
        "$what should be " . var_export($expected, true) . ' and is ' . var_export($got, true));
}

function queue(AMQPChannel $channel, string $name = '', array $arguments = []): string
{
    // A queue with a name outlives the connection; one without belongs to it.
    $exclusive = $name === '';
    return $channel->queue_declare($name, false, !$exclusive, $exclusive, false, false,
        new AMQPTable($arguments))[0];
}

function publish(AMQPChannel $channel, string $queue, string $body, array $properties = []): void
{
    $channel->basic_publish(new AMQPMessage($body, $properties), '', $queue);
}

// A message of the queue, waiting for it if need be.
function get(AMQPChannel $channel, string $queue): AMQPMessage
{
    $deadline = microtime(true) + 10;
    while (($message = $channel->basic_get($queue)) === null) {
        check(microtime(true) < $deadline, "nothing came to $queue within 10 s");
        usleep(10000);
    }
    return $message;
}

function get_bodies(AMQPChannel $channel, string $queue, int $number): array
{
    $bodies = [];
    while (count($bodies) < $number) {
        $message = get($channel, $queue);
        $message->ack();
        $bodies[] = $message->getBody();
    }
    return $bodies;
}

function number_in(AMQPChannel $channel, string $queue): int
{
    return $channel->queue_declare($queue, true)[1];
}

// The channel is closed with this error, and the connection's next channel works.
function rejected(AMQPStreamConnection $connection, int $code, callable $act): void
{
    try {
        $act($connection->channel());
        check(false, "it should have been refused with $code");
    } catch (AMQPProtocolChannelException $error) {
        check_equal($error->amqp_reply_code, $code, 'the reply code');
    }
    $other = $connection->channel();
    $queue = queue($other);
    publish($other, $queue, 'still here');
    check_equal(get_bodies($other, $queue, 1), ['still here'], "the next channel's message");
}

// What each queue got, bound with [key, arguments] to an exchange of this kind.
function route(AMQPChannel $channel, string $kind, array $bindings, array $messages): array
{
    $exchange = unique($kind);
    $channel->exchange_declare($exchange, $kind);
    $queues = [];
    foreach ($bindings as [$key, $arguments]) {
        $queues[] = $queue = queue($channel);
        $channel->queue_bind($queue, $exchange, $key, false, new AMQPTable($arguments));
    }
    foreach ($messages as [$key, $headers]) {
        $message = new AMQPMessage($key, ['application_headers' => new AMQPTable($headers)]);
        $channel->basic_publish($message, $exchange, $key);
    }
    $channel->wait_for_pending_acks(20);
    return array_map(
        fn(string $queue) => get_bodies($channel, $queue, number_in($channel, $queue)), $queues);
}

function dead_letter_queue(AMQPChannel $channel): array
{
    $exchange = unique('dead');
    $channel->exchange_declare($exchange, 'fanout');
    $graveyard = queue($channel);
    $channel->queue_bind($graveyard, $exchange);
    return [$exchange, $graveyard];
}

function headers_of(AMQPMessage $message): array
{
    return $message->get('application_headers')->getNativeData();
}

function check_death(AMQPMessage $message, string $queue, string $reason): void
{
    $headers = headers_of($message);
    $death = $headers['x-death'][0];
    check_equal([$death['queue'], $death['reason'], $death['count'], $death['exchange']],
        [$queue, $reason, 1, ''], 'x-death');
    check_equal($death['routing-keys'], [$queue], 'the routing keys in x-death');
    check_equal($headers['x-first-death-reason'], $reason, 'x-first-death-reason');
}

$cases = [
    'exchange_types' => function ($connection, AMQPChannel $channel): void {
        $channel->confirm_select();
        $keys = [['kern.info', []], ['kern.critical.now', []], ['cron', []]];
        $all = ['kern.info', 'kern.critical.now', 'cron'];
        check_equal(route($channel, 'direct', [['cron', []], ['kern.info', []]], $keys),
            [['cron'], ['kern.info']], 'what direct routes');
        check_equal(
            route($channel, 'topic', [['kern.#', []], ['*.info', []], ['#', []]], $keys),
            [['kern.info', 'kern.critical.now'], ['kern.info'], $all], 'what topic routes');
        check_equal(route($channel, 'fanout', [['', []], ['other', []]], $keys), [$all, $all],
            'what fanout routes');
        $wanted = ['kind' => 'report', 'pages' => 3];
        $got = route($channel, 'headers',
            [['', $wanted + ['x-match' => 'all']], ['', $wanted + ['x-match' => 'any']]],
            [['both', $wanted + ['more' => true]], ['one', ['kind' => 'letter', 'pages' => 3]],
             ['none', ['kind' => 'letter']]]);
        check_equal($got, [['both'], ['both', 'one']], 'what headers routes');
    },

    'confirms' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, unique('confirms'));
        $channel->confirm_select();
        $acked = 0;
        $channel->set_ack_handler(function () use (&$acked): void {
            $acked++;
        });
        for ($n = 0; $n < 500; $n++) {
            publish($channel, $queue, "$n", ['delivery_mode' => 2]);
        }
        $channel->wait_for_pending_acks(20);
        check_equal($acked, 500, 'the number of confirms');
        check_equal(number_in($channel, $queue), 500, 'the number of messages in the queue');
        check_equal($channel->queue_purge($queue), 500, 'the number of purged messages');
        check_equal($channel->queue_delete($queue), 0, 'the number of deleted messages');
    },

    'consume_and_ack' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, unique('tasks'));
        $sending = $connection->channel();
        for ($n = 0; $n < 100; $n++) {
            publish($sending, $queue, "$n");
        }
        $bodies = [];
        $tag = $channel->basic_consume($queue, '', false, false, false, false,
            function (AMQPMessage $message) use (&$bodies): void {
                $bodies[] = $message->getBody();
                $message->ack();
            });
        while (count($bodies) < 100) {
            $channel->wait(null, false, 20);
        }
        check_equal($bodies, array_map('strval', range(0, 99)), 'the order of the messages');
        $channel->basic_cancel($tag);
        $channel->close();
        check_equal($sending->queue_delete($queue), 0, 'the number of messages that are left');
    },

    'nack_requeues' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, unique('nacks'));
        foreach (['a', 'b', 'c'] as $body) {
            publish($channel, $queue, $body);
        }
        $first = get($channel, $queue);
        $second = get($channel, $queue);
        check(!$first->isRedelivered(), 'the first delivery is not a redelivery');
        $first->nack(true);
        $again = get($channel, $queue);
        check_equal($again->getBody(), 'a', 'the message that comes after a requeue');
        check($again->isRedelivered(), 'it should be marked as redelivered');
        $second->reject(false);
        $again->ack();
        $last = get($channel, $queue);
        check_equal([$last->getBody(), $last->isRedelivered()], ['c', false], 'the last message');
        $last->ack();
        check_equal($channel->queue_delete($queue), 0, 'the number of messages that are left');
    },

    'basic_get' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel);
        check_equal($channel->basic_get($queue), null, 'what an empty queue gives');
        publish($channel, $queue, 'a');
        publish($channel, $queue, 'b');
        $got = [$channel->basic_get($queue), $channel->basic_get($queue)];
        check_equal([$got[0]->getBody(), $got[1]->getBody()], ['a', 'b'], 'what get gives');
        check_equal([$got[0]->getMessageCount(), $got[1]->getMessageCount()], [1, 0],
            'what get says is left');
        check_equal($channel->basic_get($queue), null, 'what a queue without ready messages gives');
    },

    'mandatory_return' => function ($connection, AMQPChannel $channel): void {
        $events = [];
        $channel->set_return_listener(
            function ($code, $text, $exchange, $key, AMQPMessage $message) use (&$events): void {
                $events[] = [$code, $exchange, $message->getBody()];
            });
        $channel->set_ack_handler(function () use (&$events): void {
            $events[] = 'ack';
        });
        $channel->confirm_select();
        $channel->basic_publish(new AMQPMessage('back'), 'amq.direct', unique('nobody'), true);
        $channel->wait_for_pending_acks_returns(20);
        check_equal($events, [[312, 'amq.direct', 'back'], 'ack'], 'the return and then the ack');
    },

    'prefetch' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel);
        for ($n = 0; $n < 10; $n++) {
            publish($channel, $queue, "$n");
        }
        $channel->basic_qos(0, 3, false);
        $arrived = [];
        $channel->basic_consume($queue, '', false, false, false, false,
            function (AMQPMessage $message) use (&$arrived): void {
                $arrived[] = $message;
            });
        $wait_for = function (int $number) use (&$arrived, $channel): void {
            while (count($arrived) < $number) {
                $channel->wait(null, false, 20);
            }
        };
        $wait_for(3);
        // An answered request on this channel comes after whatever was delivered before it.
        check_equal(number_in($channel, $queue), 7, 'the number of messages that wait');
        check_equal(count($arrived), 3, 'the number of unacked messages');
        for ($n = 0; $n < 7; $n++) {
            $arrived[$n]->ack();
            $wait_for($n + 4);
        }
        check_equal(array_map(fn($message) => $message->getBody(), $arrived),
            array_map('strval', range(0, 9)), 'the order');
    },

    'missing_queue' => function ($connection, $channel): void {
        rejected($connection, 404, fn($channel) => $channel->queue_declare(unique('missing'), true));
        rejected($connection, 404,
            fn($channel) => $channel->exchange_declare(unique('missing'), 'direct', true));
        rejected($connection, 404, fn($channel) => $channel->basic_get(unique('missing')));
    },

    'inequivalent_queue' => function ($connection, AMQPChannel $channel): void {
        $name = unique('inequivalent');
        $declare = fn(AMQPChannel $channel, bool $durable = false, ?int $expires = 60000) =>
            $channel->queue_declare($name, false, $durable, false, false, false,
                new AMQPTable($expires === null ? [] : ['x-expires' => $expires]));
        $declare($channel);
        $declare($channel);
        rejected($connection, 406, fn($channel) => $declare($channel, true));
        rejected($connection, 406, fn($channel) => $declare($channel, false, 61000));
        rejected($connection, 406, fn($channel) => $declare($channel, false, null));
        $channel->exchange_declare($name, 'direct');
        rejected($connection, 406, fn($channel) => $channel->exchange_declare($name, 'fanout'));
        $channel->queue_delete($name);
        $channel->exchange_delete($name);
    },

    'dead_letters' => function ($connection, AMQPChannel $channel): void {
        [$exchange, $graveyard] = dead_letter_queue($channel);
        $queue = queue($channel, '', ['x-dead-letter-exchange' => $exchange,
                                      'x-dead-letter-routing-key' => 'late']);
        publish($channel, $queue, 'bad');
        get($channel, $queue)->reject(false);
        $message = get($channel, $graveyard);
        check_equal([$message->getBody(), $message->getRoutingKey()], ['bad', 'late'],
            'the dead message');
        check_death($message, $queue, 'rejected');
    },

    'ttl' => function ($connection, AMQPChannel $channel): void {
        [$exchange, $graveyard] = dead_letter_queue($channel);
        $dead_letter_to = ['x-dead-letter-exchange' => $exchange];
        $queue = queue($channel, '', $dead_letter_to + ['x-message-ttl' => 200]);
        publish($channel, $queue, 'old');
        $message = get($channel, $graveyard);
        check_equal($message->getBody(), 'old', 'the expired message');
        check_death($message, $queue, 'expired');
        $queue = queue($channel, '', $dead_letter_to);
        publish($channel, $queue, 'short', ['expiration' => '200']);
        $message = get($channel, $graveyard);
        check_equal($message->getBody(), 'short', 'the message with an expiration');
        check_death($message, $queue, 'expired');
        check(!$message->has('expiration'), "a dead message's expiration is taken away");
        check_equal(headers_of($message)['x-death'][0]['original-expiration'], '200',
            'and kept in x-death');
    },

    'priorities' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, '', ['x-max-priority' => 5]);
        foreach (['low' => 1, 'none' => null, 'high' => 5, 'low too' => 1, 'beyond' => 9,
                  'middle' => 3] as $body => $priority) {
            publish($channel, $queue, $body, $priority === null ? [] : ['priority' => $priority]);
        }
        check_equal(get_bodies($channel, $queue, 6),
            ['high', 'beyond', 'middle', 'low', 'low too', 'none'], 'the order');
    },

    'transactions' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, unique('tx'));
        $sender = $connection->channel();
        $sender->tx_select();
        publish($sender, $queue, 'a', ['delivery_mode' => 2]);
        publish($sender, $queue, 'b', ['delivery_mode' => 2]);
        number_in($sender, $queue);
        check_equal(number_in($channel, $queue), 0, 'what is in the queue before the commit');
        $sender->tx_commit();
        check_equal(number_in($channel, $queue), 2, 'what is in the queue after the commit');
        publish($sender, $queue, 'c');
        get($sender, $queue)->ack();
        $sender->tx_rollback();
        $sender->basic_recover(true);
        check_equal(get_bodies($channel, $queue, 2), ['a', 'b'], 'what is there after a rollback');
        check_equal($channel->queue_delete($queue), 0, 'the number of messages that are left');
    },

    'server_named' => function ($connection, $channel): void {
        $owner = connect();
        $name = queue($owner->channel());
        check(str_starts_with($name, 'amq.gen-'), "$name is no name that the broker has chosen");
        rejected($connection, 405, fn($channel) => $channel->queue_declare($name, true));
        $owner->close();
        for ($code = 405, $tries = 0; $code === 405 && $tries < 1000; $tries++) {
            try {
                $connection->channel()->queue_declare($name, true);
            } catch (AMQPProtocolChannelException $error) {
                $code = $error->amqp_reply_code;
                usleep(10000);
            }
        }
        check_equal($code, 404, 'what an exclusive queue is after its connection');
    },

    'properties' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel);
        $headers = [
            'text' => 'grün', 'true' => true, 'false' => false, 'int' => 7, 'negative' => -70000,
            'big' => 2 ** 40, 'list' => [1, 'two', ['three' => 3]],
            'table' => ['deep' => ['deeper' => 'deepest']], 'none' => null,
        ];
        $properties = [
            'content_type' => 'text/plain', 'content_encoding' => 'utf-8', 'delivery_mode' => 2,
            'priority' => 4, 'correlation_id' => 'c', 'reply_to' => 'r', 'expiration' => '60000',
            'message_id' => 'm', 'timestamp' => 1700000000, 'type' => 't', 'user_id' => 'guest',
            'app_id' => 'a',
        ];
        $body = implode('', array_map('chr', range(0, 255)));
        publish($channel, $queue, $body,
            $properties + ['application_headers' => new AMQPTable($headers)]);
        $message = get($channel, $queue);
        check_equal($message->getBody(), $body, 'the body');
        foreach ($properties as $name => $value) {
            check_equal($message->get($name), $value, $name);
        }
        $got = headers_of($message);
        ksort($got);
        ksort($headers);
        check_equal($got, $headers, 'the headers');
    },

    'large_message' => function ($connection, AMQPChannel $channel): void {
        $queue = queue($channel, unique('large'));
        $channel->confirm_select();
        $body = random_bytes(4 << 20);
        publish($channel, $queue, $body, ['delivery_mode' => 2]);
        $channel->wait_for_pending_acks(20);
        $message = get($channel, $queue);
        check($message->getBody() === $body, '4 MiB came back changed');
        $message->ack();
        check_equal($channel->queue_delete($queue), 0, 'the number of messages that are left');
    },

    'heartbeats' => function ($connection, $channel): void {
        $idle = connect(1);
        check_equal($idle->getHeartbeat(), 1, 'the agreed heartbeat');
        for ($until = microtime(true) + 3.5; microtime(true) < $until; usleep(100000)) {
            $idle->checkHeartBeat();
        }
        queue($idle->channel());
        $idle->close();
    },
];

$url = parse_url($argv[1]);
try {
    $connection = connect();
    $cases[$argv[2]]($connection, $connection->channel());
    $connection->close();
} catch (Mismatch $error) {
    fwrite(STDERR, "$argv[2]: {$error->getMessage()}\n");
    exit(1);
} catch (Throwable $error) {
    fwrite(STDERR, "$argv[2]: $error\n");
    exit(1);
}
