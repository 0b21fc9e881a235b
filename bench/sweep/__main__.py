"""`python -m bench.sweep [--targets N ...] [--sweeps N] [--every S] [--assume NAME=VALUE ...]`: the real engine against
the local Azure with Azure's token buckets and Azurite, both in processes of their own.

Each size runs in a fresh process. The local Azure's clock, which is also ours, stands still during a sweep and moves on
by `--every` after it: so the age of a measurement, and what the buckets hold, do not depend on how busy this machine
is. That a sweep fits into its period is told by the CPU and wall seconds, which are real.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.sweep.measure import DECIDED_ON
from shared.assumptions import checked

ROOT = Path(__file__).parents[2]
SIZES = (100, 300, 1000, 3000, 4500)
# The dearer value.
LISTS_WITHOUT_COUNTS = {"servicebus.list_carries_counts": "no"}
GOAL_CPU_S, GOAL_GROWTH = 60.0, 1.25


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.sweep", description=__doc__)
    parser.add_argument("--targets", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--sweeps", type=int, default=12, help="counted sweeps of each size")
    parser.add_argument("--warm-up", type=float, default=300.0, help="seconds of Azure's time before them")
    parser.add_argument("--every", type=float, default=15.0, help="seconds of Azure's time from sweep to sweep")
    parser.add_argument("--assume", nargs="+", metavar="NAME=VALUE", default=[], help="as docs/assumptions.md")
    arguments = parser.parse_args()
    assumed = dict(text.partition("=")[::2] for text in arguments.assume)
    try:
        assumptions = checked(LISTS_WITHOUT_COUNTS | assumed)
    except ValueError as error:
        parser.error(str(error))
    rows = []
    for targets in arguments.targets:
        print(f"{targets} targets ...", file=sys.stderr, flush=True)
        options = {
            "targets": targets,
            "sweeps": arguments.sweeps,
            "every_s": arguments.every,
            "warm_up_s": arguments.warm_up,
            "assumptions": assumptions,
        }
        rows.append(_run(options))
    return report(rows)


def _run(options: dict[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.sweep.measure", json.dumps(options)]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the measurement of {options['targets']} targets failed, see above")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


COLUMNS = (
    "targets",
    "CPU s",
    "ms a target",
    "yardsticks",
    "wall s",
    "queue reads",
    "other ARM",
    "metrics",
    "tables",
    "calls a target",
    "429",
    "oldest depth",
    "with traffic",
    "not fresh",
    "all fresh after",
    "page CPU s",
    "page wall s",
    "page calls",
    "peak MiB",
)


def report(rows: list[dict[str, Any]]) -> int:
    """Print the table and what was missed; 1 if anything was."""
    print("| " + " | ".join(COLUMNS) + " |")
    print("|" + "---|" * len(COLUMNS))
    for row in rows:
        print("| " + " | ".join(_cells(row)) + " |")
    largest = rows[-1]
    print(
        f"\nAt {largest['targets']} targets: first sweep {largest['first']['cpu_s']:.1f} CPU s, policy "
        f"{largest['policy_cpu_s']:.1f} CPU s (once a version)."
    )
    missed = [name for name, met in goals(rows).items() if not met]
    print("Goals: " + ("all met." if not missed else f"missed: {'; '.join(missed)}."))
    return 1 if missed else 0


def _cells(row: dict[str, Any]) -> list[str]:
    sweep, sent, page = row["sweep"], row["sweep"]["sent"], row["page"]
    fresh_after_s = row["fresh_after_s"]
    return [
        str(row["targets"]),
        f"{sweep['cpu_s']:.2f}",
        f"{1000 * sweep['cpu_s'] / row['targets']:.2f}",
        f"{_yardsticks(row):.0f}",
        f"{sweep['wall_s']:.1f}",
        *(str(sent.get(kind, 0)) for kind in ("queues", "arm", "metrics", "tables")),
        f"{sum(sent.values()) / row['targets']:.2f}",
        str(row["throttled"]),
        f"{row['oldest_s']['depth']:.0f} s",
        f"{row['oldest_s']['busy depth']:.0f} s",
        str(not_fresh(row)),
        "never" if fresh_after_s is None else f"{fresh_after_s:.0f} s",
        f"{page['cpu_s']:.2f}",
        f"{page['wall_s']:.1f}",
        str(sum(page["sent"].values())),
        f"{row['peak_mib']:.0f}",
    ]


def _yardsticks(row: dict[str, Any]) -> float:
    return float(row["sweep"]["cpu_s"] / row["sweep"]["yardstick_s"])


def not_fresh(row: dict[str, Any]) -> int:
    """Measurements that a counted sweep decided on and that were stale or missing, over all of them."""
    return sum(row["not_fresh"].get(name, 0) for name in DECIDED_ON)


def goals(rows: list[dict[str, Any]]) -> dict[str, bool]:
    """Each goal in words, and whether it was met."""
    per_target = [_yardsticks(row) / row["targets"] for row in rows if row["targets"] >= 1000]
    return {
        f"at most {GOAL_CPU_S:.0f} CPU s a sweep": all(row["sweep"]["cpu_s"] <= GOAL_CPU_S for row in rows),
        "no 429, and no read that had to wait": all(not row["throttled"] and not row["paused_s"] for row in rows),
        "everything fresh": all(not_fresh(row) == 0 for row in rows),
        "every target looked at, without a problem": all(
            row["looked_at"] == row["targets"] and not row["problems"] for row in rows
        ),
        f"linear from 1,000 on (at most {GOAL_GROWTH} times the yardsticks a target)": not per_target
        or max(per_target) <= GOAL_GROWTH * per_target[0],
    }


if __name__ == "__main__":
    sys.exit(main())
