"""Values that change slowly, kept for a while and loaded once however many ask at the same time."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from datetime import datetime, timedelta


class Cached[K: Hashable, V]:
    """`load(key)` at most once per `keep_s`, unless a fresh value is asked for. Failures are not kept."""

    def __init__(self, load: Callable[[K], Awaitable[V]], keep_s: float, now: Callable[[], datetime]) -> None:
        self._load = load
        self._keep = timedelta(seconds=keep_s)
        self._now = now
        self._values: dict[K, tuple[datetime, V]] = {}
        self._locks: dict[K, asyncio.Lock] = {}

    async def get(self, key: K, *, fresh: bool = False) -> tuple[datetime, V]:
        """When the value was loaded, and the value. `fresh`: loaded after this call began.

        Raises: whatever `load` raises.
        """
        asked_at = self._now()
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._values.get(key)
            if known is not None and not fresh and asked_at - known[0] < self._keep:
                return known
            loaded_at = self._now()
            self._values[key] = loaded_at, await self._load(key)
            return self._values[key]
