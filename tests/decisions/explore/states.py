"""A state of a small world: one endpoint with two deployments, a compute, what is in flight, and what everybody wants.

Time is counted in ticks and always "now" is the same instant: what has `left` ticks runs out that many minutes from
now. So a world that has seen the same things later is the same state, and the states are finite.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

from shared.decisions.arbitration import DeploymentFacts, EndpointFacts, Flight, Subject
from shared.domain import Decision, Dimension

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
TICK = timedelta(minutes=1)
ENDPOINT, BLUE, GREEN, COMPUTE = "endpoint", "blue", "green", "compute"
DEPLOYMENTS = (BLUE, GREEN)
FULL_LOAD = 2
"""Instances that either deployment needs for all requests; half of them for half."""

NO_END = -1


class Said(NamedTuple):
    """What a voice says now: an option of its (0: nothing), which ends in `left` ticks (0: it has ended, and stands
    there still, because nobody withdrew it).
    """

    option: int = 0
    left: int = NO_END


class Op(NamedTuple):
    """A change of ours at Azure. `to` is instances, jobs, 1 or 0, or blue's percent of the requests. `excused`: a
    person moved the traffic after it was sent.
    """

    target: str
    dimension: Dimension
    to: int
    excused: bool = False


class Plan(NamedTuple):
    """A decision that waits, without its words; its lease has `left` ticks."""

    target: str
    dimension: Dimension
    current: int
    to: int
    rule: str
    winner: str | None
    needs: tuple[tuple[str, int], ...]
    holder: str
    left: int


class State(NamedTuple):
    """`capacity` of blue and green (0: it does not exist), `share` of blue in percent, `first` the voice that asked
    first for a lease of several, `moves` what the person at Azure may still do.
    """

    capacity: tuple[int, int]
    share: int
    jobs: int
    flights: tuple[Op, ...]
    said: tuple[Said, ...]
    first: int
    plans: tuple[Plan, ...]
    moves: int

    def shares(self) -> dict[str, int]:
        return split_of(self.share)

    def flight(self, target: str, dimension: Dimension) -> Op | None:
        return next((op for op in self.flights if (op.target, op.dimension) == (target, dimension)), None)

    def needed(self, target: str, share: int | None = None) -> int:
        """Instances for the requests that go there, or will by what is in flight: counted here, not by the guard."""
        shares = [self.share if share is None else share]
        moving = self.flight(ENDPOINT, "traffic")
        if moving is not None:
            shares.append(moving.to)
        most = max(each if target == BLUE else 100 - each for each in shares)
        return -(-FULL_LOAD * most // 100)

    def instances(self, target: str) -> int:
        return self.capacity[DEPLOYMENTS.index(target)]


def split_of(share: int) -> dict[str, int]:
    both = {BLUE: share, GREEN: 100 - share}
    return {deployment: part for deployment, part in both.items() if part > 0}


def share_of(split: Mapping[str, int]) -> int:
    return split.get(BLUE, 0)


def ends(left: int) -> datetime | None:
    return None if left == NO_END else NOW + left * TICK


@cache
def facts_of(capacity: tuple[int, int], share: int, jobs: int, flights: tuple[Op, ...]) -> EndpointFacts:
    """The world as the round and the act read it."""
    return EndpointFacts(
        endpoint=ENDPOINT,
        deployments={
            name: DeploymentFacts(capacity=size, ready=size, exists=size > 0, full_load=FULL_LOAD)
            for name, size in zip(DEPLOYMENTS, capacity, strict=True)
        },
        split=split_of(share),
        jobs={COMPUTE: Subject(current=jobs, policy_version="")},
        in_flight={
            (op.target, op.dimension): Flight(split=split_of(op.to)) if op.dimension == "traffic" else Flight(to=op.to)
            for op in flights
        },
    )


def plan_of(decision: Decision) -> Plan:
    traffic = decision.dimension == "traffic"
    until = decision.lease_until
    return Plan(
        target=decision.target,
        dimension=decision.dimension,
        current=share_of(decision.split_from) if traffic else decision.current,
        to=share_of(decision.split_to) if traffic else decision.to,
        rule=decision.rule,
        winner=decision.winner,
        needs=tuple(sorted(decision.needs.items())),
        holder=decision.holder,
        left=NO_END if until is None else (until - NOW) // TICK,
    )


@cache
def decision_of(plan: Plan) -> Decision:
    """The decision as it lies in the table, some ticks later."""
    traffic = plan.dimension == "traffic"
    return Decision(
        id=f"{plan.rule} {plan.to}",
        target=plan.target,
        dimension=plan.dimension,
        current=0 if traffic else plan.current,
        to=0 if traffic else plan.to,
        rule=plan.rule,
        reason=plan.rule,
        winner=plan.winner,  # type: ignore[arg-type]
        policy_version="",
        at=NOW,
        split_from=split_of(plan.current) if traffic else {},
        split_to=split_of(plan.to) if traffic else {},
        needs=dict(plan.needs),
        holder=plan.holder,
        lease_until=ends(plan.left),
    )
