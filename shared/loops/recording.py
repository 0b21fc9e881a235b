"""How a round records what it decided.

The writes go in the order that a crash between any two of them can bear: the ledger first (the same decision has the
same id), then desired state (compared and swapped), then the memory. Whoever loses a swap drops the round; the next
look sees the winner's.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace

from shared.domain import Decision, Intent, Mode
from shared.loops.evidence import decision_entry, superseded_entry
from shared.loops.gatekeeper import Gatekeeper
from shared.loops.looks import Look, Scene
from shared.loops.remembering import with_decision, with_hold
from shared.loops.stores import Stores
from shared.records.errors import Conflict
from shared.records.state import Row

log = logging.getLogger("watchkeeper")


class Recorder:
    """Records the decisions of one round; `intents` are all that it folded. `decided` counts what it wrote down."""

    def __init__(
        self, scene: Scene, intents: Sequence[Intent], stores: Stores, gatekeeper: Gatekeeper, cause: str
    ) -> None:
        self._scene, self._intents, self._stores = scene, intents, stores
        self._gatekeeper, self._cause = gatekeeper, cause
        self.decided = 0

    async def settle(self, look: Look, decision: Decision) -> Decision | None:
        """Record what changed; the desired state that stands afterwards."""
        scene, mode = self._scene, self._scene.mode(look)
        if mode == "enforce" and await self._rests(look, decision):
            return scene.desired(look)
        if not decision.changes:
            return await self._desire(look, decision) if self._withdraws(look, decision) else scene.desired(look)
        pending = scene.is_pending(look)
        if mode == "enforce" and not pending and await self._is_refused_still(look, decision):
            look.record = with_hold(look)
            return scene.desired(look)
        if decision.plan_hash != self._recorded_plan(look, mode):
            await self._record(look, decision, mode)
            if mode == "enforce":
                return await self._desire(look, decision)
        if mode != "enforce" and pending:  # nothing older may come back when the mode does
            return await self._desire(look, replace(decision, to=decision.current, rule="only_observed"))
        return scene.desired(look)

    async def save(self, look: Look) -> None:
        """Write the memory if it holds something new; what is only counted goes along with the next thing that is."""
        row, before = self._scene.record_row(look), look.before
        if replace(look.record, holds=before.holds, shadow=before.shadow) == before and row is not None:
            return
        etag = row.etag if row else None
        try:
            await self._stores.state.put_target(self._scene.endpoint_key, look.key, look.record, etag)
        except Conflict:
            log.info("%s: another look at this target was faster; its memory stays", look.target.name)

    async def _rests(self, look: Look, decision: Decision) -> bool:
        """Whether a question to people keeps things as they are."""
        scene = self._scene
        waiting = scene.desired(look) if scene.is_pending(look) else None
        needs = scene.needs(look, decision)
        return await scene.waiting.keeps(decision, waiting, needs, hesitates=self._hesitates(look, decision))

    def _hesitates(self, look: Look, decision: Decision) -> bool:
        """A loop that hesitates leaves its own order standing, never one of a person who wants it no more."""
        scene, desired = self._scene, self._scene.desired(look)
        ordered_by_person = desired is not None and desired.winner == "person" and scene.is_pending(look)
        return look.hesitates(decision) and not ordered_by_person

    async def _is_refused_still(self, look: Look, decision: Decision) -> bool:
        plan = self._scene.plan(look, decision.act, decision)
        return await self._gatekeeper.still_refuses(plan, self._scene.action(look))

    def _recorded_plan(self, look: Look, mode: Mode) -> str:
        """The plan that the ledger has already; empty if it has none."""
        if mode != "enforce":
            return look.record.recorded_plan
        desired = self._scene.desired(look)
        return desired.plan_hash if desired is not None and self._scene.is_pending(look) else ""

    async def _record(self, look: Look, decision: Decision, mode: Mode) -> None:
        """Write the decision down, with everything that it rested on."""
        scene = self._scene
        mine = [intent for intent in self._intents if intent.target in (look.key, scene.endpoint_key)]
        refusing = await self._gatekeeper.would_refuse(scene.plan(look, decision.act, decision))
        entry = decision_entry(
            decision,
            mine,
            look.snapshot,
            look.decided_on,
            look.target,
            look.loop.name,
            mode,
            self._cause,
            scene.needs(look, decision),
            refusing,
        )
        await self._stores.ledger.append(entry)
        log.info(
            "%s: %d -> %d (%s, %s): %s",
            look.target.name,
            decision.current,
            decision.to,
            decision.rule,
            mode,
            decision.reason,
        )
        look.record = with_decision(scene, look, decision, refused=bool(refusing))
        self.decided += 1

    async def _desire(self, look: Look, decision: Decision) -> Decision:
        """Swap the desired state; the one that stands then. What is replaced unsent, or loses the swap, has its end."""
        endpoint_key, row = self._scene.endpoint_key, self._scene.desired_row(look)
        try:
            await self._swap(endpoint_key, decision, row)
        except Conflict:
            winner = await self._stores.state.get_desired(endpoint_key, decision.target, "capacity")
            if winner is None:
                raise
            await self._supersede(look, decision, winner.value)
            return winner.value
        if row is not None:
            await self._supersede(look, row.value, decision)
        return decision

    async def _swap(self, endpoint_key: str, decision: Decision, row: Row[Decision] | None) -> None:
        etag = row.etag if row else None
        await self._stores.state.put_desired(endpoint_key, decision.target, "capacity", decision, etag)

    async def _supersede(self, look: Look, old: Decision, new: Decision) -> None:
        action = self._scene.action(look)
        had_its_own = action is not None and action.key == old.id
        if old.changes and old.id != new.id and not had_its_own:
            await self._stores.ledger.append(superseded_entry(old, new, look.target, self._scene.now))

    def _withdraws(self, look: Look, decision: Decision) -> bool:
        """Count a decision to leave things; whether it takes back an order that nobody has sent yet.

        A loop that only hesitates (a cool-down, missing data) does not take back growth; a need that is gone does.
        """
        look.record = with_hold(look)
        hesitates = self._hesitates(look, decision)
        if not hesitates:
            look.record = replace(look.record, recorded_plan="")
        desired = self._scene.desired(look)
        if desired is None or not self._scene.is_pending(look) or self._scene.is_in_flight(look):
            return False
        return not hesitates or desired.to < desired.current
