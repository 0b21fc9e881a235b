"""Ways to break arbitration, each of which the exploration must notice."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from shared.decisions.arbitration import guards, leases, precedence, sending
from shared.decisions.arbitration.facts import EndpointFacts
from shared.domain import Decision, Intent
from tests.decisions.explore import models
from tests.decisions.explore.world import Model


@dataclass(frozen=True, slots=True)
class Mutation:
    """What is changed, in the model in which it is noticed, and the invariant that notices it."""

    name: str
    model: Model
    invariant: str
    apply: Callable[[pytest.MonkeyPatch], None]


def swap(lower: str, higher: str, model: Model, invariant: str) -> Mutation:
    order = list(precedence.PRECEDENCE)
    place = order.index(lower)  # type: ignore[arg-type]
    if order[place + 1] != higher:
        raise ValueError(f"{higher} does not come right after {lower}")
    order[place : place + 2] = order[place + 1], order[place]
    swapped = tuple(order)
    return Mutation(
        f"{lower} outranks {higher}", model, invariant, lambda patch: patch.setattr(precedence, "PRECEDENCE", swapped)
    )


def replaced(name: str, model: Model, invariant: str, home: Any, function: str, other: Any) -> Mutation:
    return Mutation(name, model, invariant, lambda patch: patch.setattr(home, function, other))


def blind(name: str, model: Model, invariant: str, check: str) -> Mutation:
    """Without one check of the last look and without the fold in it: each of the two covers the other."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        patch.setattr(sending, check, _no_check)
        patch.setattr(sending, "_outranked", _no_check)

    return Mutation(name, model, invariant, apply)


def _everything(intents: Iterable[Intent], now: datetime) -> tuple[Intent, ...]:
    return tuple(intents)


def _waits_for_anything(decision: Decision, facts: EndpointFacts) -> tuple[str, str] | None:
    return ("busy", "Something is in flight.") if facts.in_flight else None


def _waits_for_nothing(decision: Decision, facts: EndpointFacts) -> None:
    return None


def _queues_traffic(decision: Decision, facts: EndpointFacts) -> tuple[str, str] | None:
    if decision.dimension == "traffic" and any(dimension == "capacity" for _, dimension in facts.in_flight):
        return "busy", "A change of capacity runs."
    return _real_wait(decision, facts)


_real_wait = sending._wait
_real_guard = guards.guard


def _guard_of_capacity_alone(dimension: str, *rest: Any) -> Any:
    return None if dimension == "existence" else _real_guard(dimension, *rest)  # type: ignore[arg-type]


def _blind_load(self: EndpointFacts, deployment: str, coming: Mapping[str, int] | None = None) -> Any:
    """The load of now, blind to a change of traffic on its way."""
    return _real_load(EndpointFacts(endpoint="", deployments=self.deployments, split=self.split), deployment)


_real_load = EndpointFacts.load


def _no_check(*_: Any) -> None:
    return None


SWAPS = (
    swap("savings", "scaling", models.SPARE, "promise"),
    swap("scaling", "budget", models.SPARE, "budget"),
    swap("budget", "platform", models.SPARE, "floor"),
    swap("platform", "rollout", models.LIMITS, "stable"),
    swap("rollout", "manual_change", models.LIMITS, "held"),
    swap("manual_change", "person", models.PEOPLE, "order"),
)

OTHERS = (
    replaced("no guard for what carries traffic", models.CAPACITY, "traffic", guards, "guard", _no_check),
    replaced("no guard of existence", models.MEDDLING, "traffic", guards, "guard", _guard_of_capacity_alone),
    replaced("traffic on its way is not seen", models.ROLLOUT_ACCEPTED, "traffic", EndpointFacts, "load", _blind_load),
    replaced("requests go to what is not there", models.HASTY, "traffic", guards, "nowhere", lambda *_: ""),
    replaced("expiry is ignored", models.TWO_ROLLOUTS, "expiry", leases, "live", _everything),
    replaced("two leases at once", models.TWO_ROLLOUTS, "writers", leases, "_holds", lambda *_: True),
    replaced("what has a holder needs no lease", models.TWO_ROLLOUTS, "writers", leases, "_silenced", lambda *_: ""),
    replaced("no last look before sending", models.MEDDLING, "expiry", sending, "_outdated", _no_check),
    blind("the lease is not looked at again", models.TWO_ROLLOUTS, "expiry", "leaseless"),
    blind("the last look does not see what changed", models.MEDDLING, "traffic", "_changed"),
    replaced("the last look does not fold again", models.SPARE, "floor", sending, "_outranked", _no_check),
    replaced("a lease does not stop what was decided", models.HASTY, "writers", sending, "_outranked", _no_check),
    replaced("traffic is not looked at for capacity", models.ROLLOUT, "needs", sending, "_wait", _waits_for_nothing),
    replaced("a second change goes out during the first", models.JOBS, "writers", sending, "_wait", _waits_for_nothing),
    replaced("traffic queues behind capacity", models.ROLLOUT_ACCEPTED, "needs", sending, "_wait", _queues_traffic),
    replaced("everything queues", models.ROLLOUT_ACCEPTED, "needs", sending, "_wait", _waits_for_anything),
    replaced("a rollout goes below a safety floor", models.LIMITS, "floor", precedence, "MAY_ONLY_ADD", ()),
    replaced("the first intent wins", models.CAPACITY, "any_order", precedence, "rank", lambda intent: 0),
)
