"""What a policy would have made of a recorded load, offline: late share, delay, instances and cost.

`python -m shared.whatif --policy FILE --target NAME --trace FILE.csv.gz --set drain_within_s=600,max=20 --set max=30`
replays the target's policy as it is, and once with each `--set`, and prints a table. `POST /api/whatif` answers the
same of a target as it is watched. The trace has one row per request (`t_s` or `t_ms`, optional `exec_time_seconds`) or
is a rate series (`timestamp,value`).
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.policy.command import target_of
from shared.simulation.options import between
from shared.simulation.traces import TraceInvalid
from shared.simulation.variants import VariantInvalid, variants_of
from shared.simulation.whatif import Comparison, Setting, TooLarge, compare, trace_of

DONE, REFUSED = 0, 1
"""Exit codes; 2 is argparse's own, for a command that makes no sense."""

_HEAD = (
    "policy",
    "late %",
    "late % by today's promise",
    "p99 delay",
    "instances",
    "most",
    "at max %",
    "changes/day",
    "instance hours/day",
    "USD/day",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Replays and prints; the exit code is 1 if a file or a change cannot be used, with all that is wrong."""
    chosen = _parser().parse_args(arguments)
    try:
        target = target_of(chosen.policy, chosen.projects, chosen.target)
        if target is None:
            return REFUSED
        variants = variants_of(target.scaling, [_changes(text) for text in chosen.set])
        raw = chosen.trace.read_bytes()
        trace = trace_of(raw, str(chosen.trace), column=chosen.column, service=chosen.service, series=chosen.series)
        setting = Setting(
            at_start=chosen.at_start,
            cold_start_s=chosen.cold_start,
            cold_start_source="by --cold-start",
            price_usd_per_hour=chosen.price if chosen.price is not None else target.scaling.price_usd_per_hour,
            price_source="--price" if chosen.price is not None else "policy",
        )
        found = compare(trace, variants, setting, seed=chosen.seed)
    except (TraceInvalid, VariantInvalid, TooLarge, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return REFUSED
    print(json.dumps(found.plain(), indent=2) if chosen.json else table(found))
    return DONE


def table(found: Comparison) -> str:
    """The comparison as Markdown, with what it rests on below."""
    rows = [list(_HEAD), ["---"] * len(_HEAD)]
    for one in found.courses:
        rows.append(
            [
                one.variant.label,
                f"{100 * one.late_share:.2f}",
                f"{100 * one.late_share_as_today:.2f}",
                "never" if one.p99_delay_s is None else _time(one.p99_delay_s),
                f"{one.instances_mean:.1f}",
                str(one.instances_most),
                f"{100 * one.share_at_max:.1f}",
                f"{one.changes_per_day:.1f}",
                f"{one.instance_hours_per_day:.1f}",
                "no price" if one.cost_usd_per_day is None else f"{one.cost_usd_per_day:.2f}",
            ]
        )
    warned: dict[str, str] = {}
    for one in found.courses:  # what is odd in several is told of the first
        for warning in one.variant.warnings:
            warned.setdefault(warning, f"{one.variant.label}: {warning}")
    load = f"{found.items:,.0f} items in {found.days:.2f} days, a look every {found.tick_s:.0f} s."
    return "\n".join([*("| " + " | ".join(row) + " |" for row in rows), "", load, *found.assumed, *warned.values()])


def _time(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 60:.0f} min"


def _changes(text: str) -> dict[str, Any]:
    """`drain_within_s=600,max=20` as fields; values are JSON, or text.

    Raises:
        VariantInvalid: a part has no `=`.
    """
    found: dict[str, Any] = {}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if not equals:
            raise VariantInvalid(f"--set {text}: {part!r} is no change; write a field and its value, like max=20.")
        try:
            found[name.strip()] = json.loads(value)
        except ValueError:
            found[name.strip()] = value.strip()
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m shared.whatif", description=__doc__)
    parser.add_argument("--policy", type=Path, required=True, metavar="FILE", help="the platform's document")
    parser.add_argument("--projects", type=Path, metavar="DIR", help="the projects' documents")
    parser.add_argument("--target", required=True, metavar="NAME")
    parser.add_argument("--trace", type=Path, required=True, metavar="FILE", help="CSV, also gzipped")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE[,...]", help="a variant; repeat it")
    parser.add_argument("--column", help="the column of a rate series' values, or of the requests' times")
    parser.add_argument("--series", help="which series of a file with several")
    parser.add_argument("--service", metavar="COLUMN|SECONDS", help="what one item takes of one instance")
    parser.add_argument(
        "--cold-start", type=between(float, 1, 86_400, "seconds"), metavar="SECONDS", help="without it, the policy's"
    )
    parser.add_argument(
        "--price",
        type=between(float, 0, 100_000, "USD an hour"),
        metavar="USD",
        help="per instance and hour; without it, the policy's",
    )
    parser.add_argument("--at-start", type=int, metavar="INSTANCES", help="without it, the policy's min")
    parser.add_argument("--seed", type=int, default=0, help="of what chance there is in cold starts")
    parser.add_argument("--json", action="store_true", help="for programs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
