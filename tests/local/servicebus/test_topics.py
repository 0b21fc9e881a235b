"""Topics: each subscription is a queue with its own copies, its own dead letters and its own end of a message."""

from datetime import timedelta
from typing import Any

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusSubQueue
from azure.servicebus.aio import ServiceBusClient
from azure.servicebus.exceptions import ServiceBusAuthorizationError, ServiceBusError

from local.clock import RealClock, VirtualClock
from local.servicebus import Broker, ConfigError
from local.servicebus.errors import ServiceBusError as Refused
from local.servicebus.message import new_message
from tests.local.servicebus.conftest import broker_in_thread

AT = "UserConfig.Namespaces[0].Topics[0]"


def config(*subscriptions: Any, **properties: Any) -> dict[str, Any]:
    topic = {"Name": "News", "Properties": properties, "Subscriptions": list(subscriptions)}
    return {"UserConfig": {"Namespaces": [{"Name": "sbemulatorns", "Topics": [topic]}]}}


def subscription(name: str, *rules: Any, **properties: Any) -> dict[str, Any]:
    return {"Name": name, "Properties": properties, "Rules": list(rules)}


def rule(expression: str) -> dict[str, Any]:
    return {"Name": "r", "Properties": {"FilterType": "Sql", "SqlFilter": {"SqlExpression": expression}}}


TWO = config(subscription("a", rule("1 = 1"), MaxDeliveryCount=1), subscription("b"))


def test_each_subscription_has_a_copy_that_ends_for_itself() -> None:
    broker = Broker(TWO, VirtualClock())
    assert broker.topic("news").enqueue([new_message(b"x", "1", {"model": "m"})] * 2) == [1, 2]
    a, b = broker.queue("news/subscriptions/A"), broker.queue("NEWS/Subscriptions/b")
    (first,) = a.receive(1)
    assert (first.body, first.message_id, first.properties) == (b"x", "1", {"model": "m"})
    a.abandon(first.lock_token)
    assert (a.counts().active, a.counts().dead_letter) == (1, 1)
    assert (b.counts().active, b.counts().dead_letter) == (2, 0)
    (dead,) = broker.queue("news/Subscriptions/a/$deadletterqueue").receive(1)
    assert dead.properties["DeadLetterReason"] == "MaxDeliveryCountExceeded"
    assert b.receive(1)[0].properties == {"model": "m"}, "the copies share nothing"


def test_a_topic_limits_lives_and_detects_duplicates_for_all() -> None:
    clock = VirtualClock()
    made = config(
        subscription("a", DefaultMessageTimeToLive="PT10S"),
        subscription("b"),
        DefaultMessageTimeToLive="PT1M",
        RequiresDuplicateDetection=True,
    )
    broker = Broker(made, clock)
    lives = [broker.queue(f"news/Subscriptions/{name}").settings.time_to_live for name in ("a", "b")]
    assert lives == [timedelta(seconds=10), timedelta(minutes=1)]
    topic = broker.topic("news")
    assert topic.enqueue([new_message(b"x", "1", None)]) == [1]
    assert topic.enqueue([new_message(b"x", "1", None)]) == [0]
    assert broker.queue("news/Subscriptions/b").counts().active == 1


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (config(), f"{AT}.Subscriptions: a topic needs one"),
        (config(subscription("a"), subscription("A")), f"{AT}.Subscriptions[1].Name: the name 'A'"),
        (config(subscription("a", rule("color = 'red'"))), f"{AT}.Subscriptions[0].Rules[0]: a rule here matches"),
        (config(subscription("a", {"Name": "r"})), f"{AT}.Subscriptions[0].Rules[0]: a rule here matches"),
        (config(subscription("a"), LockDuration="PT1M"), f"{AT}.Properties.LockDuration: unknown property"),
        (
            config(subscription("a", RequiresDuplicateDetection=True)),
            f"{AT}.Subscriptions[0].Properties.RequiresDuplicateDetection: unknown property",
        ),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(made: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Broker(made, VirtualClock())
    assert str(refused.value).startswith(message)


def test_a_name_without_an_entity_is_refused() -> None:
    broker = Broker(TWO, VirtualClock())
    for wrong in ("news", "news/Subscriptions/c", "news/Subscriptions"):
        with pytest.raises(Refused, match="could not be found"):
            broker.queue(wrong)


async def test_the_real_client_sends_to_a_topic_and_receives_the_dead_letters_of_a_subscription() -> None:
    with broker_in_thread(TWO, RealClock()) as broker:
        async with ServiceBusClient.from_connection_string(broker.connection_string, retry_total=0) as client:
            async with client.get_topic_sender("news") as sender:
                await sender.send_messages(ServiceBusMessage(b"x", message_id="1"))
            async with client.get_subscription_receiver("news", "a") as receiver:
                (message,) = await receiver.receive_messages(max_wait_time=5)
                await receiver.dead_letter_message(message, reason="Poison", error_description="no")
            dead = ServiceBusSubQueue.DEAD_LETTER
            async with client.get_subscription_receiver("news", "a", sub_queue=dead) as receiver:
                (peeked,) = await receiver.peek_messages(10)
                assert (peeked.message_id, peeked.dead_letter_reason) == ("1", "Poison")
                (message,) = await receiver.receive_messages(max_wait_time=5)
                await receiver.complete_message(message)
            with pytest.raises(ServiceBusError, match="send to its topic"):
                async with client.get_queue_sender("news/Subscriptions/a"):
                    pass
            with pytest.raises(ServiceBusError, match="receive from one of its subscriptions"):
                async with client.get_queue_receiver("news"):
                    pass
            broker.deny("news/Subscriptions/b", "Listen")
            with pytest.raises(ServiceBusAuthorizationError):
                async with client.get_subscription_receiver("news", "b", sub_queue=dead):
                    pass
        assert broker.queue("news/Subscriptions/a").counts().dead_letter == 0
        assert broker.queue("news/Subscriptions/b").counts().active == 1
