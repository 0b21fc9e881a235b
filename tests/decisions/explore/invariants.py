"""What must hold in every reachable state and step, said without the words of the code that is checked.

Leases, needs and holds are worked out here from what the voices said, not with `shared/decisions/arbitration`.
"""

from collections.abc import Iterator
from functools import cache

from shared.decisions.arbitration import Target, arbitrate_endpoint
from shared.domain import Decision, Dimension
from tests.decisions.explore.states import (
    BLUE,
    COMPUTE,
    DEPLOYMENTS,
    ENDPOINT,
    FULL_LOAD,
    GREEN,
    NOW,
    Op,
    Plan,
    Said,
    State,
    facts_of,
    share_of,
)
from tests.decisions.explore.voices import Voice, Want
from tests.decisions.explore.world import Landed, Sent, World, is_live

INVARIANTS = {
    "traffic": "Nothing that carries traffic, or is about to, is shrunk below what that needs, or deleted.",
    "writers": "Traffic is changed by the one holder of the lease or a person, and by one change at a time.",
    "floor": "A safety floor starves only under a person's hold or the wait after a failed change, and that alarms.",
    "expiry": "What has run out holds, wants and sends nothing.",
    "held": "What a person holds is not changed.",
    "needs": "A change of traffic waits for the capacity that it needs, and for no other change.",
    "stable": "While a rollout holds the lease, the stable side is decided to have the full load's capacity.",
    "promise": "Savings take nothing that scaling asks for.",
    "budget": "Scaling and savings do not grow over a hard budget stop.",
    "order": "What a person orders is done, also where somebody changed it by hand.",
    "leased_jobs": "Jobs under a lease are stopped by nobody below it.",
    "any_order": "The order of intents does not matter.",
    "explained": "A decision, and whatever lost, has a reason.",
}


class Broken(Exception):
    """An invariant does not hold; `name` is its key in INVARIANTS."""

    def __init__(self, name: str, what: str) -> None:
        super().__init__(what)
        self.name = name


class Judge:
    """The invariants for one world. It judges equal decisions once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._voices = world.model.voices
        self._judged: set[tuple[object, ...]] = set()
        self._wants = cache(self._live_wants)

    def state(self, state: State) -> None:
        """Judge what a round would decide now."""
        seen = (state.said, state.first, state.capacity, state.share, state.jobs, state.flights)
        if seen in self._judged:
            return
        self._judged.add(seen)
        decisions = self._world.decisions(state)
        self._same_in_any_order(state, decisions)
        self._nothing_runs_on(state, decisions)
        coming = decisions.get((ENDPOINT, "traffic"))
        for key, decision in decisions.items():
            _explained(key, decision)
            self._harmless(state, decision, None if coming is None else share_of(coming.split_to))
            self._writer(state, decision.dimension, decision.changes, decision.winner, decision.holder)
            self._not_held(state, decision)
            if decision.dimension == "capacity":
                self._ranks(state, decision)
        self._leased_jobs(state, decisions)

    def step(self, before: State, event: Sent | Landed | None) -> None:
        """Judge what is sent, what waits and what comes about."""
        if isinstance(event, Sent):
            self._sent(before, event.plan)
        elif isinstance(event, Landed):
            _landed(before, event.op)

    def waiting(self, state: State) -> None:
        """Judge what is not sent: only for its own dimension in flight, or the capacity that it needs."""
        for plan in state.plans:
            if plan.dimension != "traffic":
                continue
            sending = self._world.sending(state, plan)
            if sending.now or sending.void or state.flight(ENDPOINT, "traffic"):
                continue
            if _needs_met(state, plan):
                raise Broken(
                    "needs", f"A change of traffic waits although all that it needs is there: {sending.reason}"
                )

    # ---- decisions

    def _same_in_any_order(self, state: State, decisions: dict[Target, Decision]) -> None:
        rows = self._world.intents(state.said, state.first).rows
        facts = facts_of(state.capacity, state.share, state.jobs, state.flights)
        for other in (rows[::-1], rows[1:] + rows[:1]):
            if arbitrate_endpoint(facts, other, NOW) != decisions:
                raise Broken("any_order", "The same intents in another order lead to another decision.")

    def _nothing_runs_on(self, state: State, decisions: dict[Target, Decision]) -> None:
        live = tuple(each if is_live(each) else Said() for each in state.said)
        if live != state.said and self._world.decisions(state._replace(said=live)) != decisions:
            raise Broken("expiry", "An intent that has run out changes what is decided.")

    def _harmless(self, state: State, decision: Decision, coming: int | None) -> None:
        if decision.dimension not in ("capacity", "existence"):
            return
        needed = max(state.needed(decision.target), state.needed(decision.target, coming))
        _harmless(decision.target, decision.dimension, decision.current, decision.to, needed)

    def _writer(self, state: State, dimension: Dimension, changes: bool, winner: str | None, holder: str) -> None:
        if dimension == "traffic" and changes and winner != "person":
            writer = self._holder(state, ENDPOINT, "traffic")
            if writer is None or holder != writer.name:
                raise Broken("writers", f"{holder or winner} changes the traffic; {_name(writer)} holds the lease.")

    def _not_held(self, state: State, decision: Decision) -> None:
        if decision.changes and self._is_held(state, decision.target, decision.dimension):
            raise Broken("held", f"{decision.target} is changed ({decision.rule}) although a person holds it.")

    def _ranks(self, state: State, decision: Decision) -> None:
        target, to = decision.target, decision.to
        wants = dict(self._wants(state.said, target, "capacity"))
        held = ("paused", "hold") in wants or ("manual_change", "hold") in wants
        floor = wants.get(("floor", "floor"))
        if floor is not None and to < floor:
            if not held and ("backing_off", "hold") not in wants:
                raise Broken("floor", f"{target} is decided to have {to}, and the safety floor is {floor}.")
            if not decision.alarms:
                raise Broken("floor", f"{target} stays at {to} below the safety floor of {floor}, and nobody is told.")
        scaling, budget = wants.get(("scaling", "wish")), wants.get(("budget", "ceiling"))
        if decision.winner == "savings" and scaling is not None:
            raise Broken("promise", f"Savings decide on {target}, and scaling wishes {scaling}.")
        if budget is not None and decision.winner in ("scaling", "savings") and to > budget:
            raise Broken(
                "budget", f"{target} is decided to have {to} for {decision.winner}; the budget allows {budget}."
            )
        self._stable(state, decision, held)
        order = wants.get(("order", "wish"))
        if order is not None and ("paused", "hold") not in wants:
            least = min(decision.current, state.needed(target)) if decision.current > order else order
            if to != max(order, least, floor or 0):
                raise Broken("order", f"A person ordered {order} of {target}; {to} is decided ({decision.rule}).")

    def _stable(self, state: State, decision: Decision, held: bool) -> None:
        holder = self._holder(state, ENDPOINT, "traffic")
        if holder is None or held or decision.target != BLUE:
            return
        kept = any(
            who == holder.name and kind == "floor" for (who, kind), _ in self._wants(state.said, BLUE, "capacity")
        )
        if kept and decision.to < FULL_LOAD:
            raise Broken("stable", f"Blue is decided to have {decision.to} while {holder.name} may have to come back.")

    def _leased_jobs(self, state: State, decisions: dict[Target, Decision]) -> None:
        holder, jobs = self._holder(state, COMPUTE, "jobs"), decisions.get((COMPUTE, "jobs"))
        if holder is not None and jobs is not None and jobs.to < jobs.current:
            raise Broken("leased_jobs", f"Jobs of {holder.name} are stopped by {jobs.winner}.")

    # ---- acts

    def _sent(self, state: State, plan: Plan) -> None:
        if state.flight(plan.target, plan.dimension):
            raise Broken("writers", f"A second change of {plan.dimension} of {plan.target} is sent during the first.")
        if plan.holder:
            lease = (COMPUTE, "jobs") if plan.dimension == "jobs" else (ENDPOINT, "traffic")
            writer = self._holder(state, lease[0], "jobs" if plan.dimension == "jobs" else "traffic")
            if writer is None or plan.holder != writer.name:
                raise Broken(
                    "expiry", f"{plan.holder} still changes {plan.target}; {_name(writer)} holds the lease now."
                )
        if self._is_held(state, plan.target, plan.dimension):
            raise Broken("held", f"A change of {plan.target} is sent although a person holds it.")
        if plan.dimension in ("capacity", "existence"):
            _harmless(plan.target, plan.dimension, plan.current, plan.to, state.needed(plan.target))
            self._late(state, plan)
        if plan.dimension == "traffic":
            self._writer(state, "traffic", True, plan.winner, plan.holder)
            gone = state.capacity[1] == 0 or state.flight(GREEN, "existence")
            if plan.to < 100 and gone:
                raise Broken("traffic", "Requests are sent to green, which is gone or going.")
            if not _needs_met(state, plan):
                raise Broken("needs", f"Traffic is changed before what it needs is there: {dict(plan.needs)}.")

    def _late(self, state: State, plan: Plan) -> None:
        """What was decided before a floor or a rollout came is not sent after it."""
        wants = dict(self._wants(state.said, plan.target, "capacity"))
        floor = wants.get(("floor", "floor"))
        if plan.dimension == "capacity" and floor is not None and plan.to < min(floor, plan.current):
            raise Broken("floor", f"{plan.target} is shrunk to {plan.to} although the safety floor is {floor} by now.")
        holder = self._holder(state, ENDPOINT, "traffic")
        if holder is None or plan.holder == holder.name or plan.winner in ("person", "manual_change"):
            return
        if plan.dimension == "existence":
            raise Broken("writers", f"{plan.target} is deleted by {plan.winner} although {holder.name} has the lease.")
        if plan.target == BLUE and (holder.name, "floor") in wants and plan.to < min(plan.current, FULL_LOAD):
            raise Broken("stable", f"Blue is shrunk to {plan.to} while {holder.name} may have to come back.")

    # ---- what the voices said

    def _is_held(self, state: State, target: str, dimension: Dimension) -> bool:
        wants = dict(self._wants(state.said, target, dimension))
        if ("paused", "hold") in wants:
            return True
        return ("manual_change", "hold") in wants and ("order", "wish") not in wants

    def _live_wants(
        self, said: tuple[Said, ...], target: str, dimension: Dimension
    ) -> tuple[tuple[tuple[str, str], int | None], ...]:
        return tuple(
            ((voice.name, want.kind), want.value)
            for voice, want in self._spoken(said)
            if (want.target, want.dimension) == (target, dimension)
        )

    def _spoken(self, said: tuple[Said, ...]) -> Iterator[tuple[Voice, Want]]:
        for voice, each in zip(self._voices, said, strict=True):
            if is_live(each):
                for want in voice.options[each.option - 1].wants:
                    yield voice, want

    def _holder(self, state: State, target: str, dimension: Dimension) -> Voice | None:
        """Of those who ask for the lease, the one who asked first."""
        asking = [
            index
            for index, voice in enumerate(self._voices)
            if is_live(state.said[index])
            and any(
                (want.target, want.dimension, want.kind) == (target, dimension, "lease")
                for want in voice.options[state.said[index].option - 1].wants
            )
        ]
        if not asking:
            return None
        return self._voices[state.first if state.first in asking else asking[0]]


def _harmless(target: str, dimension: Dimension, current: int, to: int, needed: int) -> None:
    if to >= current or target not in DEPLOYMENTS:
        return
    if dimension == "existence" and needed > 0:
        raise Broken("traffic", f"{target} is to be deleted, and requests rest on it.")
    if dimension == "capacity" and to < min(current, needed):
        raise Broken(
            "traffic", f"{target} is to be shrunk from {current} to {to}, and needs {needed} for its requests."
        )


def _landed(state: State, op: Op) -> None:
    if op.dimension in ("capacity", "existence") and not op.excused:
        current = state.instances(op.target) if op.dimension == "capacity" else 1
        _harmless(op.target, op.dimension, current, op.to, state.needed(op.target))


def _needs_met(state: State, plan: Plan) -> bool:
    for deployment, needed in plan.needs:
        shrinking = state.flight(deployment, "capacity")
        serving = state.instances(deployment)
        if shrinking is not None:
            serving = min(serving, shrinking.to)
        if serving < needed or state.flight(deployment, "existence"):
            return False
    return True


def _explained(key: Target, decision: Decision) -> None:
    if key != (decision.target, decision.dimension):
        raise Broken("writers", f"A decision on {decision.target} stands in the place of one on {key[0]}.")
    if not decision.rule or not decision.reason:
        raise Broken("explained", f"The decision on {decision.target} gives no reason.")
    if any(not lost.by for lost in decision.overruled):
        raise Broken("explained", f"Something lost on {decision.target} and is not told to what.")


def _name(voice: Voice | None) -> str:
    return voice.name if voice else "nobody"
