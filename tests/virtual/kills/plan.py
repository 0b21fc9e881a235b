"""Which points are killed at: every request of every mechanism before and after its effect, the rest by lot."""

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import get_args

from tests.virtual.kills.mortality import KillPoint, Moment

MOMENTS: tuple[Moment, ...] = get_args(Moment.__value__)
# Among the requests that are drawn by lot, one that changes something is this many times as likely as one that reads.
WRITES_WEIGH = 4
_READS = (" GET ", " get", " query", "metrics POST", "ARM POST resources", "durable get_")


def plan(requests: Mapping[str, Counter[str]], kills: int, seed: int) -> list[KillPoint]:
    """At least `kills` points: each request that any scenario makes at least once at each moment, in a scenario and at
    a repetition drawn by lot; then others by lot. The same seed and requests give the same points, in the same order.

    `requests` is how often each scenario makes each request when nobody is killed.
    """
    lot = random.Random(seed)
    points = list(dict.fromkeys(_cover(requests, lot)))
    chosen = set(points)
    everything = _weighted(requests)
    while len(points) < min(kills, len(everything[0]) * len(MOMENTS)):
        (scenario, request) = lot.choices(*everything)[0]
        point = _point(scenario, request, requests, lot.choice(MOMENTS), lot)
        if point not in chosen:
            chosen.add(point)
            points.append(point)
    lot.shuffle(points)
    return points


def some_of(points: Sequence[KillPoint], kills: int, scenarios: Iterable[str]) -> list[KillPoint]:
    """A few dozen of a plan for every run of the tests: in turns of each scenario, those that change something."""
    writing = [point for point in points if not reads(point.request)]
    by_scenario = {name: [point for point in writing if point.scenario == name] for name in scenarios}
    turns = [of[n] for n in range(max(map(len, by_scenario.values()))) for of in by_scenario.values() if n < len(of)]
    return turns[:kills]


def reads(request: str) -> bool:
    """Whether a request of this name changes nothing."""
    return any(part in f"{request} " for part in _READS)


def _cover(requests: Mapping[str, Counter[str]], lot: random.Random) -> Iterable[KillPoint]:
    for request in sorted({request for made in requests.values() for request in made}):
        where = sorted(scenario for scenario, made in requests.items() if request in made)
        for moment in MOMENTS:
            yield _point(lot.choice(where), request, requests, moment, lot)


def _point(
    scenario: str, request: str, requests: Mapping[str, Counter[str]], moment: Moment, lot: random.Random
) -> KillPoint:
    return KillPoint(scenario, moment, lot.randint(1, requests[scenario][request]), request)


def _weighted(requests: Mapping[str, Counter[str]]) -> tuple[list[tuple[str, str]], list[int]]:
    pairs = sorted((scenario, request) for scenario, made in requests.items() for request in made)
    return pairs, [1 if reads(request) else WRITES_WEIGH for _, request in pairs]
