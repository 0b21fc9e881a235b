"""`python -m bench.scaling`: our decision, all grid points of the peers and the clairvoyant, on the list or a trace."""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

from bench.scaling import table
from bench.scaling.compare import LEAST_PROMISE_ITEMS, Job, Source, run, together, workloads
from bench.scaling.goals import Contest, Runner, verdicts
from bench.scaling.workloads import NAMES, Listed
from shared.simulation.options import between
from shared.simulation.traces import TraceInvalid

HERE = Path(__file__).parent
MARK = "<!-- What follows is written by the program (`--results DATE`); what is above is kept. -->"
RESULTS, PLOTS, REUSE = HERE / "RESULTS.md", HERE / "plots", HERE / "reuse"
LEAST_S, MONTH_S, LEAST_SERVICE_S = 0.1, 30 * 86_400, 1e-6
COLD_STARTS_S = (900.0, 180.0, 30.0)
QUICK, QUICK_DAYS = ("daily", "batch", "bursts", "step"), 10.0


class Refused(Exception):
    """The command cannot be carried out; the text says why and what to do."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.scaling", description=__doc__)
    seconds, count = between(float, LEAST_S, MONTH_S, "seconds"), between(int, 1, 1000, "how many")
    trace = parser.add_argument_group("a trace of yours, instead of the list")
    trace.add_argument("--arrivals", type=Path, metavar="FILE", help="CSV, also gzipped: a row a request, or a series")
    trace.add_argument("--column", metavar="NAME", help="the column with times (t_s, t_ms) or values (value)")
    trace.add_argument("--service", metavar="COLUMN|SECONDS", help="service times: a column, or seconds for each item")
    parser.add_argument("--workload", action="append", choices=NAMES, help="of the list; more than once for several")
    parser.add_argument("--cold-start", action="append", type=seconds, metavar="SECONDS", help="default: 900, 180, 30")
    parser.add_argument("--drain-within", type=seconds, metavar="SECONDS", help="the promise")
    parser.add_argument("--seeds", type=count, help="default: 5")
    parser.add_argument("--one-operation", action="store_true", help="no change while another runs, as on Azure ML")
    parser.add_argument("--quick", action="store_true", help="ten days of a few workloads, one seed, 900 s")
    parser.add_argument("--reuse", action="store_true", help="keep what the others came to, for the next run")
    parser.add_argument("--jobs", type=count, default=2, metavar="PROCESSES")
    parser.add_argument("--json", type=_out, metavar="OUT", help="write all figures there")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="write a picture of each workload's first seed there")
    parser.add_argument("--results", metavar="DATE", help=f"write {RESULTS.name} with this date")
    return parser


def _out(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir():  # hours of work are not to be lost for a folder
        raise argparse.ArgumentTypeError(f"there is no folder {path.parent}")
    return path


def main(argv: Sequence[str] | None = None) -> int:
    """0 also when goals are missed: the table says which; 2 on input that cannot be used."""
    args = _parser().parse_args(argv)
    started_s = time.monotonic()
    try:
        jobs, skipped, mended = _jobs(args)
    except Refused as refused:
        print(f"bench.scaling: {refused}", file=sys.stderr)
        return 2
    for sentence in (*skipped, *mended):
        print(sentence, file=sys.stderr)
    contests = _grouped(jobs, _run(jobs, args.jobs))
    text = f"{table.report(contests)}\n{table.LEGEND}\n"
    print(text)
    if args.json is not None:
        args.json.write_text(json.dumps(_told(args, contests, skipped, mended), indent=1, allow_nan=False), "utf-8")
    if args.results is not None:
        minutes = (time.monotonic() - started_s) / 60
        RESULTS.write_text(_results(args, argv, minutes, text), "utf-8")
    return 0


def _jobs(args: argparse.Namespace) -> tuple[list[Job], list[str], list[str]]:
    """What is to be played, what is skipped, and what was mended on reading."""
    sources = _sources(args)
    seeds = args.seeds or (1 if args.quick else 5)
    cold_starts_s = args.cold_start or (COLD_STARTS_S[:1] if args.quick or args.arrivals else COLD_STARTS_S)
    jobs: list[Job] = []
    skipped: list[str] = []
    mended: list[str] = []
    for source in sources:
        found, missing = _found(source)
        skipped += missing
        mended += [f"{entry.workload.name}: {sentence}" for entry in found for sentence in entry.mended]
        jobs += [
            Job(
                source=source,
                index=index,
                cold_start_s=cold_start_s,
                seed=seed,
                promise_s=args.drain_within,
                one_operation=args.one_operation,
                plots=args.plots if seed == 0 else None,
                reuse=REUSE if args.quick or args.reuse else None,
                days=QUICK_DAYS if args.quick else None,
            )
            for seed in range(seeds)
            for cold_start_s in cold_starts_s
            for index in range(len(found))
        ]
    if not jobs:
        raise Refused("there is nothing to compare on: " + " ".join(skipped))
    return jobs, skipped, mended


def _sources(args: argparse.Namespace) -> list[Source]:
    if args.arrivals is None:
        if args.column or args.service:
            raise Refused("--column and --service say how a file is read: name it with --arrivals FILE")
        return [Source(name=name) for name in args.workload or (QUICK if args.quick else NAMES)]
    if args.workload:
        raise Refused("--workload names one of the list, --arrivals a file: leave one of them out")
    return [Source(path=args.arrivals, column=args.column, service=args.service)]


def _found(source: Source) -> tuple[tuple[Listed, ...], tuple[str, ...]]:
    try:
        found, skipped = workloads(source, 0)
    except TraceInvalid as invalid:
        raise Refused(f"{source.path} cannot be used: {invalid}") from invalid
    except OSError as error:
        raise Refused(f"{source.path} cannot be read: {error.strerror or error}") from error
    for entry in found:
        service_s, name = entry.workload.service_s, entry.workload.name
        if not LEAST_SERVICE_S <= service_s <= MONTH_S / LEAST_PROMISE_ITEMS:
            bounds = f"{LEAST_SERVICE_S:g} seconds to {MONTH_S / LEAST_PROMISE_ITEMS / 86_400:g} days"
            raise Refused(
                f"an item of {name} takes {service_s:.3g} s of an instance, not {bounds}: give --service SECONDS"
            )
    return found, skipped


def _run(jobs: Sequence[Job], processes: int) -> dict[Job, Contest]:
    done: dict[Job, Contest] = {}
    for job, contest in _each(jobs, processes):
        done[job] = contest
        where = f"{contest.workload} at {job.cold_start_s:.0f} s, seed {job.seed}"
        print(f"{len(done)}/{len(jobs)} {where}: {100 * contest.ours.late:.2f} % late", file=sys.stderr, flush=True)
    return done


def _each(jobs: Sequence[Job], processes: int) -> Iterator[tuple[Job, Contest]]:
    if processes == 1 or len(jobs) == 1:
        yield from ((job, run(job)) for job in jobs)
        return
    with ProcessPoolExecutor(processes) as pool:
        futures = {pool.submit(run, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _grouped(jobs: Sequence[Job], done: dict[Job, Contest]) -> list[Contest]:
    """In the order of the list; the longest cold start first."""
    seeds: dict[tuple[Source, int, float], list[Contest]] = {}
    for job in jobs:
        seeds.setdefault((job.source, job.index, job.cold_start_s), []).append(done[job])
    return [together(contests) for contests in seeds.values()]


def _told(
    args: argparse.Namespace, contests: Sequence[Contest], skipped: Sequence[str], mended: Sequence[str]
) -> dict[str, object]:
    """For machines: shares of 1, seconds, hours; a delay of an item that was never done is null."""
    return {
        "one_operation": args.one_operation,
        "skipped": list(skipped),
        "mended": list(mended),
        "contests": [
            {
                "workload": contest.workload,
                "learnable": contest.learnable,
                "cold_start_s": contest.cold_start_s,
                "promise_s": contest.promise_s,
                "excess_late_share": contest.excess,
                "hours_ratio": contest.hours_ratio,
                "points_not_dearer": len(contest.not_dearer),
                "ours": _runner(contest.ours),
                "clairvoyant": _runner(contest.clairvoyant),
                "peers": [_runner(peer) for peer in contest.peers],
                "goals": [asdict(verdict) for verdict in verdicts(contest)],
            }
            for contest in contests
        ],
    }


def _runner(runner: Runner) -> dict[str, object]:
    seeds = [
        {name: value if abs(value) < float("inf") else None for name, value in asdict(course).items()}
        for course in runner.courses
    ]
    return {"name": runner.name, "queue_per_target": runner.queue_per_target, "seeds": seeds}


def _results(args: argparse.Namespace, argv: Sequence[str] | None, minutes: float, text: str) -> str:
    command = "python -m bench.scaling " + " ".join(sys.argv[1:] if argv is None else argv)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    above = RESULTS.read_text("utf-8") if RESULTS.is_file() else f"# Scaling beside its peers\n\n{MARK}\n"
    kept = above.partition(MARK)[0]
    return f"{kept}{MARK}\n\n{args.results}, `{command}`, {machine}, {minutes:.0f} minutes.\n\n{text}"


if __name__ == "__main__":
    sys.exit(main())
