"""A slow source is asked once for all who ask, whether it answers or fails."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from shared.estate.cache import FAILURE_KEPT_S, Cached
from shared.estate.failures import ArmError, ArmFailure, ArmUnreachable

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
KEEP_S = 300.0


class Source:
    """Counts its loads; each waits for `finish`, then answers its number or fails."""

    def __init__(self) -> None:
        self.now = NOW
        self.loads = 0
        self.most_at_once = 0
        self.failure: Exception | None = None
        self._gates: list[asyncio.Event] = []
        self._at_once = 0
        self.cached = Cached(self._load, KEEP_S, lambda: self.now)

    async def _load(self, key: str) -> int:
        self.loads += 1
        number, gate = self.loads, asyncio.Event()
        self._gates.append(gate)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        await gate.wait()
        self._at_once -= 1
        if self.failure is not None:
            raise self.failure
        return number

    def ask(self, *, fresh: bool = False) -> asyncio.Task[int]:
        async def value() -> int:
            return (await self.cached.get("k", fresh=fresh))[1]

        return asyncio.create_task(value())

    async def finish(self) -> None:
        """End the load that runs, and let everyone who waits go on."""
        await turns()
        self._gates[-1].set()
        await turns()


async def turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@pytest.fixture
async def source() -> Source:
    return Source()


async def test_all_who_ask_share_one_load(source: Source) -> None:
    asked = [source.ask() for _ in range(500)]
    await source.finish()
    assert set(await asyncio.gather(*asked)) == {1}
    assert await source.ask() == 1
    source.now += timedelta(seconds=KEEP_S)
    later = source.ask()
    await source.finish()
    assert await later == 2


async def test_five_hundred_who_ask_a_failing_source_cost_one_load(source: Source) -> None:
    source.failure = ArmUnreachable("GET /settings", "no route")
    asked = [source.ask() for _ in range(500)]
    await source.finish()
    late = [source.ask() for _ in range(500)]
    results = await asyncio.gather(*asked, *late, return_exceptions=True)
    assert {str(result) for result in results} == {"no answer to GET /settings: no route"}
    assert source.loads == 1


@pytest.mark.parametrize(
    ("failure", "kept_s"),
    [
        (ArmUnreachable("GET /settings", "no route"), FAILURE_KEPT_S),
        (ArmError("GET /settings", 503, "Busy", "words"), FAILURE_KEPT_S),
        (ArmError("GET /settings", 503, "Busy", "words", retry_after_s=1), FAILURE_KEPT_S),
        (ArmError("GET /settings", 429, "Throttled", "words", retry_after_s=40), 40),
    ],
)
async def test_a_failure_is_kept_for_as_long_as_azure_asks(source: Source, failure: ArmFailure, kept_s: float) -> None:
    source.failure = failure
    first = source.ask()
    await source.finish()
    with pytest.raises(ArmFailure):
        await first
    source.failure = None
    source.now += timedelta(seconds=kept_s - 0.1)
    with pytest.raises(ArmFailure):
        await source.ask()
    assert source.loads == 1
    source.now += timedelta(seconds=0.1)
    again = source.ask()
    await source.finish()
    assert await again == 2


async def test_a_defect_of_ours_is_told_and_not_kept(source: Source) -> None:
    source.failure = KeyError("value")
    first = source.ask()
    await source.finish()
    with pytest.raises(KeyError):
        await first
    source.failure = None
    again = source.ask()
    await source.finish()
    assert await again == 2


async def test_a_fresh_value_is_of_a_load_that_began_after_the_question(source: Source) -> None:
    early = source.ask()
    await turns()
    fresh = [source.ask(fresh=True) for _ in range(3)]
    await source.finish()
    assert await early == 1
    assert not any(task.done() for task in fresh)
    too_late_for_the_second = source.ask(fresh=True)
    await source.finish()
    assert await asyncio.gather(*fresh) == [2, 2, 2]
    await source.finish()
    assert await too_late_for_the_second == 3
    assert (source.loads, source.most_at_once) == (3, 1)


async def test_a_failure_that_is_kept_does_not_answer_for_a_fresh_one(source: Source) -> None:
    source.failure = ArmUnreachable("GET /settings", "no route")
    first = source.ask()
    await source.finish()
    with pytest.raises(ArmFailure):
        await first
    source.failure = None
    fresh = source.ask(fresh=True)
    await source.finish()
    assert await fresh == 2
    assert await source.ask() == 2


async def test_a_fresh_asker_takes_the_failure_of_the_load_that_it_waited_for(source: Source) -> None:
    source.failure = ArmUnreachable("GET /settings", "no route")
    asked = [source.ask(), source.ask(fresh=True)]
    await source.finish()
    results = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(result) for result in results] == [ArmUnreachable, ArmUnreachable]
    assert source.loads == 1


async def test_one_who_gives_up_takes_nothing_from_the_others(source: Source) -> None:
    impatient, patient = source.ask(), source.ask()
    await turns()
    impatient.cancel()
    await source.finish()
    assert await patient == 1
