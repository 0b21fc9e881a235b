"""One round for one endpoint: notice what people did, let the loops decide, arbitrate, record what changed, and say
what waits to be carried out.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from shared.decisions.arbitration import Subject, arbitrate
from shared.domain import Act, Decision, Fresh, Intent, Order, TargetRecord
from shared.loops.gatekeeper import Gatekeeper, Plan
from shared.loops.looks import Look, Scene, is_pending
from shared.loops.recording import Recorder
from shared.loops.remembering import adopt_pending, with_shadow
from shared.loops.standing import is_over, manual_change, people_and_platform, speaking
from shared.loops.stores import Stores
from shared.loops.telling import Telling
from shared.loops.waiting import Waiting
from shared.policy import Policy
from shared.records.controls import Controls
from shared.records.state import EndpointState

log = logging.getLogger("watchkeeper")


@dataclass(slots=True)
class Done:
    """What a round did: decisions that change something, and orders that wait to be carried out."""

    decided: int = 0
    orders: list[Order] = field(default_factory=list)


class EndpointRound:
    """See the module. One instance a round."""

    def __init__(
        self,
        endpoint_key: str,
        looks: Sequence[Look],
        policy: Policy,
        controls: Controls,
        stores: Stores,
        gatekeeper: Gatekeeper,
        now: datetime,
        cause: str,
    ) -> None:
        self._looks, self._stores, self._gatekeeper, self._cause = looks, stores, gatekeeper, cause
        self._scene = Scene(
            endpoint_key=endpoint_key,
            policy=policy,
            controls=controls,
            state=EndpointState(endpoint_key=endpoint_key),
            waiting=Waiting(stores.approvals, policy, now),
            now=now,
        )
        self.intents: list[Intent] = []

    async def run(self) -> Done:
        """Decide, then record what changed."""
        decisions = await self.decide()
        recorder = Recorder(self._scene, self.intents, self._stores, self._gatekeeper, self._cause)
        done = Done()
        for look in self._looks:
            await self._tell(look, decisions.get(look.key))
            desired = self._scene.desired(look)
            if look.key in decisions:
                desired = await recorder.settle(look, decisions[look.key])
            look.record = with_shadow(self._scene, look, decisions.get(look.key))
            await recorder.save(look)
            if self._waits(look, desired):
                done.orders.append(Order(endpoint_key=self._scene.endpoint_key, target=look.key, dimension="capacity"))
        done.decided = recorder.decided
        return done

    async def decide(self) -> Mapping[str, Decision]:
        """The decisions by deployment key; writes nothing. A target whose capacity is unknown has none."""
        endpoint_key, now = self._scene.endpoint_key, self._scene.now
        scene = self._scene = replace(self._scene, state=await self._stores.state.load(endpoint_key, now))
        standing = [row.value for row in scene.state.intents]
        subjects: dict[str, Subject] = {}
        for look in self._looks:
            row = scene.record_row(look)
            look.before = look.record = row.value if row else TargetRecord()
            standing += people_and_platform(scene, look)
            standing += await manual_change(scene, look)
            adopt_pending(scene, look)
            subject = self._consult(look)
            if subject is not None:
                subjects[look.key] = subject
        self.intents = [*speaking(standing), *(intent for look in self._looks for intent in look.intents)]
        return arbitrate(subjects, self.intents, now, endpoint_key)

    def plan(self, look: Look, act: Act, decision: Decision | None) -> Plan:
        """What the gates would be asked about this target now. After `decide`."""
        return self._scene.plan(look, act, decision)

    def _consult(self, look: Look) -> Subject | None:
        """Let the loop look; the subject to arbitrate on, or None where nothing can be decided.

        That is where the capacity is not known, and while our own change runs: Azure takes no second one before it
        ends, and by then there is a better decision than today's.
        """
        scene, action = self._scene, self._scene.action(look)
        in_flight = action is not None and action.is_in_flight
        if action is not None and in_flight:
            look.snapshot = replace(look.snapshot, ordered=action.to)
        look.decided_on = look.record
        look.intents, look.record = look.loop.decide(look.snapshot, look.record, look.target, scene.now)
        capacity = look.snapshot.capacity
        if not isinstance(capacity, Fresh):
            log.warning("%s: %s", look.target.name, look.intents[0].reason)
        if in_flight or not isinstance(capacity, Fresh):
            return None
        version = look.loop.policy_version(scene.policy, look.target)
        return Subject(current=int(capacity.value), policy_version=version, decisions=look.record.decisions)

    async def _tell(self, look: Look, decision: Decision | None) -> None:
        """Tell people of what changed since they were told last."""
        telling = Telling(self._stores.door, look.target, look.loop.name, self._scene.now)
        if look.noticed is not None:  # once: the hold that it puts up stays in the endpoint's partition
            await telling.of_manual_change(look.before, look.noticed)
            await self._stores.state.put_intent(self._scene.endpoint_key, look.noticed)
        await self._end_put_back(look)
        ruling = decision or look.intents[0]
        look.record = await telling.of_rule(look.record, ruling.rule, ruling.reason)
        if decision is not None:
            look.record = await telling.of_alarms(look.record, decision)

    async def _end_put_back(self, look: Look) -> None:
        """Take a put-back out that somebody's later change ended, or it would be back when that one's hold is over."""
        scene = self._scene
        standing = [row.value for row in scene.state.intents] + ([look.noticed] if look.noticed else [])
        for row in scene.state.intents:
            if row.value.undoes and row.value.target == look.key and is_over(row.value, standing):
                await self._stores.state.remove_intent(scene.endpoint_key, row)

    def _waits(self, look: Look, desired: Decision | None) -> bool:
        """Whether there is something to carry out: what waits may be sent only in enforce; what was sent is followed to
        its end in any mode.
        """
        scene, action = self._scene, self._scene.action(look)
        if action is not None and action.is_unfinished:
            return True
        if desired is None or not is_pending(desired, action) or scene.mode(look) != "enforce":
            return False
        return not scene.waiting.is_asked(desired)
