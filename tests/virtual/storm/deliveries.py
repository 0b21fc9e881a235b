"""What a storm sends: signals of several kinds and forms, some of them more than once, in bodies of one or many.

Each signal has a number, and its number is all that it is known by: whatever form it comes in, number n is one signal.
"""

import json
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tests.virtual.storm.field import Standing

Way = Literal["alerts", "event_grid", "service_bus"]

WAYS: tuple[Way, ...] = ("alerts", "event_grid", "service_bus", "service_bus")
AT_MOST_IN_A_BODY = 12
_NUMBER = re.compile(r"storm-(\d+)")


@dataclass(frozen=True, slots=True)
class Delivery:
    """One body on one of the ways; `numbers` are the signals in it."""

    way: Way
    body: bytes
    numbers: tuple[int, ...]
    message: str


@dataclass(frozen=True, slots=True)
class Storm:
    """`distinct` signals in `deliveries`; everything beyond them is a repetition."""

    distinct: int
    signals: int
    deliveries: tuple[Delivery, ...]


def number_of(signal_id: str) -> int:
    """The number of a signal, by what the ledger calls it.

    Raises:
        ValueError: it is none of the storm's.
    """
    found = _NUMBER.search(signal_id)
    if found is None:
        raise ValueError(f"{signal_id!r} is no signal of the storm")
    return int(found[1])


def brew(field: Sequence[Standing], signals: int, at: datetime, seed: int, *, repeated: float = 0.3) -> Storm:
    """So many signals in all, this share of them repetitions, shuffled; everybody in the field is spoken of."""
    dice = random.Random(seed)
    distinct = round(signals * (1 - repeated))
    if distinct < len(field):
        raise ValueError(f"{distinct} distinct signals cannot speak of {len(field)} targets: send more")
    payloads = [_payload(number, field[number % len(field)], at, dice) for number in range(distinct)]
    numbers = [*range(distinct), *dice.choices(range(distinct), k=signals - distinct)]
    dice.shuffle(numbers)
    deliveries = []
    while numbers:
        way = dice.choice(WAYS)
        taken = [numbers.pop() for _ in range(min(len(numbers), _size(way, dice)))]
        deliveries += [_delivery(way, together, payloads, dice) for together in _by_form(taken, payloads)]
    return Storm(distinct, signals, tuple(deliveries))


def _size(way: Way, dice: random.Random) -> int:
    """Event Grid hands over arrays, an action group one alert, a queue one message."""
    return dice.randint(1, AT_MOST_IN_A_BODY) if way == "alerts" else 1


def _by_form(numbers: Sequence[int], payloads: Sequence[Any]) -> list[list[int]]:
    """Alerts come alone; events, in either schema, with others of theirs."""
    alerts = [[number] for number in numbers if "schemaId" in payloads[number]]
    cloud = [number for number in numbers if "specversion" in payloads[number]]
    events = [number for number in numbers if "eventType" in payloads[number]]
    return [some for some in (*alerts, cloud, events) if some]


def _delivery(way: Way, numbers: Sequence[int], payloads: Sequence[Any], dice: random.Random) -> Delivery:
    some = [payloads[number] for number in numbers]
    if way == "event_grid" and "schemaId" in some[0]:
        way = "alerts"  # an action group has no Event Grid
    content: Any = some if len(some) > 1 or (way == "event_grid" and "eventType" in some[0]) else some[0]
    return Delivery(way, json.dumps(content).encode(), tuple(numbers), f"m-{dice.getrandbits(40):x}")


def _payload(number: int, standing: Standing, at: datetime, dice: random.Random) -> dict[str, Any]:
    (make,) = dice.choices(FORMS, weights=WEIGHTS)
    return make(f"storm-{number}", standing, at)


def _written(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    return _event(name, standing, at, "Microsoft.Resources.ResourceWriteSuccess", _of_deployment(standing))


def _written_as_cloud_event(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": name,
        "source": _subscription(standing),
        "type": "Microsoft.Resources.ResourceWriteSuccess",
        "time": at.isoformat(),
        "data": _of_deployment(standing),
    }


def _messages_wait(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    data = {"namespaceName": standing.member.namespace, "entityType": "queue", "queueName": standing.member.queue}
    kind = "Microsoft.ServiceBus.ActiveMessagesAvailableWithNoListeners"
    return _event(name, standing, at, kind, data) | {"topic": standing.member.namespace_id}


def _alert(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    dimension = {"name": "EntityName", "value": standing.member.queue}
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {
            "essentials": {
                "alertId": f"{_subscription(standing)}/providers/Microsoft.AlertsManagement/alerts/{name}",
                "alertRule": "the queue is deep",
                "signalType": "Metric",
                "monitoringService": "Platform",
                "monitorCondition": "Fired",
                "alertTargetIDs": [standing.member.namespace_id],
                "firedDateTime": at.isoformat(),
            },
            "alertContext": {"condition": {"allOf": [{"metricName": "ActiveMessages", "dimensions": [dimension]}]}},
        },
    }


def _run_completed(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    data = {"experimentId": "e", "experimentName": "train", "runId": name, "runType": None}
    return _event(name, standing, at, "Microsoft.MachineLearningServices.RunCompleted", data)


def _of_nobodys_kind(name: str, standing: Standing, at: datetime) -> dict[str, Any]:
    return _event(name, standing, at, "Contoso.Weather", {"wind": "strong"})


FORMS: tuple[Callable[[str, Standing, datetime], dict[str, Any]], ...] = (
    *(_written, _written_as_cloud_event, _messages_wait, _alert, _run_completed, _of_nobodys_kind),
)
WEIGHTS = (30, 15, 25, 20, 5, 5)


def _event(name: str, standing: Standing, at: datetime, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": name,
        "topic": _subscription(standing),
        "subject": standing.member.deployment_id,
        "eventType": kind,
        "eventTime": at.isoformat(),
        "data": data,
        "dataVersion": "1",
    }


def _of_deployment(standing: Standing) -> dict[str, Any]:
    return {"resourceUri": standing.member.deployment_id, "operationName": "write"}


def _subscription(standing: Standing) -> str:
    return standing.member.endpoint_id.partition("/resourceGroups")[0]
