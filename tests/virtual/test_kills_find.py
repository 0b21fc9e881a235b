"""The kills find what they are for: with a bug planted, the verdict says what is wrong."""

import hashlib
from datetime import datetime
from typing import Any

import pytest

from shared.changes.actuator import Actuator
from shared.domain import Delivery
from shared.loops.intake import Intake
from shared.people import lanes
from shared.records.claims import Claims
from shared.records.origin import Origin
from shared.records.outbox import Outbox
from shared.records.quarantine import Quarantine, Quarantined, _entity
from shared.records.state import Row
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.kills.mortality import KillPoint
from tests.virtual.kills.run import KNOWN, Killer, Ran

pytestmark = VIRTUAL


async def kill_with(
    open_arena: OpenArena, azurite: str, patch: pytest.MonkeyPatch, where: Any, planted: dict[str, Any], text: str
) -> Ran:
    """What the verdict is on a kill of the app with the bug, against the run of the app without it."""
    killer = Killer(open_arena, azurite, KNOWN)
    point = KillPoint.parse(text)
    await killer.unhurt(point.scenario)
    for name, bug in planted.items():
        patch.setattr(where, name, bug)
    ran = await killer.kill(point)
    assert ran.struck
    return ran


async def test_a_change_that_is_sent_before_that_is_written(
    open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Actuator._put

    async def without_sent(self: Actuator, order: Any, action: Any, etag: str | None) -> str:
        return etag or "" if action.state == "sent" else await put(self, order, action, etag or None)

    ran = await kill_with(
        open_arena, azurite, monkeypatch, Actuator, {"_put": without_sent}, "failure/after/1/ARM PATCH deployments"
    )
    assert any("outcomes" in problem for problem in ran.problems), ran


async def test_a_claim_that_is_done_before_its_effect(
    open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    effect, finish = Intake._effect, Claims.finish

    async def done_first(self: Intake, row: Any, waking: Any, start: Any) -> Any:
        await finish(self._claims, row, self._now())
        return await effect(self, row, waking, start)

    ran = await kill_with(
        open_arena, azurite, monkeypatch, Intake, {"_effect": done_first}, "resubmit/after/1/Claims PUT"
    )
    assert any("signals: too many {}, missing" in problem for problem in ran.problems), ran


async def test_malformed_input_whose_row_is_written_before_its_body(
    open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def row_first(self: Quarantine, body: bytes, reason: str, origin: Origin, now: datetime, **_: str) -> Any:
        entry_id = hashlib.sha256(body).hexdigest()[:32]
        if (known := await self.get(entry_id)) is not None:
            return known.value
        entry = Quarantined(
            id=entry_id, reason=reason, size=len(body), origins=(origin,), first_at=now, last_at=now, open_since=now
        )
        await self._table.insert(_entity(entry))
        await self._bodies.put_new(entry_id, body)
        return entry

    ran = await kill_with(
        open_arena,
        azurite,
        monkeypatch,
        Quarantine,
        {"put": row_first},
        "storm/before/1/blob PUT watchkeeper-quarantine",
    )
    assert any("was lost" in problem for problem in ran.problems), ran


async def test_a_mark_that_is_removed_before_what_it_marks_is_over(
    open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = Outbox.put_delivery

    async def unmarked_first(self: Outbox, row: Row[Delivery], new: Delivery) -> Row[Delivery]:
        if new.is_over:
            await self.unmark_waiting(new.notice, new.channel, new.recipient)
        return await put(self, row, new)

    ran = await kill_with(
        open_arena, azurite, monkeypatch, Outbox, {"put_delivery": unmarked_first}, "notice/after/1/Notices DELETE w"
    )
    assert any("has not ended" in problem for problem in ran.problems), ran


async def test_a_mail_whose_repetition_is_another_mail(
    open_arena: OpenArena, azurite: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = iter(range(1, 100))

    def another(way: Delivery) -> str:
        return f"00000000-0000-4000-8000-{next(numbers):012}"

    ran = await kill_with(open_arena, azurite, monkeypatch, lanes, {"_operation": another}, "notice/after/1/mail POST")
    assert any("reached twice" in problem for problem in ran.problems), ran
