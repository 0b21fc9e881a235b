"""What the peers and the clairvoyant came to, kept between runs that change our decision alone."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path

from bench.scaling.goals import Course, Runner
from shared.simulation.site import Terms
from shared.simulation.workload import Workload

ROOT = Path(__file__).parents[2]
CODE = ("bench/scaling/peers/*.py", "bench/scaling/clairvoyant.py", "bench/scaling/tube.py", "shared/simulation/*.py")


@cache
def _code() -> bytes:
    """Of all that they are made of: what was kept of other code is not found."""
    digest = hashlib.sha256()
    for pattern in CODE:
        for path in sorted(ROOT.glob(pattern)):
            digest.update(path.read_bytes())
    return digest.digest()


def key(workload: Workload, terms: Terms, promise_s: float, seed: int) -> str:
    digest = hashlib.sha256(_code())
    digest.update(workload.items.tobytes() + workload.work_s.tobytes())
    digest.update(repr((workload.tick_s, workload.service_s, workload.starts_at, terms, promise_s, seed)).encode())
    return digest.hexdigest()[:32]


def load(path: Path) -> list[Runner] | None:
    if not path.is_file():
        return None
    return [
        Runner(name=name, queue_per_target=queue, courses=tuple(Course(**course) for course in told))
        for name, queue, told in json.loads(path.read_text("utf-8"))
    ]


def save(path: Path, runners: Sequence[Runner]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    told = [(runner.name, runner.queue_per_target, [asdict(course) for course in runner.courses]) for runner in runners]
    written = path.with_suffix(".new")
    written.write_text(json.dumps(told), "utf-8")
    written.replace(path)
