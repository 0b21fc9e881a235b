"""One size of estate, measured in this process: sweeps of the real engine, and the overview page."""

import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from shared.domain import Measurement, ScalingSnapshot
    from shared.services import Services

ROOT = Path(__file__).parents[2]
METRICS_BEFORE_S = 300.0
"""So long the estate lives before the first sweep, so that Azure Monitor has something to show."""

DECIDED_ON = ("depth", "arrivals_per_s", "completions_per_s", "capacity", "ready", "quota_headroom")
"""What a decision rests on. Dead letters are told of, not decided on."""

MEASURED = (*DECIDED_ON, "dead_letters")


class CloudProcess(AbstractContextManager["CloudProcess"]):
    """`bench.sweep.cloud`, whose time is also ours."""

    def __init__(self, targets: int, assumptions: Mapping[str, str]) -> None:
        command = [sys.executable, "-m", "bench.sweep.cloud", str(targets), "1", json.dumps(assumptions)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._turn = threading.Lock()
        self._now = datetime.now(UTC)
        self.environment: dict[str, str] = self._answer()["environment"]
        self.paused_s = 0.0

    def now(self) -> datetime:
        return self._now

    def advance(self, delay_s: float) -> None:
        assert self._process.stdin is not None
        with self._turn:
            print(delay_s, file=self._process.stdin, flush=True)
            self._answer()

    async def sleep(self, delay_s: float) -> None:
        """What a read that must be tried again waits with."""
        self.paused_s += delay_s
        await asyncio.to_thread(self.advance, delay_s)

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        self._now = datetime.fromisoformat(answer["now"])
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


@dataclass
class Requests:
    """Every request of this process, by whom it went to, and how many were answered with 429."""

    sent: Counter[str] = field(default_factory=Counter)
    throttled: int = 0

    def count(self) -> None:
        """From now on, whichever client sends it."""
        import aiohttp

        real = aiohttp.ClientSession._request

        async def counted(session: Any, method: str, url: Any, **options: Any) -> Any:
            self.sent[_kind(str(url))] += 1
            answer = await real(session, method, url, **options)
            self.throttled += answer.status == 429
            return answer

        setattr(aiohttp.ClientSession, "_request", counted)  # noqa: B010  # mypy has no assignment to a method


def _kind(url: str) -> str:
    if "/queues" in url and "management.azure.com" in url:
        return "queues"
    if "management.azure.com" in url:
        return "arm"
    return "metrics" if "metrics.monitor" in url else "tables" if "127.0.0.1" in url or "localhost" in url else "other"


@dataclass(frozen=True, slots=True)
class Cost:
    """What something took; `yardstick_s` was taken just before."""

    cpu_s: float
    yardstick_s: float
    wall_s: float
    sent: Mapping[str, int]


def yardstick_s() -> float:
    """CPU seconds of a fixed piece of work, to tell how dear a CPU second is: on a crowded machine it buys less."""
    document = json.dumps({f"name {number}": {"value": number, "at": "2026-01-05T00:00:00Z"} for number in range(2000)})
    started = time.process_time()
    for _ in range(20):
        json.dumps(json.loads(document), indent=1, sort_keys=True)
    return time.process_time() - started


async def _costed[T](work: Awaitable[T], requests: Requests) -> tuple[Cost, T]:
    yardstick = yardstick_s()
    before, cpu, wall = requests.sent.copy(), time.process_time(), time.monotonic()
    result = await work
    cost = Cost(time.process_time() - cpu, yardstick, time.monotonic() - wall, dict(requests.sent - before))
    return cost, result


@dataclass
class Freshness:
    """How old the measurements were that sweeps decided on."""

    not_fresh: Counter[str] = field(default_factory=Counter)
    oldest_s: dict[str, float] = field(default_factory=lambda: dict.fromkeys((*MEASURED, "busy depth"), 0.0))

    @classmethod
    def of(cls, snapshots: Mapping[str, "ScalingSnapshot"], busy: frozenset[str]) -> Self:
        """Of one sweep."""
        found = cls()
        found.note(snapshots, busy)
        return found

    @property
    def all_fresh(self) -> bool:
        return not any(self.not_fresh[name] for name in DECIDED_ON)

    def note(self, snapshots: Mapping[str, "ScalingSnapshot"], busy: frozenset[str]) -> None:
        for key, snapshot in snapshots.items():
            for name in MEASURED:
                self._note(name, getattr(snapshot, name), snapshot.taken_at)
            if key in busy:
                self._note("busy depth", snapshot.depth, snapshot.taken_at)

    def _note(self, name: str, measured: "Measurement", at: datetime) -> None:
        self.not_fresh[name] += measured.kind != "fresh"
        if measured.kind != "missing":
            self.oldest_s[name] = max(self.oldest_s[name], (at - measured.at).total_seconds())


async def measure(targets: int, sweeps: int, every_s: float, warm_up_s: float, cloud: CloudProcess) -> dict[str, Any]:
    """Sweep every `every_s` of the cloud's time, which stands still meanwhile; what came of it, as plain JSON values.

    What the sweeps of the first `warm_up_s` saw counts only for how long it takes until everything is fresh.
    """
    from shared.overview import overview
    from shared.services import build
    from shared.settings import read_settings

    requests = Requests()
    requests.count()
    await asyncio.to_thread(cloud.advance, METRICS_BEFORE_S)
    watching = Watching(build(read_settings(), cloud.now, cloud.sleep), targets)
    loading, busy = await _costed(watching.busy(), requests)
    costs: list[Cost] = []
    problems: Counter[str] = Counter()
    began, fresh_after_s, freshness = cloud.now(), None, Freshness()
    while (age_s := (cloud.now() - began).total_seconds()) < warm_up_s + sweeps * every_s:
        cost, result = await _costed(watching.engine.sweep(), requests)
        costs.append(cost)
        print(f"{targets} targets, {age_s:.0f} s: {cost}", file=sys.stderr, flush=True)
        problems.update(result.problems)
        if fresh_after_s is None and Freshness.of(watching.seen, busy).all_fresh:
            fresh_after_s = age_s
        if age_s >= warm_up_s:
            freshness.note(watching.seen, busy)
        await asyncio.to_thread(cloud.advance, every_s)
    page, _ = await _costed(overview(watching.made), requests)
    await watching.made.close()
    return {
        "targets": targets,
        "looked_at": result.looked_at,
        "sweep": asdict(_median(costs[-sweeps:])),
        "first": asdict(costs[0]),
        "policy_cpu_s": loading.cpu_s,
        "page": asdict(page),
        "throttled": requests.throttled,
        "paused_s": cloud.paused_s,
        "problems": dict(problems),
        "not_fresh": +freshness.not_fresh,
        "oldest_s": freshness.oldest_s,
        "fresh_after_s": fresh_after_s,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


class Watching:
    """The app's own parts over the estate, the engine with a scaling loop that lets itself be looked over the shoulder.

    `seen` are the snapshots of the last sweep by target key, `busy` the targets whose queue has traffic.
    """

    def __init__(self, made: "Services", targets: int) -> None:
        from shared.loops.engine import Engine
        from shared.loops.scaling import ScalingLoop

        watching = self

        class Watched(ScalingLoop):
            async def observe(
                self, policy: Any, targets: Sequence[Any], *, closely: bool
            ) -> Mapping[str, "ScalingSnapshot"]:
                seen = await super().observe(policy, targets, closely=closely)
                if not closely:
                    watching.seen = seen
                return seen

        self.made = made
        self.seen: Mapping[str, ScalingSnapshot] = {}
        self._targets = targets
        self.engine = Engine(
            policies=made.policies,
            loops=(Watched(made.reader),),
            stores=made.stores,
            last_view=made.reader.last_view,
            now=made.now,
        )

    async def busy(self) -> frozenset[str]:
        from bench.sweep.estate import busy_queues

        names = busy_queues(self._targets)
        targets = (await self.made.policies.current()).targets
        return frozenset(one.deployment_id.key for one in targets if one.queue_id and one.queue_id.queue in names)


def _median(costs: Sequence[Cost]) -> Cost:
    return sorted(costs, key=lambda cost: cost.cpu_s / cost.yardstick_s)[len(costs) // 2]


def main() -> None:
    """`python -m bench.sweep.measure OPTIONS` with OPTIONS as JSON: those of `measure`, and assumptions."""
    from local.azurite import Azurite

    options = json.loads(sys.argv[1])
    assumptions = options.pop("assumptions")
    with (
        tempfile.TemporaryDirectory() as folder,
        Azurite() as azurite,
        CloudProcess(options["targets"], assumptions) as cloud,
    ):
        os.environ.update(cloud.environment)  # aiohttp reads it when it is imported, so nothing that does comes before
        from bench.sweep.estate import policy

        file = Path(folder) / "policy.yaml"
        file.write_text(json.dumps(policy(options["targets"])), encoding="utf-8")  # JSON is YAML
        settings = {"AzureWebJobsStorage": azurite.connection_string, "WATCHKEEPER_POLICY_FILE": str(file)}
        os.environ.update(settings)
        print(json.dumps(asyncio.run(measure(cloud=cloud, **options))))


if __name__ == "__main__":
    main()
