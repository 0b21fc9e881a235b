"""The official emulator's Config.json: read as it is meant, and refused with the place of what is wrong."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local.clock import VirtualClock
from local.servicebus import Broker, ConfigError, QueueSettings
from tests.local.servicebus.conftest import config

AT = "UserConfig.Namespaces[0].Queues[0].Properties"


def settings(**properties: Any) -> QueueSettings:
    return Broker(config(q=properties), VirtualClock()).queue("q").settings


def test_the_file_that_the_official_emulator_mounts() -> None:
    file = json.loads((Path(__file__).parent / "config.json").read_text())
    broker = Broker(file, VirtualClock())
    assert broker.namespace == "sbemulatorns"
    assert {"plain", "poison", "short-lock", "expiring", "deduplicated"} < {queue.name for queue in broker.queues}
    assert broker.queue("short-lock").settings.lock_duration == timedelta(seconds=5)


def test_a_queue_without_properties_has_the_defaults_of_azure() -> None:
    assert settings() == QueueSettings(
        lock_duration=timedelta(minutes=1),
        max_delivery_count=10,
        time_to_live=None,
        dead_letter_on_expiry=False,
        duplicate_window=None,
    )


def test_every_property_of_the_official_sample() -> None:
    assert settings(
        DeadLetteringOnMessageExpiration=True,
        DefaultMessageTimeToLive="P1DT2H3M4.5S",
        DuplicateDetectionHistoryTimeWindow="PT20S",
        ForwardDeadLetteredMessagesTo="",
        ForwardTo="",
        LockDuration="PT30S",
        MaxDeliveryCount=3,
        RequiresDuplicateDetection=True,
        RequiresSession=False,
    ) == QueueSettings(
        lock_duration=timedelta(seconds=30),
        max_delivery_count=3,
        time_to_live=timedelta(days=1, hours=2, minutes=3, seconds=4.5),
        dead_letter_on_expiry=True,
        duplicate_window=timedelta(seconds=20),
    )


def test_the_longest_time_span_means_never() -> None:
    assert settings(DefaultMessageTimeToLive="P10675199DT2H48M5.4775807S").time_to_live is None
    assert settings(DefaultMessageTimeToLive="P99999999999D").time_to_live is None


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"LockDurations": "PT1M"}, f"{AT}.LockDurations: unknown property"),
        ({"LockDuration": "1 minute"}, f"{AT}.LockDuration: an ISO 8601 duration"),
        ({"LockDuration": "PT"}, f"{AT}.LockDuration: an ISO 8601 duration"),
        ({"LockDuration": 60}, f"{AT}.LockDuration: an ISO 8601 duration"),
        ({"LockDuration": "PT0S"}, f"{AT}.LockDuration: a duration above zero"),
        ({"LockDuration": "PT6M"}, f"{AT}.LockDuration: Service Bus locks for at most PT5M"),
        ({"MaxDeliveryCount": 0}, f"{AT}.MaxDeliveryCount: a whole number from 1"),
        ({"MaxDeliveryCount": True}, f"{AT}.MaxDeliveryCount: a whole number from 1"),
        ({"DeadLetteringOnMessageExpiration": "yes"}, f"{AT}.DeadLetteringOnMessageExpiration: true or false"),
        ({"RequiresSession": True}, f"{AT}.RequiresSession: the local Service Bus has no sessions yet"),
        ({"ForwardTo": "other"}, f"{AT}.ForwardTo: the local Service Bus has no forwarding yet"),
    ],
)
def test_a_property_that_cannot_be_used_is_refused_with_its_path(properties: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Broker(config(q=properties), VirtualClock())
    assert str(refused.value).startswith(message)


NAMESPACE = "UserConfig.Namespaces[0]"


@pytest.mark.parametrize(
    ("namespaces", "message"),
    [
        ([], "UserConfig.Namespaces: exactly one namespace"),
        ([{"Name": "a"}, {"Name": "b"}], "UserConfig.Namespaces: exactly one namespace"),
        ({}, "UserConfig.Namespaces: an array is needed, not dict"),
        ([{"Queues": []}], f"{NAMESPACE}.Name: missing"),
        ([{"Name": ""}], f"{NAMESPACE}.Name: a name is needed"),
        ([{"Name": "n", "Topics": [{"Name": "t"}]}], f"{NAMESPACE}.Topics[0].Subscriptions: a topic needs one"),
        (
            [{"Name": "n", "Queues": [{"Name": "T"}], "Topics": [{"Name": "t", "Subscriptions": [{"Name": "s"}]}]}],
            f"{NAMESPACE}.Topics[0].Name: there is a queue",
        ),
        ([{"Name": "n", "Queue": []}], f"{NAMESPACE}.Queue: unknown property"),
        ([{"Name": "n", "Queues": [{}]}], f"{NAMESPACE}.Queues[0].Name: missing"),
        ([{"Name": "n", "Queues": ["q"]}], f"{NAMESPACE}.Queues[0]: an object is needed"),
        ([{"Name": "n", "Queues": [{"Name": "q"}, {"Name": "Q"}]}], f"{NAMESPACE}.Queues[1].Name: the name 'Q'"),
    ],
)
def test_a_namespace_that_cannot_be_used_is_refused_with_its_path(namespaces: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Broker({"UserConfig": {"Namespaces": namespaces}}, VirtualClock())
    assert str(refused.value).startswith(message)


def test_a_file_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="UserConfig: missing"):
        Broker({}, VirtualClock())
    with pytest.raises(ConfigError, match="userConfig: unknown property"):
        Broker({"userConfig": {}}, VirtualClock())
