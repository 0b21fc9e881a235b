"""The known traces, and any other file: read, in ticks."""

from pathlib import Path

from shared.simulation.arrivals import workload_of
from shared.simulation.traces import Trace, parse
from shared.simulation.workload import Workload

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "traces"

KNOWN = {
    "lora": "gentd26_lora_requests_2024-11-15_30.csv.gz",
    "nab_elb": "nab_elb_request_count.csv.gz",
    "nab_twitter": "nab_twitter_volume_public.csv.gz",
    "azure_llm_2023_conv": "azure_llm_2023_conv.csv.gz",
    "mooncake_synthetic": "mooncake_synthetic.csv.gz",
}


type Read = tuple[Workload, tuple[str, ...]]
"""A workload, and what was mended on reading it."""


class TraceAbsent(Exception):
    """A known trace is not on this machine: the text says which file was looked for."""


def recorded(path: Path, *, column: str | None = None, service: str | None = None) -> list[Trace]:
    """All traces of a file. Raises TraceInvalid, or OSError where it cannot be read at all."""
    return parse(path.read_bytes(), path.name, column=column, service=service)


def read(path: Path, *, column: str | None = None, service: str | None = None, seed: int = 0) -> list[Read]:
    """A file's workloads, one a series, named after the file. Raises as `recorded`."""
    stem = path.name.removesuffix(".gz").removesuffix(".csv")
    return _workloads(stem, recorded(path, column=column, service=service), seed)


def known(name: str, *, folder: Path = FOLDER, seed: int = 0) -> list[Read]:
    """The workloads of one of `KNOWN`. Raises TraceAbsent."""
    path = folder / KNOWN[name]
    if not path.is_file():
        raise TraceAbsent(f"{name} is skipped: there is no {path}")
    return _workloads(name, recorded(path), seed)


def _workloads(name: str, traces: list[Trace], seed: int) -> list[Read]:
    return [
        (workload_of(trace, f"{name}_{trace.name}" if trace.name else name, seed=seed), tuple(trace.notes))
        for trace in traces
    ]
