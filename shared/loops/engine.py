"""One sweep and one intake for all loops: observe in bulk, decide, arbitrate per endpoint, record, and say what to
carry out.

The engine changes nothing on the estate. It leaves desired state in the endpoint's partition and returns the orders
that wait there; starting them is the handler's, so an order that was lost in a crash is found again by the next sweep.
"""

import asyncio
import importlib
import logging
import pkgutil
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from difflib import get_close_matches

import shared.loops
from shared.domain import Act, Decision, DeploymentId, Order, ScalingSnapshot, Signal
from shared.estate.deployments import DeploymentView
from shared.estate.reader import EstateReader
from shared.loops.base import Loop
from shared.loops.gatekeeper import Gatekeeper
from shared.loops.looks import Look
from shared.loops.rounds import EndpointRound
from shared.loops.stores import Stores
from shared.loops.waking import Waking, Woken
from shared.policy import Policy, PolicyCache, Target
from shared.records.controls import Controls
from shared.records.errors import Conflict
from shared.records.heartbeats import notice_of_silence, silent
from shared.safety.gates import GateState, gate_states

log = logging.getLogger("watchkeeper")

# Endpoints that are worked on at the same time: more would only queue at the tables.
ENDPOINTS_AT_ONCE = 16
# Woken targets up to this many are each read afresh; more are read in bulk, as a sweep does.
CLOSE_LOOKS = 16
# Of more targets than this an error names only those whose names are alike.
NAMES_SHOWN = 20
# Reading all state is cheap, but not for every sweep.
RECONCILE_EVERY = timedelta(minutes=5)


@dataclass(slots=True)
class Evaluation:
    """What one evaluation did: targets looked at, decisions that change something (in all, and by endpoint key), orders
    that wait, problems.
    """

    looked_at: int = 0
    decided: int = 0
    orders: list[Order] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    by_endpoint: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Preview:
    """What would be decided on one target (None: nothing can be), and each gate: for that change, or for any kind."""

    look: Look
    decision: Decision | None
    gates: Mapping[Act, tuple[GateState, ...]]


def discover_loops(reader: EstateReader) -> tuple[Loop, ...]:
    """Every module of `shared.loops` that offers `make_loop`."""
    modules = (importlib.import_module(f"shared.loops.{m.name}") for m in pkgutil.iter_modules(shared.loops.__path__))
    return tuple(module.make_loop(reader) for module in modules if hasattr(module, "make_loop"))


class UnknownName(LookupError):
    """A name that somebody gave names nothing; the message lists what there is."""


def named_target(policy: Policy, name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownName: the policy has none; names those that it has, of many only those that are like it.
    """
    target = policy.target(name)
    if target is None:
        raise UnknownName(f"no target is named {name[:60]!r}; {_names_like(name, [t.name for t in policy.targets])}")
    return target


def _names_like(name: str, known: Sequence[str]) -> str:
    if len(known) <= NAMES_SHOWN:
        return f"the policy has: {', '.join(known)}"
    like = get_close_matches(name[:60], known, NAMES_SHOWN)
    words = f"like it are: {', '.join(like)}" if like else "none is like it"
    return f"of the {len(known)} in the policy {words}; GET /api/targets lists them"


class Engine:
    """Runs the loops over the targets of the policy."""

    def __init__(
        self,
        *,
        policies: PolicyCache,
        loops: Sequence[Loop],
        stores: Stores,
        last_view: Callable[[DeploymentId], DeploymentView | None],
        now: Callable[[], datetime],
    ) -> None:
        self._policies, self._loops, self._stores, self._now = policies, loops, stores, now
        self._last_view = last_view
        self._reconciled_at: datetime | None = None

    @property
    def loop_names(self) -> tuple[str, ...]:
        return tuple(loop.name for loop in self._loops)

    async def sweep(self) -> Evaluation:
        """Look at every target, in bulk; now and then also at what no look follows any more."""
        policy = await self._policies.current()
        watched = {loop.name: policy.targets for loop in self._loops}
        result = await self._evaluate(policy, watched, "sweep", closely=False)
        await self._tend(result)
        await self._stores.progress.beat("sweep", f"{result.looked_at} targets", self._now())
        if self._reconciled_at is None or self._now() - self._reconciled_at >= RECONCILE_EVERY:
            self._reconciled_at = self._now()
            await self._watch_upkeep(result)
            result.orders += await self._left_behind({order.target for order in result.orders})
        return result

    async def _watch_upkeep(self, result: Evaluation) -> None:
        """The other half of the dead-man's switch (`shared.upkeep.dead_mans_switch`). It costs nobody their orders."""
        try:
            since = silent(await self._stores.progress.all(), self._now()).get("upkeep")
            if since is not None:
                log.error("the upkeep timer has given no sign of life since %s", since)
                await self._stores.door.tell(notice_of_silence("upkeep", since, self._now()))
        except Exception as error:
            log.exception("nobody could be told that the upkeep timer is still")
            result.problems.append(f"silence of the upkeep: {error}")

    async def _tend(self, result: Evaluation) -> None:
        """See to the plans that wait for people. What fails there must not cost the others their orders."""
        known = {order.target for order in result.orders}
        try:
            result.orders += [order for order in await self._stores.approvals.tend() if order.target not in known]
        except Exception as error:
            log.exception("approvals could not be looked after")
            result.problems.append(f"approvals: {error}")

    async def _left_behind(self, ordered: Collection[str]) -> list[Order]:
        """Orders of unfinished actions whose target was set to off, or left the policy, while they were under way."""
        return [
            Order(endpoint_key=state.endpoint_key, target=target, dimension=dimension)
            async for state in self._stores.state.load_all(self._now())
            for (target, dimension), row in state.actions.items()
            if row.value.is_unfinished and target not in ordered
        ]

    async def waking(self, signal: Signal) -> Waking:
        """Whom a signal wakes, by the policy in force; nobody is no error."""
        policy = await self._policies.current()
        found = {loop.name: tuple(loop.woken_by(signal, policy.targets)) for loop in self._loops}
        return Waking(
            signal=signal,
            targets={loop: tuple(target.name for target in targets) for loop, targets in found.items()},
            endpoints=frozenset(t.deployment_id.endpoint_key for targets in found.values() for t in targets),
            known_to=tuple(loop.name for loop in self._loops if signal.kind in loop.waking_kinds),
        )

    async def wake(self, wakings: Sequence[Waking]) -> tuple[Woken, Sequence[Order]]:
        """Look once at all targets that these signals speak of: closely while they are few, else in bulk."""
        policy = await self._policies.current()
        causes: dict[str, list[str]] = defaultdict(list)
        names: dict[str, dict[str, None]] = defaultdict(dict)
        for waking in wakings:
            for endpoint in waking.endpoints:
                causes[endpoint].append(f"signal {waking.signal.kind} {waking.signal.id}")
            for loop, targets in waking.targets.items():
                names[loop] |= dict.fromkeys(targets)
        # A target that has left the policy since is looked at no more.
        found = {loop.name: [policy.target(name) for name in names[loop.name]] for loop in self._loops}
        watched = {loop: [target for target in targets if target is not None] for loop, targets in found.items()}
        closely = max(map(len, watched.values()), default=0) <= CLOSE_LOOKS
        result = await self._evaluate(policy, watched, "signal", closely=closely, causes=causes)
        return Woken(result.by_endpoint), result.orders

    async def look_at(self, name: str, cause: str) -> Evaluation:
        """Look closely at one target, by its name in the policy.

        Raises:
            UnknownName: the policy has no such target.
        """
        policy = await self._policies.current()
        target = named_target(policy, name)
        return await self._evaluate(policy, {loop.name: (target,) for loop in self._loops}, cause, closely=True)

    async def preview(self, target: Target) -> Preview:
        """What would be decided on this target now, whatever its mode, what that rests on, and how each gate stands;
        writes and starts nothing.
        """
        policy = await self._policies.current()
        controls = await self._stores.controls.load(self._now())
        (looks,) = (await self._observe(policy, {loop.name: (target,) for loop in self._loops}, closely=True)).values()
        key, look = target.deployment_id.endpoint_key, looks[0]
        gatekeeper = self._gatekeeper(policy, controls)
        one = EndpointRound(key, looks, policy, controls, self._stores, gatekeeper, self._now(), "preview")
        decision = (await one.decide()).get(look.key)
        plan = decision if decision is not None and decision.changes else None
        acts: tuple[Act, ...] = ("growth", "shrink") if plan is None else (plan.act,)
        gates = {act: gate_states(await gatekeeper.facts(one.plan(look, act, plan))) for act in acts}
        return Preview(look, decision, gates)

    def _gatekeeper(self, policy: Policy, controls: Controls) -> Gatekeeper:
        return Gatekeeper(
            policy=policy,
            controls=controls,
            read=self._stores.gates.load_for_acts,
            last_view=self._last_view,
            now=self._now,
        )

    async def _evaluate(
        self,
        policy: Policy,
        watched: Mapping[str, Sequence[Target]],
        cause: str,
        *,
        closely: bool,
        causes: Mapping[str, Sequence[str]] | None = None,
    ) -> Evaluation:
        """`causes` are those of single endpoints, where there is more to say than `cause`."""
        result = Evaluation()
        controls = await self._stores.controls.load(self._now())
        awake = {
            loop.name: [target for target in watched[loop.name] if loop.mode(policy, target) != "off"]
            for loop in self._loops
        }
        looks = await self._observe(policy, awake, closely=closely)
        result.looked_at = sum(len(of_endpoint) for of_endpoint in looks.values())
        slots, gatekeeper = asyncio.Semaphore(ENDPOINTS_AT_ONCE), self._gatekeeper(policy, controls)

        async def one(endpoint_key: str, endpoint_looks: Sequence[Look]) -> None:
            why = _cause((causes or {}).get(endpoint_key, ()), cause)
            async with slots:
                try:
                    done = await EndpointRound(
                        endpoint_key, endpoint_looks, policy, controls, self._stores, gatekeeper, self._now(), why
                    ).run()
                except Conflict as error:
                    log.info("endpoint %s: another look was faster, this one is dropped: %s", endpoint_key, error)
                except Exception as error:  # one endpoint's failure must not cost the others their turn
                    log.exception("endpoint %s could not be evaluated", endpoint_key)
                    result.problems.append(f"{endpoint_key}: {error}")
                else:
                    result.decided += done.decided
                    result.by_endpoint[endpoint_key] = done.decided
                    result.orders += done.orders

        await asyncio.gather(*(one(key, value) for key, value in looks.items()))
        return result

    async def _observe(
        self, policy: Policy, watched: Mapping[str, Sequence[Target]], *, closely: bool
    ) -> Mapping[str, list[Look]]:
        """All loops read; the looks by endpoint."""
        looks: dict[str, list[Look]] = defaultdict(list)
        for loop in self._loops:
            targets = watched[loop.name]
            if not targets:
                continue
            seen: Mapping[str, ScalingSnapshot] = await loop.observe(policy, targets, closely=closely)
            for target in targets:
                snapshot = seen[target.deployment_id.key]
                looks[target.deployment_id.endpoint_key].append(Look(loop=loop, target=target, snapshot=snapshot))
        return looks


def _cause(causes: Sequence[str], otherwise: str) -> str:
    if not causes:
        return otherwise
    return causes[0] if len(causes) == 1 else f"{causes[0]} and {len(causes) - 1} more"
