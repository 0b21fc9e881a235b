"""Generated workloads: what is known of how load behaves, with the noise that real arrivals have.

Each family is a shape (busy instances, minute by minute) on which the same noise is laid: a load that wanders by some
per cent, arrivals in clumps (a user sends several; a retry follows a failure), service times gamma-distributed.
"""

import zlib
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from shared.simulation.arrivals import BUSY_INSTANCES
from shared.simulation.workload import Floats, Workload

TICK_S = 60.0
DAY, HOUR = 1440, 60
LEARNING_DAYS = 28
MONDAY = datetime(2026, 1, 5, tzinfo=UTC)

CLUMP = 3.0
"""Mean items of a clump; sizes are geometric."""
WANDER, WANDER_HOLD_MIN = 0.12, 45.0
"""Deviation of the logarithm of the load, and for how long it stays near what it is."""
GAMMA = 4.0
"""Shape of the service times: a deviation of half their mean."""


def _days(count: float) -> Floats:
    """Minutes from the start, as days."""
    return np.arange(round(count * DAY)) / DAY


def _day_shape(days: Floats, peak_h: float = 14.0, depth: float = 0.8) -> Floats:
    """Office hours seen from afar: a broad hump around `peak_h`, a quiet night."""
    angle = 2 * np.pi * (days - peak_h / 24)
    hump = np.exp(1.6 * (np.cos(angle) - 1))
    return 1 - depth + depth * hump / hump.mean()


def _week_shape(days: Floats) -> Floats:
    return np.array([1.1, 1.2, 1.2, 1.15, 1.0, 0.3, 0.2])[days.astype(np.int64) % 7]


def _daily(rng: np.random.Generator) -> Floats:
    days = _days(LEARNING_DAYS)
    return _day_shape(days) * rng.lognormal(0, 0.08, LEARNING_DAYS)[days.astype(np.int64)]


def _weekly(rng: np.random.Generator) -> Floats:
    days = _days(LEARNING_DAYS)
    return _daily(rng) * _week_shape(days)


def _batch(rng: np.random.Generator) -> Floats:
    """A nightly batch from 02:00 for three hours, a few minutes early or late, over a small day."""
    days = _days(LEARNING_DAYS)
    load = 0.15 * _day_shape(days, depth=0.6)
    for day in range(LEARNING_DAYS):
        begin = day * DAY + 2 * HOUR + round(rng.normal(0, 4))
        load[begin : begin + round(3 * HOUR * rng.lognormal(0, 0.08))] += 2.0
    return load


def _step(rng: np.random.Generator) -> Floats:
    load = np.full(3 * DAY, 1.0)
    up = round(rng.uniform(0.6, 1.2) * DAY)
    load[up : up + DAY] = 4.0
    return load


def _ramp(rng: np.random.Generator) -> Floats:
    begin, hours = rng.uniform(0.5, 1.0), rng.uniform(3, 8)
    at = np.array([0.0, begin, begin + hours / 24, 2.0, 2.0 + hours / 24, 3.0])
    return np.interp(_days(3), at, [0.5, 0.5, 4.0, 4.0, 0.5, 0.5])


def _bursts(rng: np.random.Generator) -> Floats:
    load, minute = np.full(5 * DAY, 0.15), 0
    while minute < len(load):
        minute += 5 + round(rng.exponential(120))
        length = 5 + round(rng.exponential(35))
        load[minute : minute + length] = rng.uniform(2.0, 4.0)
        minute += length
    return load


def _flash_crowd(rng: np.random.Generator) -> Floats:
    """Nobody sees it coming: within minutes many times the load, which then ebbs away over an hour or two."""
    days = _days(3)
    load = 0.7 * _day_shape(days, depth=0.4)
    for begin in rng.uniform([0.4, 1.7], [1.2, 2.7]):
        since_min = np.maximum((days - begin) * DAY, 0.0)
        height, rise_min, fall_min = rng.uniform(4, 7), rng.uniform(3, 8), rng.uniform(40, 90)
        load += height * (1 - np.exp(-since_min / rise_min)) * np.exp(-since_min / fall_min)
    return load


def _silence(rng: np.random.Generator) -> Floats:
    """Work for a day or so, nothing for days, then work again at once."""
    load = _day_shape(_days(7), depth=0.5)
    begin = round(rng.uniform(1.0, 1.5) * DAY)
    load[begin : begin + round(rng.uniform(2.5, 3.5) * DAY)] = 0.0
    return load


def _trend(rng: np.random.Generator) -> Floats:
    """Four weeks in which the load grows to five times what it was."""
    return _daily(rng) * np.linspace(0.35, 1.75, LEARNING_DAYS * DAY)


def _changing(rng: np.random.Generator) -> Floats:
    """A season that changes midway: other hours (a region moved), a flatter day, and work at weekends."""
    days = _days(LEARNING_DAYS)
    change = LEARNING_DAYS / 2
    before = _day_shape(days) * _week_shape(days)
    after = _day_shape(days, peak_h=14.0 + rng.uniform(6, 10), depth=0.6)
    return np.where(days < change, before, after) * rng.lognormal(0, 0.08, LEARNING_DAYS)[days.astype(np.int64)]


FAMILIES: dict[str, tuple[Callable[[np.random.Generator], Floats], float]] = {
    "daily": (_daily, 20.0),
    "weekly": (_weekly, 20.0),
    "batch": (_batch, 15.0),
    "step": (_step, 20.0),
    "ramp": (_ramp, 20.0),
    "bursts": (_bursts, 10.0),
    "flash_crowd": (_flash_crowd, 10.0),
    "silence": (_silence, 20.0),
    "trend": (_trend, 25.0),
    "changing": (_changing, 30.0),
}
"""Shape and mean service time in seconds."""


def family(name: str, seed: int = 0) -> Workload:
    """One of `FAMILIES`. Another seed is another draw of the shape and of the noise."""
    shape, service_s = FAMILIES[name]
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    load = shape(rng)
    load = load * (BUSY_INSTANCES / load.mean()) * _wander(rng, len(load))
    items = _clumped(rng, load * TICK_S / service_s)
    some = items > 0
    work_s = np.zeros(len(items))
    work_s[some] = rng.gamma(GAMMA * items[some], service_s / GAMMA)
    mean_s = float(work_s.sum() / items.sum())
    return Workload(name=name, tick_s=TICK_S, items=items, work_s=work_s, service_s=mean_s, starts_at=MONDAY)


def _wander(rng: np.random.Generator, ticks: int) -> Floats:
    """A factor around 1 that changes slowly."""
    stays = np.exp(-1 / WANDER_HOLD_MIN)
    shocks = rng.normal(0, WANDER * np.sqrt(1 - stays**2), ticks)
    level, path = rng.normal(0, WANDER), np.empty(ticks)
    for tick in range(ticks):
        level = stays * level + shocks[tick]
        path[tick] = level
    return np.exp(path - WANDER**2 / 2)


def _clumped(rng: np.random.Generator, mean: Floats) -> Floats:
    """Items of each tick: a Poisson number of clumps of geometric sizes."""
    clumps = rng.poisson(mean / CLUMP)
    extra = np.zeros(len(clumps))
    some = clumps > 0
    extra[some] = rng.negative_binomial(clumps[some], 1 / CLUMP)
    return clumps + extra
