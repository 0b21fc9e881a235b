"""Values that change slowly, kept for a while and loaded once however many ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta

from shared.estate.failures import ArmFailure

FAILURE_KEPT_S = 15.0
"""A source that failed is left alone for this long, or for as long as it asked: a sweep asks it once for each target,
and every load of a source that is down costs all of its tries.
"""


class Cached[K: Hashable, V]:
    """`load(key)` at most once per `keep_s`, unless a fresh value is asked for; one load of a key at a time.

    `failures` is what a source raises that fails: such a failure is kept for a while too, or for its `retry_after_s`.
    """

    def __init__(
        self,
        load: Callable[[K], Awaitable[V]],
        keep_s: float,
        now: Callable[[], datetime],
        failures: type[Exception] = ArmFailure,
    ) -> None:
        self._load = load
        self._keep = timedelta(seconds=keep_s)
        self._now = now
        self._kept_failures = failures
        self._values: dict[K, tuple[datetime, V]] = {}
        self._failures: dict[K, tuple[datetime, Exception]] = {}
        self._running: dict[K, asyncio.Task[tuple[datetime, V]]] = {}

    async def get(self, key: K, *, fresh: bool = False) -> tuple[datetime, V]:
        """When the load of the value began, and the value. `fresh`: of a load that began after this call.

        Raises: whatever `load` raises. Everyone who asked before a load failed gets its failure, a fresh asker too;
        who does not ask for a fresh value also gets a failure that is kept (`FAILURE_KEPT_S`).
        """
        running = self._running.get(key)
        if not fresh:
            known = self._known(key)
            if known is not None:
                return known
        elif running is not None:
            await asyncio.shield(running)  # began before this call, so its value will not do
            running = self._running.get(key)
        if running is None:
            running = self._running[key] = asyncio.create_task(self._load_and_keep(key))
        return await asyncio.shield(running)  # an asker that gives up takes nothing from the others

    def forget(self, matching: Callable[[K], bool] = lambda _: True) -> None:
        """Answer nobody who asks from now on with a value, or a failure, of a load that began before."""
        for kept in (self._values, self._failures, self._running):
            for key in [key for key in kept if matching(key)]:
                del kept[key]

    def _known(self, key: K) -> tuple[datetime, V] | None:
        now = self._now()
        known = self._values.get(key)
        if known is not None and now - known[0] < self._keep:
            return known
        failed = self._failures.get(key)
        if failed is not None and now < failed[0]:
            raise failed[1].with_traceback(None)  # or it would grow by every asker
        return None

    async def _load_and_keep(self, key: K) -> tuple[datetime, V]:
        began_at = self._now()
        this_load = asyncio.current_task()
        try:
            known = began_at, await self._load(key)
        except self._kept_failures as failure:
            if self._running.get(key) is this_load:
                asked_for_s: float | None = getattr(failure, "retry_after_s", None)
                pause = timedelta(seconds=max(FAILURE_KEPT_S, asked_for_s or 0.0))
                self._failures[key] = self._now() + pause, failure
            raise
        else:
            if self._running.get(key) is this_load:  # else it was forgotten while it ran
                self._failures.pop(key, None)
                self._values[key] = known
            return known
        finally:
            if self._running.get(key) is this_load:
                del self._running[key]
