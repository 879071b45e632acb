// The cases of languages.py with amqp091-go, RabbitMQ's Go client.
//
//	amqp091_client URL CASE
package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const patience = 20 * time.Second

var url, chosen string

// fail ends the program with a sentence; must does so for an error that nobody expects.
func fail(format string, values ...any) {
	fmt.Fprintf(os.Stderr, chosen+": "+format+"\n", values...)
	os.Exit(1)
}

func must(err error) {
	if err != nil {
		fail("unexpected: %v", err)
	}
}

func check(condition bool, format string, values ...any) {
	if !condition {
		fail(format, values...)
	}
}

func checkEqual(got, expected any, what string) {
	check(reflect.DeepEqual(got, expected), "%s should be %#v and is %#v", what, expected, got)
}

func unique(name string) string {
	return fmt.Sprintf("go-%s-%d-%d", name, os.Getpid(), time.Now().UnixNano())
}

func connect(heartbeat time.Duration) *amqp.Connection {
	connection, err := amqp.DialConfig(url, amqp.Config{Heartbeat: heartbeat, Locale: "en_US"})
	must(err)
	return connection
}

func open(connection *amqp.Connection) *amqp.Channel {
	channel, err := connection.Channel()
	must(err)
	return channel
}

// ownQueue is one that belongs to the connection; durableQueue outlives it.
func ownQueue(channel *amqp.Channel, arguments amqp.Table) string {
	queue, err := channel.QueueDeclare("", false, false, true, false, arguments)
	must(err)
	return queue.Name
}

func durableQueue(channel *amqp.Channel, name string) string {
	queue, err := channel.QueueDeclare(unique(name), true, false, false, false, nil)
	must(err)
	return queue.Name
}

func publish(channel *amqp.Channel, exchange, key string, message amqp.Publishing) {
	must(channel.PublishWithContext(context.Background(), exchange, key, false, false, message))
}

func send(channel *amqp.Channel, queue string, bodies ...string) {
	for _, body := range bodies {
		publish(channel, "", queue, amqp.Publishing{Body: []byte(body), DeliveryMode: amqp.Persistent})
	}
}

// confirmed waits until the broker has confirmed everything that publishing sends.
func confirmed(channel *amqp.Channel, number int, publishing func()) {
	must(channel.Confirm(false))
	confirms := channel.NotifyPublish(make(chan amqp.Confirmation, number))
	publishing()
	for n := 1; n <= number; n++ {
		select {
		case confirm := <-confirms:
			check(confirm.Ack && confirm.DeliveryTag == uint64(n), "confirm %d is %+v", n, confirm)
		case <-time.After(patience):
			fail("confirm %d of %d did not come within %v", n, number, patience)
		}
	}
}

// get fetches a message of the queue, waiting for it if need be.
func get(channel *amqp.Channel, queue string) amqp.Delivery {
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		message, ok, err := channel.Get(queue, false)
		must(err)
		if ok {
			return message
		}
		check(time.Now().Before(deadline), "nothing came to %s within 10 s", queue)
	}
}

func getBodies(channel *amqp.Channel, queue string, number int) []string {
	bodies := []string{}
	for len(bodies) < number {
		message := get(channel, queue)
		must(message.Ack(false))
		bodies = append(bodies, string(message.Body))
	}
	return bodies
}

func numberIn(channel *amqp.Channel, queue string) int {
	declared, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	must(err)
	return declared.Messages
}

func deleteEmpty(channel *amqp.Channel, queue string) {
	deleted, err := channel.QueueDelete(queue, false, false, false)
	must(err)
	checkEqual(deleted, 0, "the number of messages that are left")
}

func consume(channel *amqp.Channel, queue, tag string) <-chan amqp.Delivery {
	arriving, err := channel.Consume(queue, tag, false, false, false, false, nil)
	must(err)
	return arriving
}

func next(arriving <-chan amqp.Delivery) amqp.Delivery {
	select {
	case message, ok := <-arriving:
		check(ok, "the consumer ended")
		return message
	case <-time.After(patience):
		fail("no message was delivered within %v", patience)
	}
	panic("not reached")
}

// rejected checks that the channel is closed with this code, and that the connection's next
// channel works.
func rejected(connection *amqp.Connection, code int, act func(*amqp.Channel) error) {
	channel := open(connection)
	err := act(channel)
	check(err != nil, "it should have been refused with %d", code)
	refused, ok := err.(*amqp.Error)
	check(ok, "unexpected: %v", err)
	checkEqual(refused.Code, code, "the reply code")
	check(refused.Server && channel.IsClosed(), "the broker should have closed the channel")
	other := open(connection)
	queue := ownQueue(other, nil)
	send(other, queue, "still here")
	checkEqual(getBodies(other, queue, 1), []string{"still here"}, "the next channel's message")
}

type binding struct {
	key       string
	arguments amqp.Table
}

// route tells what each queue got, bound like this to an exchange of this kind.
func route(connection *amqp.Connection, kind string, bindings, messages []binding) [][]string {
	channel := open(connection)
	exchange := unique(kind)
	must(channel.ExchangeDeclare(exchange, kind, false, true, false, false, nil))
	queues := []string{}
	for _, bound := range bindings {
		queue := ownQueue(channel, nil)
		must(channel.QueueBind(queue, bound.key, exchange, false, bound.arguments))
		queues = append(queues, queue)
	}
	confirmed(channel, len(messages), func() {
		for _, message := range messages {
			publish(channel, exchange, message.key,
				amqp.Publishing{Body: []byte(message.key), Headers: message.arguments})
		}
	})
	got := [][]string{}
	for _, queue := range queues {
		got = append(got, getBodies(channel, queue, numberIn(channel, queue)))
	}
	return got
}

func exchangeTypes(connection *amqp.Connection, _ *amqp.Channel) {
	all := []string{"kern.info", "kern.critical.now", "cron"}
	keys := []binding{}
	for _, key := range all {
		keys = append(keys, binding{key, nil})
	}
	checkEqual(route(connection, "direct", []binding{{"cron", nil}, {"kern.info", nil}}, keys),
		[][]string{{"cron"}, {"kern.info"}}, "what direct routes")
	checkEqual(
		route(connection, "topic", []binding{{"kern.#", nil}, {"*.info", nil}, {"#", nil}}, keys),
		[][]string{{"kern.info", "kern.critical.now"}, {"kern.info"}, all}, "what topic routes")
	checkEqual(route(connection, "fanout", []binding{{"", nil}, {"other", nil}}, keys),
		[][]string{all, all}, "what fanout routes")
	got := route(connection, "headers",
		[]binding{
			{"", amqp.Table{"x-match": "all", "kind": "report", "pages": int32(3)}},
			{"", amqp.Table{"x-match": "any", "kind": "report", "pages": int32(3)}},
		},
		[]binding{
			{"both", amqp.Table{"kind": "report", "pages": int32(3), "more": true}},
			{"one", amqp.Table{"kind": "letter", "pages": int32(3)}},
			{"none", amqp.Table{"kind": "letter"}},
		})
	checkEqual(got, [][]string{{"both"}, {"both", "one"}}, "what headers routes")
}

func confirms(_ *amqp.Connection, channel *amqp.Channel) {
	queue := durableQueue(channel, "confirms")
	confirmed(channel, 500, func() {
		for n := 0; n < 500; n++ {
			send(channel, queue, strconv.Itoa(n))
		}
	})
	checkEqual(numberIn(channel, queue), 500, "the number of confirmed messages in the queue")
	purged, err := channel.QueuePurge(queue, false)
	must(err)
	checkEqual(purged, 500, "the number of purged messages")
	deleteEmpty(channel, queue)
}

func consumeAndAck(connection *amqp.Connection, channel *amqp.Channel) {
	queue := durableQueue(channel, "tasks")
	sending := open(connection)
	sent, got := []string{}, []string{}
	for n := 0; n < 100; n++ {
		sent = append(sent, strconv.Itoa(n))
	}
	send(sending, queue, sent...)
	arriving := consume(channel, queue, "tag")
	for len(got) < len(sent) {
		message := next(arriving)
		must(message.Ack(false))
		got = append(got, string(message.Body))
	}
	checkEqual(got, sent, "the order of the messages")
	must(channel.Cancel("tag", false))
	must(channel.Close())
	deleteEmpty(sending, queue)
}

func nackRequeues(_ *amqp.Connection, channel *amqp.Channel) {
	queue := durableQueue(channel, "nacks")
	send(channel, queue, "a", "b", "c")
	first, second := get(channel, queue), get(channel, queue)
	check(!first.Redelivered, "the first delivery is not a redelivery")
	must(first.Nack(false, true))
	again := get(channel, queue)
	checkEqual(string(again.Body), "a", "the message that comes after a requeue")
	check(again.Redelivered, "it should be marked as redelivered")
	must(second.Reject(false))
	must(again.Ack(false))
	last := get(channel, queue)
	checkEqual(string(last.Body), "c", "the last message")
	check(!last.Redelivered, "the last message is not a redelivery")
	must(last.Ack(false))
	deleteEmpty(channel, queue)
}

func basicGet(_ *amqp.Connection, channel *amqp.Channel) {
	queue := ownQueue(channel, nil)
	_, ok, err := channel.Get(queue, false)
	must(err)
	check(!ok, "an empty queue has nothing to get")
	send(channel, queue, "a", "b")
	first, second := get(channel, queue), get(channel, queue)
	checkEqual([]string{string(first.Body), string(second.Body)}, []string{"a", "b"}, "what get gives")
	checkEqual([]uint32{first.MessageCount, second.MessageCount}, []uint32{1, 0},
		"what get says is left")
	_, ok, err = channel.Get(queue, false)
	must(err)
	check(!ok, "a queue without ready messages has nothing to get")
}

func mandatoryReturn(_ *amqp.Connection, channel *amqp.Channel) {
	returns := channel.NotifyReturn(make(chan amqp.Return, 1))
	confirmed(channel, 1, func() {
		must(channel.PublishWithContext(context.Background(), "amq.direct", unique("nobody"), true,
			false, amqp.Publishing{Body: []byte("back")}))
	})
	select {
	case returned := <-returns:
		checkEqual(returned.ReplyCode, uint16(312), "the reply code")
		checkEqual(returned.Exchange+" "+string(returned.Body), "amq.direct back", "the return")
	default:
		fail("the return should have come before the ack")
	}
}

func prefetch(_ *amqp.Connection, channel *amqp.Channel) {
	queue := ownQueue(channel, nil)
	for n := 0; n < 10; n++ {
		send(channel, queue, strconv.Itoa(n))
	}
	must(channel.Qos(3, 0, false))
	arriving := consume(channel, queue, "tag")
	messages := []amqp.Delivery{next(arriving), next(arriving), next(arriving)}
	// An answered request on this channel comes after whatever was delivered before it.
	checkEqual(numberIn(channel, queue), 7, "the number of messages that wait")
	checkEqual(len(arriving), 0, "the number of messages beyond the prefetch")
	for n := 0; n < 7; n++ {
		must(messages[n].Ack(false))
		messages = append(messages, next(arriving))
	}
	for n, message := range messages {
		checkEqual(string(message.Body), strconv.Itoa(n), "the order")
	}
}

func missingQueue(connection *amqp.Connection, _ *amqp.Channel) {
	name := unique("missing")
	rejected(connection, 404, func(channel *amqp.Channel) error {
		_, err := channel.QueueDeclarePassive(name, false, false, false, false, nil)
		return err
	})
	rejected(connection, 404, func(channel *amqp.Channel) error {
		return channel.ExchangeDeclarePassive(name, "direct", false, false, false, false, nil)
	})
	rejected(connection, 404, func(channel *amqp.Channel) error {
		_, _, err := channel.Get(name, true)
		return err
	})
}

func inequivalentQueue(connection *amqp.Connection, channel *amqp.Channel) {
	name := unique("inequivalent")
	declare := func(channel *amqp.Channel, durable bool, arguments amqp.Table) error {
		_, err := channel.QueueDeclare(name, durable, false, false, false, arguments)
		return err
	}
	expires := amqp.Table{"x-expires": int32(60000)}
	must(declare(channel, false, expires))
	must(declare(channel, false, expires))
	// The same number in another width is the same argument.
	must(declare(channel, false, amqp.Table{"x-expires": int64(60000)}))
	rejected(connection, 406, func(other *amqp.Channel) error { return declare(other, true, expires) })
	rejected(connection, 406, func(other *amqp.Channel) error {
		return declare(other, false, amqp.Table{"x-expires": int32(61000)})
	})
	rejected(connection, 406, func(other *amqp.Channel) error { return declare(other, false, nil) })
	must(channel.ExchangeDeclare(name, "direct", false, false, false, false, nil))
	rejected(connection, 406, func(other *amqp.Channel) error {
		return other.ExchangeDeclare(name, "fanout", false, false, false, false, nil)
	})
	deleteEmpty(channel, name)
	must(channel.ExchangeDelete(name, false, false))
}

func deadLetterQueue(channel *amqp.Channel) (exchange, graveyard string) {
	exchange = unique("dead")
	must(channel.ExchangeDeclare(exchange, "fanout", false, true, false, false, nil))
	graveyard = ownQueue(channel, nil)
	must(channel.QueueBind(graveyard, "", exchange, false, nil))
	return exchange, graveyard
}

func checkDeath(message amqp.Delivery, queue, reason string) amqp.Table {
	deaths, ok := message.Headers["x-death"].([]any)
	check(ok && len(deaths) == 1, "x-death should be a list of one and is %#v",
		message.Headers["x-death"])
	death := deaths[0].(amqp.Table)
	checkEqual([]any{death["queue"], death["reason"], death["count"], death["exchange"]},
		[]any{queue, reason, int64(1), ""}, "x-death")
	checkEqual(death["routing-keys"], []any{queue}, "the routing keys in x-death")
	checkEqual(message.Headers["x-first-death-reason"], reason, "x-first-death-reason")
	return death
}

func deadLetters(_ *amqp.Connection, channel *amqp.Channel) {
	exchange, graveyard := deadLetterQueue(channel)
	queue := ownQueue(channel, amqp.Table{"x-dead-letter-exchange": exchange,
		"x-dead-letter-routing-key": "late"})
	send(channel, queue, "bad")
	must(get(channel, queue).Reject(false))
	message := get(channel, graveyard)
	checkEqual(string(message.Body)+" "+message.RoutingKey, "bad late", "the dead message")
	checkDeath(message, queue, "rejected")
}

func ttl(_ *amqp.Connection, channel *amqp.Channel) {
	exchange, graveyard := deadLetterQueue(channel)
	queue := ownQueue(channel,
		amqp.Table{"x-dead-letter-exchange": exchange, "x-message-ttl": int32(200)})
	send(channel, queue, "old")
	message := get(channel, graveyard)
	checkEqual(string(message.Body), "old", "the expired message")
	checkDeath(message, queue, "expired")
	queue = ownQueue(channel, amqp.Table{"x-dead-letter-exchange": exchange})
	publish(channel, "", queue, amqp.Publishing{Body: []byte("short"), Expiration: "200"})
	message = get(channel, graveyard)
	checkEqual(string(message.Body), "short", "the message with an expiration")
	death := checkDeath(message, queue, "expired")
	checkEqual(message.Expiration, "", "the expiration of a dead message")
	checkEqual(death["original-expiration"], "200", "its original-expiration")
}

func priorities(_ *amqp.Connection, channel *amqp.Channel) {
	queue := ownQueue(channel, amqp.Table{"x-max-priority": int32(5)})
	for _, message := range []struct {
		body     string
		priority uint8
	}{{"low", 1}, {"none", 0}, {"high", 5}, {"low too", 1}, {"beyond", 9}, {"middle", 3}} {
		publish(channel, "", queue,
			amqp.Publishing{Body: []byte(message.body), Priority: message.priority})
	}
	checkEqual(getBodies(channel, queue, 6),
		[]string{"high", "beyond", "middle", "low", "low too", "none"}, "the order")
}

func transactions(connection *amqp.Connection, channel *amqp.Channel) {
	queue := durableQueue(channel, "tx")
	sender := open(connection)
	must(sender.Tx())
	send(sender, queue, "a", "b")
	numberIn(sender, queue)
	checkEqual(numberIn(channel, queue), 0, "what is in the queue before the commit")
	must(sender.TxCommit())
	checkEqual(numberIn(channel, queue), 2, "what is in the queue after the commit")
	send(sender, queue, "c")
	must(get(sender, queue).Ack(false))
	must(sender.TxRollback())
	must(sender.Recover(true))
	checkEqual(getBodies(channel, queue, 2), []string{"a", "b"}, "what is there after a rollback")
	deleteEmpty(channel, queue)
}

func serverNamed(connection *amqp.Connection, _ *amqp.Channel) {
	owner := connect(0)
	name := ownQueue(open(owner), nil)
	check(strings.HasPrefix(name, "amq.gen-"), "%s is no name that the broker has chosen", name)
	passive := func(channel *amqp.Channel) error {
		_, err := channel.QueueDeclarePassive(name, false, false, true, false, nil)
		return err
	}
	rejected(connection, 405, passive)
	must(owner.Close())
	code := 405
	for tries := 0; code == 405 && tries < 1000; tries++ {
		err, ok := passive(open(connection)).(*amqp.Error)
		check(ok, "an exclusive queue outlived its connection")
		code = err.Code
		time.Sleep(10 * time.Millisecond)
	}
	checkEqual(code, 404, "what an exclusive queue is after its connection")
}

func properties(_ *amqp.Connection, channel *amqp.Channel) {
	queue := ownQueue(channel, nil)
	body := make([]byte, 256)
	for n := range body {
		body[n] = byte(n)
	}
	sent := amqp.Publishing{
		Headers: amqp.Table{
			"text": "grün", "true": true, "false": false, "int": int32(7), "negative": int32(-70000),
			"big": int64(1) << 40, "double": 1.5, "float": float32(0.5), "short": int16(-5),
			"decimal": amqp.Decimal{Scale: 2, Value: 125}, "none": nil, "bytes": []byte{0, 255},
			"when": time.Unix(1700000000, 0), "list": []any{int32(1), "two",
				amqp.Table{"three": int32(3)}},
			"table": amqp.Table{"deep": amqp.Table{"deeper": "deepest"}},
		},
		ContentType: "text/plain", ContentEncoding: "utf-8", DeliveryMode: amqp.Persistent,
		Priority: 4, CorrelationId: "c", ReplyTo: "r", Expiration: "60000", MessageId: "m",
		Timestamp: time.Unix(1700000000, 0), Type: "t", UserId: "guest", AppId: "a", Body: body,
	}
	publish(channel, "", queue, sent)
	got := get(channel, queue)
	checkEqual(amqp.Publishing{
		Headers: got.Headers, ContentType: got.ContentType, ContentEncoding: got.ContentEncoding,
		DeliveryMode: got.DeliveryMode, Priority: got.Priority, CorrelationId: got.CorrelationId,
		ReplyTo: got.ReplyTo, Expiration: got.Expiration, MessageId: got.MessageId,
		Timestamp: got.Timestamp, Type: got.Type, UserId: got.UserId, AppId: got.AppId,
		Body: got.Body,
	}, sent, "the message")
}

func largeMessage(_ *amqp.Connection, channel *amqp.Channel) {
	queue := durableQueue(channel, "large")
	body := make([]byte, 4<<20)
	rand.Read(body)
	confirmed(channel, 1, func() { send(channel, queue, string(body)) })
	message := get(channel, queue)
	check(bytes.Equal(message.Body, body), "4 MiB came back changed")
	must(message.Ack(false))
	deleteEmpty(channel, queue)
}

func heartbeats(_ *amqp.Connection, _ *amqp.Channel) {
	idle := connect(time.Second)
	checkEqual(idle.Config.Heartbeat, time.Second, "the agreed heartbeat")
	time.Sleep(3500 * time.Millisecond)
	ownQueue(open(idle), nil)
	must(idle.Close())
}

var cases = map[string]func(*amqp.Connection, *amqp.Channel){
	"exchange_types":     exchangeTypes,
	"confirms":           confirms,
	"consume_and_ack":    consumeAndAck,
	"nack_requeues":      nackRequeues,
	"basic_get":          basicGet,
	"mandatory_return":   mandatoryReturn,
	"prefetch":           prefetch,
	"missing_queue":      missingQueue,
	"inequivalent_queue": inequivalentQueue,
	"dead_letters":       deadLetters,
	"ttl":                ttl,
	"priorities":         priorities,
	"transactions":       transactions,
	"server_named":       serverNamed,
	"properties":         properties,
	"large_message":      largeMessage,
	"heartbeats":         heartbeats,
}

func main() {
	// A slash more would be the vhost with the empty name.
	url, chosen = strings.TrimSuffix(os.Args[1], "/"), os.Args[2]
	time.AfterFunc(60*time.Second, func() { fail("it took more than 60 s") })
	run, known := cases[chosen]
	check(known, "no such case")
	connection := connect(10 * time.Second)
	run(connection, open(connection))
	must(connection.Close())
}
