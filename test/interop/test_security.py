"""Who may do what: permissions, tags, limits; a running broker takes up changes of them."""

import signal
import subprocess

import pika
import pytest
from broker import program, wait_until
from pika_extras import (PERSISTENT, channel_closed_with, connection_closed_with, drain, get,
                         publish_confirmed, wait_on)


@pytest.fixture
def user(own_broker):
    """Runs `landfall user VERB …` on the broker's users and lets the broker read them again."""

    def run(verb, *arguments, password=None):
        subprocess.run([program("landfall"), "user", verb, "--data-dir", own_broker.data,
                        *arguments],
                       input=password, text=True, check=True, capture_output=True)
        before = own_broker.log().count("users read again")
        own_broker.process.send_signal(signal.SIGHUP)
        wait_until(lambda: own_broker.log().count("users read again") > before,
                   "the broker has read the users")

    return run


@pytest.fixture
def shop(own_broker, user):
    """Connects as a user that may do everything in / with what begins with shop."""
    user("add", "shop", "--vhost", "", password="secret\n")
    user("set-permissions", "shop", "^shop", "^shop", "^shop")
    return lambda: own_broker.connect(user="shop", password="secret")


def test_a_user_may_do_what_the_patterns_say(shop):
    connection = shop()
    channel = connection.channel()
    channel.exchange_declare("shop.x", "topic")
    channel.queue_declare("shop.q", durable=True)
    channel.queue_bind("shop.q", "shop.x", "#")
    publish_confirmed(channel, "key", [b"1"], exchange="shop.x")
    assert get(channel, "shop.q")[2] == b"1"

    for what, attempt in {
            "configure access to queue 'other'": lambda c: c.queue_declare("other"),
            "configure access to exchange 'amq.topic'": lambda c: c.exchange_delete("amq.topic"),
            "write access to exchange 'amq.default'":
                lambda c: (c.confirm_delivery(), c.basic_publish("", "shop.q", b"", PERSISTENT)),
            "read access to exchange 'amq.topic'":
                lambda c: c.queue_bind("shop.q", "amq.topic", "#"),
            "read access to queue 'other'": lambda c: c.basic_get("other"),
            "write access to exchange 'other'":
                lambda c: c.queue_declare("shop.r", arguments={"x-dead-letter-exchange": "other"}),
    }.items():
        with pytest.raises(pika.exceptions.ChannelClosedByBroker) as caught:
            attempt(connection.channel())
        assert caught.value.reply_code == 403
        assert caught.value.reply_text == (
            f"ACCESS_REFUSED - {what} in vhost '/' refused for user 'shop'")
    connection.close()


def test_routing_keys_of_a_topic_exchange_can_be_limited(shop, user):
    user("set-permissions", "shop", "^shop", "^(shop|amq.topic)", "^(shop|amq.topic)")
    user("set-topic-permissions", "shop", "amq.topic", "^{username}\\.", "^public\\.")
    connection = shop()
    channel = connection.channel()
    channel.queue_declare("shop.q")
    channel.queue_bind("shop.q", "amq.topic", "public.*")
    channel.confirm_delivery()
    channel.basic_publish("amq.topic", "shop.sold", b"")
    with channel_closed_with(403):
        channel.basic_publish("amq.topic", "public.news", b"")
    with channel_closed_with(403):
        connection.channel().queue_bind("shop.q", "amq.topic", "#")
    connection.close()


def test_a_change_holds_for_connections_that_are_open(shop, user):
    connection = shop()
    channel = connection.channel()
    channel.queue_declare("shop.q")
    channel.confirm_delivery()
    with channel_closed_with(403):
        channel.basic_publish("amq.fanout", "", b"")
    channel = connection.channel()
    user("set-permissions", "shop", "", "^amq.fanout$", "^shop")
    channel.confirm_delivery()
    channel.basic_publish("amq.fanout", "", b"")
    with channel_closed_with(403):
        channel.queue_delete("shop.q")
    user("delete", "shop")
    with connection_closed_with(320):
        wait_on(connection, lambda: False, "the connection of a deleted user is closed")


def test_a_user_without_permissions_may_not_open_the_vhost(shop, user):
    user("clear-permissions", "shop")
    with connection_closed_with(530):
        shop()


def test_only_an_impersonator_publishes_in_the_name_of_another(own_broker, shop, user, name):
    user("set-permissions", "shop", ".*", ".*", ".*")
    connection = shop()
    channel = connection.channel()
    channel.queue_declare(name)
    channel.confirm_delivery()
    properties = pika.BasicProperties(user_id="guest")
    with channel_closed_with(406):
        channel.basic_publish("", name, b"", properties)
    user("set-tags", "shop", "impersonator")
    publish_confirmed(connection.channel(), name, [b"as guest"], properties=properties)
    assert drain(connection.channel(), name) == [b"as guest"]
    connection.close()


def test_connections_and_channels_of_a_user_are_limited(own_broker, shop, user):
    users = own_broker.data / "users.toml"
    users.write_text(users.read_text() + '\n[vhosts."/"]\nmax_connections = 3\n')
    text = users.read_text().replace("[users.shop]", "[users.shop]\nmax_connections = 2\n"
                                     "max_channels = 3")
    users.write_text(text)
    user("set-tags", "shop")
    first, second = shop(), shop()
    with connection_closed_with(530):
        shop()
    first.close()
    third = shop()
    guest = own_broker.connect()
    with connection_closed_with(530):
        own_broker.connect()
    channels = [second.channel(), second.channel(), third.channel()]
    channels[0].close()
    third.channel()
    with connection_closed_with(530):
        third.channel()
    for connection in (second, guest):
        connection.close()


def test_a_refused_login_is_logged_whatever_the_mechanism(own_broker):
    class Amqplain(pika.PlainCredentials):
        TYPE = "AMQPLAIN"

        def response_for(self, start):
            return b"AMQPLAIN", self.encode()

        def encode(self):
            out = b""
            for key, value in ((b"LOGIN", self.username), (b"PASSWORD", self.password)):
                text = value.encode()
                out += bytes([len(key)]) + key + b"S" + len(text).to_bytes(4, "big") + text
            return out

    pika.credentials.VALID_TYPES.append(Amqplain)
    parameters = own_broker.parameters()
    parameters.credentials = Amqplain("guest", "guest")
    pika.BlockingConnection(parameters).close()
    parameters.credentials = Amqplain("nobody", "wrong-secret")
    with pytest.raises(pika.exceptions.ProbableAuthenticationError):
        pika.BlockingConnection(parameters)
    log = own_broker.log()
    assert "login failed user=nobody" in log
    assert "wrong-secret" not in log
