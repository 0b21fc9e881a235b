"""A recorded trace as a workload in ticks. Needs numpy."""

import zlib
from datetime import UTC, datetime

import numpy as np

from shared.simulation.traces import Trace
from shared.simulation.workload import Floats, Workload

# Fixed before tuning, where a trace does not say.
BUSY_INSTANCES = 4.0
TICK_S, SHORT_TICK_S = 60.0, 15.0

# Seconds of a request to a language model before they are normalised: a fixed part, prefill, decode.
FIXED_S, PROMPT_S, OUTPUT_S = 0.2, 0.0002, 0.02

MONDAY = datetime(2026, 1, 5, tzinfo=UTC)


def workload_of(trace: Trace, name: str, *, tick_s: float | None = None, seed: int = 0) -> Workload:
    """`trace` in ticks: of 60 s, of 15 s where it is shorter than a day.

    Service times are those of the trace; else from token counts; else one for all. Of the latter two the mean is such
    that the mean load keeps four instances busy. A rate series whose step is longer than a tick is spread over its
    ticks as Poisson arrivals (given their count, where it is whole).
    """
    tick_s = tick_s or (SHORT_TICK_S if trace.span_s < 86_400 else TICK_S)
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    items, weight = _of_rates(trace, tick_s, rng) if trace.values is not None else _of_requests(trace, tick_s)
    if trace.service_s is not None:
        work_s = weight
    elif trace.constant_s is not None:
        work_s = items * trace.constant_s
    else:
        work_s = weight * (BUSY_INSTANCES * tick_s * len(items) / weight.sum())
    return Workload(
        name=name,
        tick_s=tick_s,
        items=items,
        work_s=work_s,
        service_s=float(work_s.sum() / items.sum()),
        starts_at=trace.starts_at or MONDAY,
    )


def _of_requests(trace: Trace, tick_s: float) -> tuple[Floats, Floats]:
    """Items and their seconds (not normalised, unless the trace has service times) of each tick."""
    times_s = np.asarray(trace.times_s)
    tick = (times_s // tick_s).astype(np.int64)
    seconds: Floats
    if trace.service_s is not None:
        seconds = np.asarray(trace.service_s)
    elif trace.tokens is not None:
        prompt, output = (np.asarray(tokens) for tokens in trace.tokens)
        seconds = FIXED_S + PROMPT_S * prompt + OUTPUT_S * output
    else:
        seconds = np.ones(len(times_s))
    items = np.bincount(tick).astype(np.float64)
    return items, np.bincount(tick, weights=seconds)


def _of_rates(trace: Trace, tick_s: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    times_s, values = np.asarray(trace.times_s), np.asarray(trace.values)
    step_s = trace.step_s
    ticks = int(np.ceil(trace.span_s / tick_s - 1e-9))
    parts = round(step_s / tick_s)
    slots = np.rint(times_s / step_s)
    on_grid = parts > 1 and abs(step_s - parts * tick_s) < 1e-6 and bool(np.abs(times_s - slots * step_s).max() < 1e-6)
    if on_grid:
        filled = np.interp(np.arange(int(slots[-1]) + 1), slots, values)
        whole = bool(np.all(values == np.rint(values)))
        if whole:
            drawn = rng.multinomial(np.rint(filled).astype(np.int64), np.full(parts, 1 / parts)).ravel()
        else:
            drawn = rng.poisson(np.repeat(filled / parts, parts))
        found: Floats = drawn.astype(np.float64)
    else:
        expected = _expected(times_s, values, step_s, ticks, tick_s)
        found = rng.poisson(expected).astype(np.float64) if step_s > tick_s * 1.001 else expected
    if found.sum() <= 0:  # rates so low that chance drew none
        found = _expected(times_s, values, step_s, ticks, tick_s)
    return found, found


def _expected(times_s: Floats, values: Floats, step_s: float, ticks: int, tick_s: float) -> Floats:
    """Arrivals of each tick: a value counts until the next time; gaps are filled at the rates beside them."""
    ends_s = np.append(times_s[1:], times_s[-1] + step_s)
    before_gap = ends_s - times_s > 1.5 * step_s
    ends_s = np.where(before_gap, times_s + step_s, ends_s)
    following = np.roll(np.arange(len(values)), -1)
    gaps_s = np.where(before_gap, times_s[following] - ends_s, 0.0)
    spans_s = np.column_stack((ends_s - times_s, gaps_s)).ravel()
    amounts = np.column_stack((values, gaps_s * (values + values[following]) / 2 / step_s)).ravel()
    edges_s = np.concatenate(([0.0], np.cumsum(spans_s)))
    reached = np.concatenate(([0.0], np.cumsum(amounts)))
    return np.diff(np.interp(np.arange(ticks + 1) * tick_s, edges_s, reached))
