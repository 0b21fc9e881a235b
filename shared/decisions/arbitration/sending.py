"""Which decisions of an endpoint may be sent now, on facts read afresh: the last look before the act.

Nothing of ours queues behind something else of ours. A change of traffic goes out whatever capacity changes are under
way, and the other way round: should Azure not take both at once, it answers 409 and the request is repeated
(`expects_conflict`, by the two assumptions). Only what a traffic wish itself `needs` is waited for.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from shared.decisions.arbitration import guards, leases, precedence
from shared.decisions.arbitration.endpoint import arbitrate_endpoint
from shared.decisions.arbitration.facts import EndpointFacts, Target
from shared.domain import Decision, Intent, Source

Answer = Literal["accepted", "conflict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Concurrency:
    """What Azure is assumed to answer: the values of `endpoint.traffic_put_during_update` and
    `arm.deployment_busy_with_endpoint`. They change what we expect, never what we send.
    """

    traffic_put_during_update: Answer = "conflict"
    deployment_busy_with_endpoint: Answer = "conflict"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """`now`: send it. Else `void`: it will never be right again, decide afresh; or wait for what `reason` says."""

    decision: Decision
    now: bool
    code: str
    reason: str
    void: bool = False
    expects_conflict: bool = False


def sendable(
    decisions: Iterable[Decision],
    facts: EndpointFacts,
    intents: Iterable[Intent],
    assumed: Concurrency,
    now: datetime,
) -> dict[Target, Sending]:
    """What to do now with each decision that changes something.

    `facts` and `intents` are of this moment, not of when it was decided.
    """
    live = leases.live(intents, now)
    waiting = {(d.target, d.dimension): d for d in decisions if d.changes}
    return {target: _sending(decision, facts, live, assumed, now) for target, decision in waiting.items()}


def _sending(
    decision: Decision, facts: EndpointFacts, live: tuple[Intent, ...], assumed: Concurrency, now: datetime
) -> Sending:
    void = _outdated(decision, facts, live, now)
    if void is not None:
        return Sending(decision=decision, now=False, void=True, code=void[0], reason=void[1])
    wait = _wait(decision, facts)
    if wait is not None:
        return Sending(decision=decision, now=False, code=wait[0], reason=wait[1])
    conflict = _expects_conflict(decision, facts, assumed)
    words = (
        "sent; Azure may answer 409 while another change runs there, and then it is repeated" if conflict else "sent"
    )
    return Sending(decision=decision, now=True, code="send", reason=words, expects_conflict=conflict)


def _outdated(
    decision: Decision, facts: EndpointFacts, live: tuple[Intent, ...], now: datetime
) -> tuple[str, str] | None:
    no_lease = leaseless(decision, facts.endpoint, live, now)
    if no_lease is not None:
        return no_lease
    for intent in live:
        same = (intent.target, intent.dimension) == (decision.target, decision.dimension)
        if same and precedence.person_holds(intent):
            return "held", f"Held since it was decided: {intent.reason}"
    return _changed(decision, facts) or _outranked(decision, facts, live, now)


def _outranked(
    decision: Decision, facts: EndpointFacts, live: Sequence[Intent], now: datetime
) -> tuple[str, str] | None:
    """Why it would not be decided any more: something that stands above it came in between (a floor, a stop, a lease).

    What its own loop says by now does not count: until a round takes the decision back, it stands.
    """
    mine = (decision.target, decision.dimension)
    without = replace(facts, in_flight={target: each for target, each in facts.in_flight.items() if target != mine})
    again = arbitrate_endpoint(without, standing(decision, live), now).get(mine)
    if again is None:
        return "no_longer", "It is not decided on by itself any more; it is decided afresh."
    if (again.to, again.split_to) == (decision.to, decision.split_to):
        return None
    return again.rule, f"It was overtaken: {again.reason}"


def standing(decision: Decision, live: Iterable[Intent]) -> list[Intent]:
    """The decision as a wish of whoever got his way, among the live intents that may overrule it."""
    source: Source = decision.winner or precedence.PRECEDENCE[0]
    wish = Intent(
        target=decision.target,
        dimension=decision.dimension,
        kind="wish",
        source=source,
        rule=decision.rule,
        reason=decision.reason,
        at=decision.at,
        value=None if decision.dimension == "traffic" else decision.to,
        holder=decision.holder,
        split=decision.split_to,
        needs=decision.needs,
    )
    return [wish, *(intent for intent in live if precedence.may_overrule(intent, source))]


def leaseless(decision: Decision, endpoint: str, intents: Iterable[Intent], now: datetime) -> tuple[str, str] | None:
    """Code and reason why the lease that this decision rests on is none any more; None if it rests on none, or is."""
    if decision.lease_until is None:
        return None
    if now >= decision.lease_until:
        return "lease_over", f"Its lease ran out at {decision.lease_until:%Y-%m-%d %H:%M:%S} UTC; it is decided afresh."
    thing = (decision.target, "jobs") if decision.dimension == "jobs" else (endpoint, "traffic")
    lease = leases.holder_of(i for i in leases.live(intents, now) if (i.target, i.dimension) == thing)
    if lease is not None and lease.holder == decision.holder:
        return None
    return "lease_lost", f"{decision.holder} holds the lease no more under which it was decided."


def _changed(decision: Decision, facts: EndpointFacts) -> tuple[str, str] | None:
    """Why what is there now is not what it was decided on, or the guard speaks now."""
    if decision.dimension == "traffic":
        there = {d: s for d, s in (facts.split or {}).items() if s > 0}
        if there != decision.split_from:
            return "changed_meanwhile", f"The split is {there}, not the {dict(decision.split_from)} that was seen."
        nowhere = guards.nowhere(decision.split_to, facts)
        return ("nowhere", nowhere) if nowhere else None
    current = _current(decision, facts)
    if current is None:
        return "vanished", "It does not exist any more."
    if current != decision.current:
        return "changed_meanwhile", f"There are {current}, not the {decision.current} that was decided on."
    load = None if decision.dimension == "jobs" else facts.load(decision.target)
    guarded = guards.guard(decision.dimension, current, decision.to, load)
    return None if guarded is None else (guarded.rule, guarded.reason)


def _current(decision: Decision, facts: EndpointFacts) -> int | None:
    if decision.dimension == "jobs":
        subject = facts.jobs.get(decision.target)
        return None if subject is None else subject.current
    if decision.dimension == "existence":
        return int(facts.exists(decision.target))
    return facts.deployments[decision.target].capacity if facts.exists(decision.target) else None


def _wait(decision: Decision, facts: EndpointFacts) -> tuple[str, str] | None:
    """Its own kind of change on its own target, or the capacity that it says it needs: nothing else."""
    if (decision.target, decision.dimension) in facts.in_flight:
        return "in_flight", f"A change of its {decision.dimension} runs; Azure takes no second one before it ends."
    if (decision.target, "existence") in facts.in_flight:
        return "being_deleted", "It is being deleted."
    for deployment, needed in sorted(decision.needs.items()):
        serving = facts.serving(deployment)
        if serving < needed:
            return "needs_capacity", f"It needs {needed} instances that serve on {deployment}; there are {serving}."
    return None


def _expects_conflict(decision: Decision, facts: EndpointFacts, assumed: Concurrency) -> bool:
    dimensions: Mapping[str, bool] = {dimension: True for _, dimension in facts.in_flight}
    if decision.dimension == "traffic":
        updates = "capacity" in dimensions or "existence" in dimensions
        return updates and assumed.traffic_put_during_update == "conflict"
    if decision.dimension in ("capacity", "existence"):
        return "traffic" in dimensions and assumed.deployment_busy_with_endpoint == "conflict"
    return False
