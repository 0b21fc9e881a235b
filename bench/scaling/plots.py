"""A picture of a workload: depth and instances, ours against the best peer and the clairvoyant."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from shared.simulation.workload import Floats, Workload

# More points than this are not seen in a picture: each then is the highest of its span.
POINTS = 2000
COLOURS = ("#1b6ac9", "#d9822b", "#3a8f3a")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One who scales, tick by tick."""

    name: str
    depth: Floats
    instances: Floats


def draw(path: Path, title: str, workload: Workload, tracks: Sequence[Track]) -> None:
    """Write a PNG; needs matplotlib, which is loaded here."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(3, 1, sharex=True, figsize=(14, 9), layout="constrained")
    busy = workload.work_s / workload.tick_s
    axes[0].plot(*_thinned(busy, workload.tick_s), color="#777777", linewidth=0.7)
    axes[0].set_ylabel("load (instances)")
    axes[0].set_title(title)
    for track, colour in zip(tracks, COLOURS, strict=False):
        axes[1].plot(*_thinned(track.depth, workload.tick_s), color=colour, linewidth=0.8, label=track.name)
        axes[2].plot(*_thinned(track.instances, workload.tick_s), color=colour, linewidth=0.8, label=track.name)
    axes[1].set_ylabel("items there")
    axes[1].set_yscale("symlog", linthresh=10)
    axes[2].set_ylabel("instances asked for")
    axes[2].set_xlabel("days")
    axes[1].legend(loc="upper right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def _thinned(values: Floats, tick_s: float) -> tuple[Floats, Floats]:
    """Days and values."""
    span = max(1, len(values) // POINTS)
    whole = values[: len(values) // span * span].reshape(-1, span).max(axis=1)
    return np.arange(len(whole)) * span * tick_s / 86_400, whole
