"""What a round may know of the gates: how they would judge a plan now. The act asks them again, on its own reads.

A round needs that for two things. In `observe` the decision is recorded with what would have refused it. And a plan
that a gate has just refused is not decided anew at every look while the same gate is shut: it would fill the ledger
through a whole freeze.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from shared.domain import Act, Action, Decision, DeploymentId, Intent, Mode, Place, act_of
from shared.estate.deployments import DeploymentView
from shared.policy import Policy, Target
from shared.records.controls import Controls
from shared.records.gates import GateRecords
from shared.safety.facts import ActFacts, Shut
from shared.safety.gates import first_shut, gate_states

# What an entry of a decision says anyway, or what comes as a hold before anything is decided.
_SAID_OTHERWISE = ("kill_switch", "mode", "hold", "approval")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What somebody may want to do to a target: `decision`, or (None) an act of that kind. `mode` is the policy's."""

    target: Target
    place: Place
    mode: Mode
    act: Act
    decision: Decision | None
    intents: tuple[Intent, ...]


class Gatekeeper:
    """Judges plans on what was read for one evaluation. What the gates remember is read when it is first needed."""

    def __init__(
        self,
        *,
        policy: Policy,
        controls: Controls,
        read: Callable[[], Awaitable[GateRecords]],
        last_view: Callable[[DeploymentId], DeploymentView | None],
        now: Callable[[], datetime],
    ) -> None:
        self._policy, self._controls, self._read = policy, controls, read
        self._last_view, self._now = last_view, now
        self._records: GateRecords | None = None
        self._turn = asyncio.Lock()

    async def facts(self, plan: Plan) -> ActFacts:
        """What the gates would judge, as far as a look knows it."""
        view = self._last_view(plan.target.deployment_id)
        return ActFacts(
            now=self._now(),
            policy=self._policy,
            target=plan.target,
            place=plan.place,
            act=plan.act,
            decision=plan.decision,
            mode=plan.mode,
            controls=self._controls,
            intents=plan.intents,
            records=await self._once(),
            region=view.region if view is not None else "",
            tags=view.tags if view is not None else {},
        )

    async def would_refuse(self, plan: Plan) -> tuple[Shut, ...]:
        """The gates that would refuse the plan now, beside those that decide on the mode."""
        states = gate_states(await self.facts(plan))
        return tuple(state.shut for state in states if state.shut is not None and state.name not in _SAID_OTHERWISE)

    async def still_refuses(self, plan: Plan, ended: Action | None) -> bool:
        """Whether `ended` is the like of the plan and was refused by a gate that is the first shut one now too.

        A plan that goes further than the one refused is a new one.
        """
        decision = plan.decision
        if decision is None or ended is None or ended.outcome is None or ended.outcome.kind != "refused":
            return False
        if plan.act != act_of(ended.dimension, ended.current, ended.to) or ended.current != decision.current:
            return False
        if abs(decision.to - decision.current) > abs(ended.to - ended.current):
            return False
        shut = first_shut(await self.facts(plan))
        return shut is not None and shut.code == ended.outcome.code

    async def _once(self) -> GateRecords:
        async with self._turn:
            if self._records is None:
                self._records = await self._read()
        return self._records
