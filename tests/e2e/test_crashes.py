"""The host is killed (-9) at every request of an action, and converges to what was decided, with one effect.

Under a pairwise covering array of the assumptions that touch an action; each kill point is hit in some of its rows, the
PATCH in the most. A point at a write into the tables lies between two requests to Azure that are points themselves.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from handlers.orders import instance_id
from local.cloud.operations import Outcome as Failure
from local.world import DEPLOYMENT, ENDPOINT
from shared.assumptions import BY_NAME, REGISTER
from shared.domain import Order
from tests.e2e.kill_points import KILL_POINTS, MOMENTS, Killer, KillPoint
from tests.e2e.pairwise import covering_array
from tests.e2e.stage import Stage, stage
from tests.e2e.table_gate import Moment

ROWS = covering_array({assumption.name: assumption.values for assumption in REGISTER if assumption.acts})
ORDER = Order(endpoint_key=ENDPOINT.lower(), target=DEPLOYMENT.lower(), dimension="capacity")


def hits(point: KillPoint) -> int:
    """In how many rows a point is hit."""
    if point.changes_azure:
        return 4
    return 2 if point.method and not point.cold else 1


def plan() -> list[list[KillPoint]]:
    """The kill points of each row, evenly spread; the PATCH under both values of the assumption that can hide it."""
    points: list[list[KillPoint]] = [[] for _ in ROWS]
    polled = [row["deployment.patch_answer"] != "ok_200" for row in ROWS]  # else each case takes about twice as long
    for point in sorted(KILL_POINTS, key=hits, reverse=True):
        fit = [n for n in range(len(ROWS)) if polled[n] or not point.polls]
        fit.sort(key=lambda n: len(points[n]) * (1 if polled[n] else 2))
        if point.changes_azure:
            lagging = [n for n in fit if ROWS[n]["deployment.get_lag_s"] != "0"]
            fit = lagging[:2] + [n for n in fit if n not in lagging]
        for n in fit[: hits(point)]:
            points[n].append(point)
    return points


PLAN = plan()
CASES = [
    pytest.param(n, point, id=f"row{n}-{point}", marks=pytest.mark.xdist_group(f"crash{n}"))
    for n, points in enumerate(PLAN)
    for point in points
]


class Stages:
    """The world of a row serves all its kill points: each finds what the kills before it have left."""

    def __init__(self, azurite: str, folder: Path) -> None:
        self._azurite, self._folder = azurite, folder
        self._row = -1
        self._open = AsyncExitStack()
        self._stage: Stage

    async def of(self, row: int) -> Stage:
        if row != self._row:
            await self.close()
            folder = self._folder / f"row{row}"
            folder.mkdir()
            opened = stage(self._azurite, folder, assumptions=ROWS[row])
            self._stage = await self._open.enter_async_context(opened)
            lifecycle = self._stage.world.cloud.lifecycle
            lifecycle.retry_after_s, lifecycle.shortest_operation_s = 1, 1.0
            self._row = row
        return self._stage

    async def close(self) -> None:
        self._row = -1
        await self._open.aclose()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stages(azurite: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stages]:
    made = Stages(azurite, tmp_path_factory.mktemp("rows"))
    yield made
    await made.close()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("row", "point"), CASES)
async def test_killed_there_it_converges_with_one_effect(stages: Stages, row: int, point: KillPoint) -> None:
    on = await stages.of(row)
    before = {entry["id"] for entry in await on.entries("decision")}
    sent_before = len(on.accepted())
    to = on.capacity() + 1
    killer = Killer(on, point)
    if point.cold:
        await on.host.kill()
    on.set_least(to)
    if point.cold:
        await on.host.start()
    await on.until(f"the host is killed {point}", lambda: killer.struck)
    await on.host.ended()
    on.world.cloud.faults.clear()
    await on.host.start()

    took_s = await on.until(f"capacity is {to}", lambda: on.capacity() == to)
    (decision,) = await on.decisions_after(before)
    outcome = await on.outcome_of(decision)
    assert outcome["summary"].startswith(f"Done (verified), to {to} instances")
    sends = _one_effect(on, sent_before, to)
    await _nothing_stuck(on, "succeeded")
    print(f"killed {point}: capacity there {took_s:.1f} s after the restart, {sends} accepted")


def _one_effect(on: Stage, sent_before: int, to: int) -> int:
    """How many requests were accepted: one, or identical ones where the register says that no read could tell."""
    sent = on.accepted()[sent_before:]
    assert all(record.body["sku"]["capacity"] == to for record in sent)
    if len(sent) > 1:
        assert on.world.cloud.assumptions["deployment.get_lag_s"] == "5"
        assert len({(json.dumps(record.body), record.client_request_id) for record in sent}) == 1
    assert len(sent) in (1, 2)
    return len(sent)


async def _nothing_stuck(on: Stage, end: str) -> None:
    """No order waits, no action is open, no orchestration runs."""
    target = await on.call("GET", "targets/chat")
    assert (target["order"], target["last_action"]["state"]) == (None, end)
    await on.until_orchestration_ends(instance_id(ORDER))


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("status", BY_NAME["deployment.failed_operation_status"].values)
async def test_killed_while_a_failure_is_told_it_is_recorded_once(
    azurite: str, tmp_path: Path, status: str, moment: Moment
) -> None:
    (point,) = [point for point in KILL_POINTS if point.polls and point.moment == moment]
    async with stage(azurite, tmp_path, assumptions={"deployment.failed_operation_status": status}) as on:
        on.world.cloud.lifecycle.retry_after_s = 1
        on.world.cloud.estate.deployment(DEPLOYMENT).next_outcome = Failure(code="OutOfCapacity", after_s=0.5)
        killer = Killer(on, point)
        on.set_least(2)
        await on.until(f"the host is killed {point}", lambda: killer.struck)
        await on.host.ended()
        await on.host.start()
        (decision,) = await on.entries("decision")
        outcome = await on.outcome_of(decision)
        assert outcome["summary"].startswith("Failed (OutOfCapacity)")
        await _nothing_stuck(on, "failed")
        assert (len(on.accepted()), on.capacity()) == (1, 1)


def test_the_patch_is_hit_under_both_lags_every_point_somewhere_and_no_row_is_idle() -> None:
    assert all(PLAN)
    for point in KILL_POINTS:
        rows = [row for row, points in zip(ROWS, PLAN, strict=True) if point in points]
        assert len(rows) == hits(point)
        if point.changes_azure:
            assert {row["deployment.get_lag_s"] for row in rows} == {"0", "5"}
