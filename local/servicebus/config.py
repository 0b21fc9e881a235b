"""Reads the official emulator's Config.json, so that the same file (and the same tests) serves both.

What this broker cannot do is refused here, with its place in the file, and not ignored.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from local.servicebus.errors import ConfigError

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+(?:\.\d+)?)S)?)?")
_A_CENTURY = timedelta(days=36525)  # Service Bus writes "never" as P10675199DT2H48M5.4775807S
_LONGEST_LOCK = timedelta(minutes=5)
_UNSUPPORTED = {"RequiresSession": "sessions", "ForwardTo": "forwarding", "ForwardDeadLetteredMessagesTo": "forwarding"}
_ON_BOTH = {"DefaultMessageTimeToLive"}
_ON_SENDING = {"DuplicateDetectionHistoryTimeWindow", "RequiresDuplicateDetection"}
_ON_RECEIVING = {"DeadLetteringOnMessageExpiration", "LockDuration", "MaxDeliveryCount", *_UNSUPPORTED}
_MATCHES_ALL = re.compile(r"\s*1\s*=\s*1\s*")


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """What Service Bus lets one set on a queue; the defaults are Azure's (the official emulator has others).

    `dead_letters_keep_time` is no setting there, but what it may do: a dead letter shows when it was sent.
    """

    lock_duration: timedelta = timedelta(minutes=1)
    max_delivery_count: int = 10
    time_to_live: timedelta | None = None
    dead_letter_on_expiry: bool = False
    duplicate_window: timedelta | None = None
    dead_letters_keep_time: bool = False


@dataclass(frozen=True, slots=True)
class NamespaceSettings:
    """A namespace's name, its queues by name, and the subscriptions of its topics by theirs, in the order of the file.

    A subscription is a queue: what its topic asks of every message (time to live, duplicates) is in its settings.
    """

    name: str
    queues: Mapping[str, QueueSettings]
    topics: Mapping[str, Mapping[str, QueueSettings]]


def read_config(config: Mapping[str, Any]) -> NamespaceSettings:
    """The one namespace of a parsed Config.json. Raises `ConfigError` with the path of what is wrong."""
    _only(config, "", {"UserConfig"})
    user = _mapping(_required(config, "UserConfig", ""), "UserConfig")
    _only(user, "UserConfig", {"Namespaces", "Logging"})
    namespaces = _sequence(_required(user, "Namespaces", "UserConfig"), "UserConfig.Namespaces")
    if len(namespaces) != 1:
        raise ConfigError(f"UserConfig.Namespaces: exactly one namespace is needed, not {len(namespaces)}")
    return _namespace(namespaces[0], "UserConfig.Namespaces[0]")


def _namespace(value: object, path: str) -> NamespaceSettings:
    entry = _mapping(value, path)
    _only(entry, path, {"Name", "Queues", "Topics"})
    queues: dict[str, QueueSettings] = {}
    for name, queue, at in _named(entry, "Queues", path, {"Name", "Properties"}):
        known = _ON_BOTH | _ON_SENDING | _ON_RECEIVING
        queues[name] = _queue(_mapping(queue.get("Properties", {}), f"{at}.Properties"), f"{at}.Properties", known)
    topics: dict[str, Mapping[str, QueueSettings]] = {}
    for name, topic, at in _named(entry, "Topics", path, {"Name", "Properties", "Subscriptions"}):
        if name.lower() in (queue.lower() for queue in queues):
            raise ConfigError(f"{at}.Name: there is a queue {name!r} already; a namespace has each name once")
        topics[name] = _subscriptions(topic, at)
    return NamespaceSettings(_text(_required(entry, "Name", path), f"{path}.Name"), queues, topics)


def _named(parent: Mapping[str, Any], key: str, path: str, known: set[str]) -> list[tuple[str, Mapping[str, Any], str]]:
    """The entries of a list as (name, entry, path); the names differ by more than case."""
    found: list[tuple[str, Mapping[str, Any], str]] = []
    for index, item in enumerate(_sequence(parent.get(key, []), f"{path}.{key}")):
        at = f"{path}.{key}[{index}]"
        entry = _mapping(item, at)
        _only(entry, at, known)
        name = _text(_required(entry, "Name", at), f"{at}.Name")
        if name.lower() in (other.lower() for other, _, _ in found):
            raise ConfigError(f"{at}.Name: the name {name!r} is there already (names differ by more than case)")
        found.append((name, entry, at))
    return found


def _subscriptions(topic: Mapping[str, Any], path: str) -> dict[str, QueueSettings]:
    """Every subscription gets every message, so that what the topic does to one can as well be done in each of them."""
    of_topic = _queue(
        _mapping(topic.get("Properties", {}), f"{path}.Properties"), f"{path}.Properties", _ON_BOTH | _ON_SENDING
    )
    found: dict[str, QueueSettings] = {}
    for name, entry, at in _named(topic, "Subscriptions", path, {"Name", "Properties", "Rules"}):
        at_properties = f"{at}.Properties"
        own = _queue(_mapping(entry.get("Properties", {}), at_properties), at_properties, _ON_BOTH | _ON_RECEIVING)
        limits = [limit for limit in (own.time_to_live, of_topic.time_to_live) if limit is not None]
        found[name] = replace(own, time_to_live=min(limits, default=None), duplicate_window=of_topic.duplicate_window)
        for index, rule in enumerate(_sequence(entry.get("Rules", []), f"{at}.Rules")):
            _refuse_choosing(rule, f"{at}.Rules[{index}]")
    if not found:
        raise ConfigError(f"{path}.Subscriptions: a topic needs one at least, or its messages go nowhere")
    return found


def _refuse_choosing(value: object, path: str) -> None:
    """A rule may only match everything."""
    rule = _mapping(value, path)
    _only(rule, path, {"Name", "Properties"})
    properties = _mapping(rule.get("Properties", {}), f"{path}.Properties")
    of_sql = properties.get("SqlFilter", {})
    expression = of_sql.get("SqlExpression") if isinstance(of_sql, Mapping) else None
    if properties.keys() - {"FilterType", "SqlFilter"} or not _MATCHES_ALL.fullmatch(str(expression)):
        raise ConfigError(f"{path}: a rule here matches everything (an SqlFilter with SqlExpression '1=1'); remove it")


def _queue(properties: Mapping[str, Any], path: str, known: set[str]) -> QueueSettings:
    _only(properties, path, known)
    for name, feature in _UNSUPPORTED.items():
        if properties.get(name):
            raise ConfigError(f"{path}.{name}: the local Service Bus has no {feature} yet; remove it")
    time_to_live = _duration(properties, "DefaultMessageTimeToLive", timedelta.max, path)
    window = _duration(properties, "DuplicateDetectionHistoryTimeWindow", timedelta(minutes=10), path)
    lock_duration = _duration(properties, "LockDuration", timedelta(minutes=1), path)
    if lock_duration > _LONGEST_LOCK:
        raise ConfigError(f"{path}.LockDuration: Service Bus locks for at most PT5M")
    return QueueSettings(
        lock_duration=lock_duration,
        max_delivery_count=_count(properties.get("MaxDeliveryCount", 10), f"{path}.MaxDeliveryCount"),
        time_to_live=time_to_live if time_to_live < _A_CENTURY else None,
        dead_letter_on_expiry=_flag(properties, "DeadLetteringOnMessageExpiration", path),
        duplicate_window=window if _flag(properties, "RequiresDuplicateDetection", path) else None,
    )


def _required(parent: Mapping[str, Any], key: str, path: str) -> object:
    if key not in parent:
        raise ConfigError(f"{_join(path, key)}: missing")
    return parent[key]


def _only(parent: Mapping[str, Any], path: str, known: set[str]) -> None:
    for key in parent:
        if key not in known:
            raise ConfigError(f"{_join(path, key)}: unknown property; known here: {', '.join(sorted(known))}")


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _mapping(value: object, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{path}: an object is needed, not {type(value).__name__}")
    return value


def _sequence(value: object, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise ConfigError(f"{path}: an array is needed, not {type(value).__name__}")
    return value


def _text(value: object, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise ConfigError(f"{path}: a name is needed, not {value!r}")
    return value


def _count(value: object, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ConfigError(f"{path}: a whole number from 1 is needed, not {value!r}")
    return value


def _flag(parent: Mapping[str, Any], key: str, path: str) -> bool:
    value = parent.get(key, False)
    if not isinstance(value, bool):
        raise ConfigError(f"{path}.{key}: true or false is needed, not {value!r}")
    return value


def _duration(parent: Mapping[str, Any], key: str, default: timedelta, path: str) -> timedelta:
    text = parent.get(key)
    if text is None:
        return default
    found = _DURATION.fullmatch(text) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise ConfigError(f"{path}.{key}: an ISO 8601 duration such as PT30S or P1D is needed, not {text!r}")
    days, hours, minutes, seconds = (float(part or 0) for part in found.groups())
    try:
        duration = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    except OverflowError:
        return timedelta.max
    if not duration:
        raise ConfigError(f"{path}.{key}: a duration above zero is needed, not {text!r}")
    return duration
