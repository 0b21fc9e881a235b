"""The list: on what the scaling decision, its peers and the clairvoyant are compared."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.scaling.families import FAMILIES, family
from bench.scaling.traces import FOLDER, KNOWN, TraceAbsent, known
from shared.simulation.workload import Workload

NAMES = (*KNOWN, *FAMILIES)

# Fixed before anything was tuned: those whose past tells of their future.
LEARNABLE = frozenset({"lora", "nab_elb", "nab_twitter", "daily", "weekly", "batch", "trend", "changing"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Listed:
    """One workload of the list. `group` is its entry of NAMES: nab_twitter has several. `mended`: what was."""

    group: str
    workload: Workload
    learnable: bool
    mended: tuple[str, ...] = ()


def listed(names: Iterable[str] = NAMES, *, folder: Path = FOLDER, seed: int = 0) -> tuple[list[Listed], list[str]]:
    """The workloads of `names`, and a sentence for each that is skipped because its trace is not on this machine.

    Another seed is another draw of the families and of the noise that rate series are spread with; recorded requests
    stay as they are.
    """
    found: list[Listed] = []
    skipped: list[str] = []
    for name in names:
        try:
            workloads = known(name, folder=folder, seed=seed) if name in KNOWN else [(family(name, seed), ())]
        except TraceAbsent as absent:
            skipped.append(str(absent))
            continue
        found += [
            Listed(group=name, workload=workload, learnable=name in LEARNABLE, mended=mended)
            for workload, mended in workloads
        ]
    return found, skipped
