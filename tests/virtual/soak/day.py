"""The day: what happens in each ten minutes of it, by a seed."""

import math
import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from local.cloud.faults import Fault
from local.workload import Arrivals
from tests.virtual.approvals import ADA, BEA, questions
from tests.virtual.arena import Arena, policy_text
from tests.virtual.test_mixed_deliveries import event

SLOT_S = 600.0
QUIETEST, BUSIEST = 0.01, 0.16
"""Messages a second at night and at noon; an instance does 0.05."""

PATCH: dict[str, Any] = {"method": "PATCH", "path": "/deployments/blue$"}
FAULTS: tuple[dict[str, Any], ...] = (
    {**PATCH, "status": 429, "headers": {"Retry-After": "30"}, "times": 2},
    {**PATCH, "status": 429, "times": 2},
    {**PATCH, "status": 409, "times": 2},
    {**PATCH, "status": 503},
    {**PATCH, "status": 500, "when": "after"},
    {**PATCH, "withhold": "close", "when": "after"},
    {"method": "GET", "path": "/queues", "status": 503, "times": 20},
    {"method": "GET", "path": "/deployments", "status": 429, "times": 10},
    {"path": "ResourceGraph", "status": 500, "times": 6},
    {"host": "metrics", "status": 503, "times": 10},
    {"host": "hooks.example.com", "status": 503, "times": 2},
    {"host": "vault.azure.net", "status": 503, "times": 2},
)


def policy(at: datetime) -> str:
    """Large changes wait for people; nothing is changed in a quarter of an hour of each third hour of the day."""
    freezes = "\n".join(
        f"      - {{name: third-{hour}, reason: a drill, zone: UTC, "
        f"once: {{from: '{at + timedelta(hours=hour):%Y-%m-%d %H:%M}', "
        f"until: '{at + timedelta(hours=hour, minutes=15):%Y-%m-%d %H:%M}'}}}}"
        for hour in range(1, 26, 3)
    )
    return policy_text(
        cold_start_s=300,
        respect_manual_s=900,
        extra=f"""\
    freezes:
{freezes}
    approvals:
      - name: large
        who: [{ADA}, {BEA}]
        needed: 1
        when: {{more_than_instances: 2}}
        ask_again_after_s: 900
    notices:
      channels:
        - {{name: mail, kind: mail, recipients: [ops@example.com]}}
        - {{name: any, kind: webhook, secret: any-webhook}}
    """,
    )


def load(hours: float, seed: int) -> Arrivals:
    """A curve with its top in the middle, and noise."""
    dice, at = random.Random(seed), 0.0
    times: list[float] = []
    while True:
        share = 0.5 - 0.5 * math.cos(2 * math.pi * at / (hours * 3600))
        at += dice.expovariate(QUIETEST + (BUSIEST - QUIETEST) * share)
        if at >= hours * 3600:
            return Arrivals.at(times, hours * 3600)
        times.append(at)


@dataclass(slots=True)
class Day:
    """What has happened so far."""

    arena: Arena
    dice: random.Random
    happened: Counter[str] = field(default_factory=Counter)
    signals: int = 0
    failed_chores: list[str] = field(default_factory=list)

    async def slot(self) -> None:
        """Ten minutes."""
        if self.dice.random() < 0.5:
            self.arena.world.cloud.faults.clear()
            self.arena.world.cloud.faults.add(Fault(**self.dice.choice(FAULTS)))
            self.happened["fault"] += 1
        if self.dice.random() < 0.1:
            self.arena.world.cloud.identity.expire_tokens()
            self.happened["tokens ran out"] += 1
        if self.dice.random() < 0.1:
            self.arena.next_operation(code="OutOfCapacity")
            self.happened["operation fails"] += 1
        await self._signals()
        await self._people()
        await self.arena.pass_time(SLOT_S)
        ran = await self.arena.upkeep()
        self.failed_chores += [f"{name}: {one['said']}" for name, one in ran.items() if one.get("failed")]

    async def _signals(self) -> None:
        """An event in two deliveries."""
        payload = event(self.arena, id=f"soak-{self.signals}")
        self.signals += 1
        for _ in range(2):
            await self.arena.call("POST", "alerts", payload, status=202)

    async def _people(self) -> None:
        for request in await questions(self.arena):
            if request["state"] == "pending" and self.dice.random() < 0.8:
                self.happened["yes"] += 1
                await self.arena.control("POST", f"approvals/{request['id']}/approve", by=ADA)
        if self.dice.random() < 0.05:
            self.happened["by hand"] += 1
            await self.arena.person_sets(max(1, self.arena.capacity() + self.dice.choice((-1, 1))))
        if self.dice.random() < 0.05:
            self.happened["pause"] += 1
            await self.arena.control("POST", "pause", scope="all", for_s=300)
