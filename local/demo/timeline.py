"""What a person sees: one line every two seconds, and every entry of the app's ledger as it is written."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from local.workload import Player
from local.world import World

EVERY_S = 2.0
HEADER = "  time   queue                       in/s   out/s  instances        drained in"
MARKS = {"decision": "▶", "outcome": "✔", "approval": "?", "notice": "!", "control": "·"}
# Signals come by the hundred: their number is shown, not each of them.
BAR_CELLS = 20
# The bar is full at this depth, or at the deepest so far.
BAR_FULL = 100


@dataclass(slots=True)
class Timeline:
    """Reads the world's counters and the app's own HTTP API; `entries` is all that the ledger said."""

    world: World
    player: Player
    http: aiohttp.ClientSession
    base_url: str
    entries: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    peak_depth: int = 0
    elapsed_s: float = 0.0
    _sent: int = 0
    _completed: int = 0

    async def tick(self) -> None:
        """Wait for the next line and print it, with what the ledger has got since the last one."""
        await asyncio.sleep(EVERY_S)
        self.elapsed_s += EVERY_S
        depth = self.world.depth()
        self.peak_depth = max(self.peak_depth, depth)
        for entry in await self._new_entries():
            when, mark = entry["at"][11:19], MARKS[entry["kind"]]
            print(f"         {mark} {when} UTC  {entry['kind']}: {entry['summary']}", flush=True)
        print(self._line(depth), flush=True)

    def _line(self, depth: int) -> str:
        ready, pending = self.world.instances()
        coming = f" +{pending} starting" if pending else ""
        sent, completed = self.player.sent, self.world.dispatcher.counts.completed
        arriving, leaving = (sent - self._sent) / EVERY_S, (completed - self._completed) / EVERY_S
        self._sent, self._completed = sent, completed
        rate = ready * self.world.shape.slots_per_instance / self.world.shape.service_s
        drained = "-" if depth == 0 else f"{depth / rate:.0f} s" if rate else "never"
        filled = min(BAR_CELLS, round(BAR_CELLS * depth / max(self.peak_depth, BAR_FULL)))
        bar = "█" * filled + "·" * (BAR_CELLS - filled)
        minutes, seconds = divmod(int(self.elapsed_s), 60)
        return (
            f"  {minutes:02d}:{seconds:02d} {depth:5d} {bar} {arriving:6.1f}  {leaving:6.1f}  "
            f"{ready} ready{coming:<12} {drained:>6}"
        )

    async def _new_entries(self) -> list[Mapping[str, Any]]:
        found = [entry for kind in MARKS for entry in await self._ledger(kind)]
        new = [entry for entry in sorted(found, key=lambda entry: entry["at"]) if entry["id"] not in self.entries]
        self.entries.update((entry["id"], entry) for entry in new)
        return new

    async def signals(self) -> int:
        """How many distinct signals the ledger has."""
        return len(await self._ledger("signal"))

    async def quarantined(self) -> int:
        """How many payloads wait in the quarantine."""
        async with self.http.get(f"{self.base_url}/api/quarantine") as answer:
            return len((await answer.json())["entries"])

    async def _ledger(self, kind: str) -> list[Mapping[str, Any]]:
        try:
            async with self.http.get(f"{self.base_url}/api/ledger", params={"limit": "500", "kind": kind}) as answer:
                body = await answer.json(content_type=None)
        except aiohttp.ClientError:
            return []  # the host may be away for a moment; the next line catches up
        entries: list[Mapping[str, Any]] = body.get("entries", [])
        return entries
