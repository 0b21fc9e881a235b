"""What Azure Monitor recorded of a queue's arrivals, as a trace."""

from array import array
from collections.abc import Sequence
from datetime import timedelta

from shared.estate.metrics import Point
from shared.simulation.traces import Trace


def trace_of_points(points: Sequence[Point], name: str) -> Trace:
    """Totals of intervals of one length as a rate series, from the first that has a value to the last.

    An interval without a value counts as one in which nothing arrived, because Azure Monitor has none for an idle
    queue (assumption monitor.idle_totals); `notes` say how many those are.

    Raises:
        ValueError: there are fewer than two values.
    """
    totals: dict[int, float] = {}
    if len(points) < 2:
        raise ValueError(f"Azure Monitor has {len(points)} values of what arrived at {name!r} in that time: too few.")
    step, first = points[0].interval, min(point.start for point in points)
    for point in points:
        slot = (point.start - first) // step
        totals[slot] = totals.get(slot, 0.0) + point.value
    slots, step_s = max(totals) + 1, step.total_seconds()
    silent = slots - len(totals)
    notes = [f"Recorded by Azure Monitor from {first:%Y-%m-%d %H:%M} UTC on, in intervals of {_length(step)}."]
    if silent:
        notes.append(f"{silent} of {slots} intervals have no value; they count as ones in which nothing arrived.")
    if not sum(totals.values()):
        raise ValueError(f"nothing arrived at {name!r} in that time.")
    return Trace(
        name=name,
        starts_at=first,
        times_s=array("d", (slot * step_s for slot in range(slots))),
        values=array("d", (totals.get(slot, 0.0) for slot in range(slots))),
        step_s=step_s,
        notes=notes,
    )


def _length(step: timedelta) -> str:
    seconds = step.total_seconds()
    return f"{seconds / 60:g} min" if seconds >= 60 else f"{seconds:g} s"
