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

import shared.loops
from shared.domain import Decision, Order, ScalingSnapshot, Signal
from shared.estate.reader import EstateReader
from shared.loops.base import Loop
from shared.loops.rounds import EndpointRound, Look, Stores
from shared.policy import Policy, PolicyCache, Target
from shared.records.errors import Conflict

log = logging.getLogger("watchkeeper")

# Endpoints that are worked on at the same time: more would only queue at the tables.
ENDPOINTS_AT_ONCE = 16
# Reading all state is cheap, but not for every sweep.
RECONCILE_EVERY = timedelta(minutes=5)


@dataclass(slots=True)
class Evaluation:
    """What one evaluation did: targets looked at, decisions that change something, orders that wait, problems."""

    looked_at: int = 0
    decided: int = 0
    orders: list[Order] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def discover_loops(reader: EstateReader) -> tuple[Loop, ...]:
    """Every module of `shared.loops` that offers `make_loop`."""
    modules = (importlib.import_module(f"shared.loops.{m.name}") for m in pkgutil.iter_modules(shared.loops.__path__))
    return tuple(module.make_loop(reader) for module in modules if hasattr(module, "make_loop"))


class UnknownName(LookupError):
    """A name that somebody gave names nothing; the message lists what there is."""


def named_target(policy: Policy, name: str) -> Target:
    """The target of this name.

    Raises:
        UnknownName: the policy has none; names those that it has.
    """
    target = policy.target(name)
    if target is None:
        raise UnknownName(f"no target is named {name!r}; the policy has: {', '.join(t.name for t in policy.targets)}")
    return target


class Engine:
    """Runs the loops over the targets of the policy."""

    def __init__(
        self, *, policies: PolicyCache, loops: Sequence[Loop], stores: Stores, now: Callable[[], datetime]
    ) -> None:
        self._policies, self._loops, self._stores, self._now = policies, loops, stores, now
        self._reconciled_at: datetime | None = None

    @property
    def loop_names(self) -> tuple[str, ...]:
        return tuple(loop.name for loop in self._loops)

    async def sweep(self) -> Evaluation:
        """Look at every target, in bulk; now and then also at what no look follows any more."""
        policy = await self._policies.current()
        watched = {loop.name: policy.targets for loop in self._loops}
        result = await self._evaluate(policy, watched, "sweep", closely=False)
        if self._reconciled_at is None or self._now() - self._reconciled_at >= RECONCILE_EVERY:
            self._reconciled_at = self._now()
            result.orders += await self._left_behind({order.target for order in result.orders})
        return result

    async def _left_behind(self, ordered: Collection[str]) -> list[Order]:
        """Orders of unfinished actions whose target was set to off, or left the policy, while they were under way."""
        return [
            Order(endpoint_key=state.endpoint_key, target=target, dimension=dimension)
            async for state in self._stores.state.load_all(self._now())
            for (target, dimension), row in state.actions.items()
            if row.value.is_unfinished and target not in ordered
        ]

    async def wake(self, signal: Signal) -> Evaluation:
        """Look closely at the targets that a signal speaks of; none is no error."""
        policy = await self._policies.current()
        woken = {loop.name: tuple(loop.woken_by(signal, policy.targets)) for loop in self._loops}
        return await self._evaluate(policy, woken, f"signal {signal.kind} {signal.id}", closely=True)

    async def look_at(self, name: str, cause: str) -> Evaluation:
        """Look closely at one target, by its name in the policy.

        Raises:
            UnknownName: the policy has no such target.
        """
        policy = await self._policies.current()
        target = named_target(policy, name)
        return await self._evaluate(policy, {loop.name: (target,) for loop in self._loops}, cause, closely=True)

    async def preview(self, target: Target) -> tuple[Look, Decision | None]:
        """What would be decided on this target now, whatever its mode, and what that rests on; writes and starts
        nothing.
        """
        policy = await self._policies.current()
        controls = await self._stores.controls.load(self._now())
        (looks,) = (await self._observe(policy, {loop.name: (target,) for loop in self._loops}, closely=True)).values()
        key = target.deployment_id.endpoint_key
        decisions = await EndpointRound(key, looks, policy, controls, self._stores, self._now(), "preview").decide()
        return looks[0], decisions.get(looks[0].key)

    async def _evaluate(
        self, policy: Policy, watched: Mapping[str, Sequence[Target]], cause: str, *, closely: bool
    ) -> Evaluation:
        result = Evaluation()
        controls = await self._stores.controls.load(self._now())
        awake = {
            loop.name: [target for target in watched[loop.name] if loop.mode(policy, target) != "off"]
            for loop in self._loops
        }
        looks = await self._observe(policy, awake, closely=closely)
        result.looked_at = sum(len(of_endpoint) for of_endpoint in looks.values())
        gate = asyncio.Semaphore(ENDPOINTS_AT_ONCE)

        async def one(endpoint_key: str, endpoint_looks: Sequence[Look]) -> None:
            async with gate:
                try:
                    done = await EndpointRound(
                        endpoint_key, endpoint_looks, policy, controls, self._stores, self._now(), cause
                    ).run()
                except Conflict as error:
                    log.info("endpoint %s: another look was faster, this one is dropped: %s", endpoint_key, error)
                except Exception as error:  # one endpoint's failure must not cost the others their turn
                    log.exception("endpoint %s could not be evaluated", endpoint_key)
                    result.problems.append(f"{endpoint_key}: {error}")
                else:
                    result.decided += done.decided
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
