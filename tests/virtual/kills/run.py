"""One run of a scenario: nobody is killed, or the app is at one point; and what that came to."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace

import pytest
from azure.storage.blob.aio import BlobServiceClient

from tests.virtual.arena import Arena
from tests.virtual.kills.course import Course
from tests.virtual.kills.mortality import KillPoint, mortal
from tests.virtual.kills.scenarios import BY_NAME, Scenario
from tests.virtual.kills.verdict import Facts, facts_of, problems_of

OpenArena = Callable[..., AbstractAsyncContextManager[Arena]]


@dataclass(frozen=True, slots=True)
class Unhurt:
    """A run that nobody killed: what it came to, and how often it made each request."""

    facts: Facts
    requests: Counter[str]


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a kill. `problems` is empty if everything holds."""

    point: KillPoint
    struck: bool
    problems: tuple[str, ...]
    took_s: float


KNOWN: dict[str, Unhurt] = {}
"""For the tests of one process, which share a host."""


class Killer:
    """Runs scenarios in arenas of one host; what the unhurt run of each came to is known after its first, also to the
    other killers that share `known`.
    """

    def __init__(self, open_arena: OpenArena, azurite: str, known: dict[str, Unhurt] | None = None) -> None:
        self._open_arena, self._azurite = open_arena, azurite
        self._unhurt = {} if known is None else known

    async def unhurt(self, name: str) -> Unhurt:
        """Raises AssertionError if the run does not even work without a kill."""
        if name not in self._unhurt:
            facts, requests, problems, _ = await self._run(BY_NAME[name], None, None)
            assert problems == [], f"{name}, killed nowhere: {problems}"
            self._unhurt[name] = Unhurt(facts, requests)
        return self._unhurt[name]

    async def kill(self, point: KillPoint) -> Ran:
        """One kill; where the run made fewer such requests than the unhurt one, at the first of them instead."""
        ran = await self._kill(point)
        return ran if ran.struck or point.nth == 1 else await self._kill(replace(point, nth=1))

    async def _kill(self, point: KillPoint) -> Ran:
        expected = (await self.unhurt(point.scenario)).facts
        started = time.monotonic()
        try:
            _, _, problems, struck = await self._run(BY_NAME[point.scenario], point, expected)
        except (Exception, asyncio.CancelledError) as error:  # whatever it is, it belongs to this kill
            problems, struck = [f"{type(error).__name__}: {error}"], True
        return Ran(point, struck, tuple(problems), time.monotonic() - started)

    async def _as_new(self) -> None:
        """The account without our containers, so that each run has to make them."""
        async with BlobServiceClient.from_connection_string(self._azurite) as account:
            async for container in account.list_containers(name_starts_with="watchkeeper-"):
                await account.delete_container(container.name)

    async def _run(
        self, scenario: Scenario, point: KillPoint | None, expected: Facts | None
    ) -> tuple[Facts, Counter[str], list[str], bool]:
        await self._as_new()
        opened = self._open_arena(shape=scenario.shape, policy=scenario.policy, assumptions=scenario.assumptions)
        async with opened as arena:
            with pytest.MonkeyPatch.context() as patch, mortal(arena, self._azurite, point, patch) as death:
                course = Course(arena, death)
                death.take_over()
                try:
                    await course.has_run_before()
                    death.watching = True
                    await scenario.live(course)
                    await course.converge()
                    problems = await problems_of(course, scenario, expected)
                    return await facts_of(course), Counter(death.seen), problems, death.struck
                finally:
                    death.watching = False
                    await death.close()
