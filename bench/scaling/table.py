"""The comparison in words and figures, as Markdown that reads well in a terminal."""

import math
from collections.abc import Sequence

from bench.scaling.goals import Contest, Runner, Verdict, best_peer, tally, verdicts

COLUMNS = (
    "workload",
    "late %: ours",
    "best peer",
    "limit",
    "p99 s: ours",
    "best peer",
    "limit",
    "hours: ours",
    "best peer",
    "limit",
    "ratio",
    "reversals/day",
    "undone",
    "points",
    "missed",
)


def report(contests: Sequence[Contest]) -> str:
    """A table for each cold start, then each goal with its numbers, then how many were reached."""
    parts = []
    for cold_start_s in sorted({contest.cold_start_s for contest in contests}, reverse=True):
        those = [contest for contest in contests if contest.cold_start_s == cold_start_s]
        parts.append(f"## Cold start {cold_start_s:.0f} s\n\n{_table(those)}")
    found = [(contest, verdict) for contest in contests for verdict in verdicts(contest)]
    lines = "\n".join(_line(contest, verdict) for contest, verdict in found)
    parts.append(f"## Goals\n\n{_tally([verdict for _, verdict in found])}\n\n```\n{lines}\n```")
    return "\n\n".join(parts) + "\n"


def missed(contest: Contest) -> list[str]:
    return [verdict.goal for verdict in verdicts(contest) if not verdict.passed]


def _table(contests: Sequence[Contest]) -> str:
    rows = [COLUMNS, *[_row(contest) for contest in contests]]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    lines = ["| " + " | ".join(_padded(row, widths)) + " |" for row in rows]
    rule = "|" + "|".join("-" * (width + 1) + ("-" if at == 0 else ":") for at, width in enumerate(widths)) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _padded(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    first, *others = zip(row, widths, strict=True)
    return [first[0].ljust(first[1]), *[cell.rjust(width) for cell, width in others]]


def _row(contest: Contest) -> tuple[str, ...]:
    runners = (contest.ours, best_peer(contest), contest.clairvoyant)
    return (
        contest.workload + ("" if contest.learnable is not False else " *"),
        *[f"{100 * runner.late:.2f}" for runner in runners],
        *[_seconds(runner) for runner in runners],
        *[f"{runner.hours:.0f}" for runner in runners],
        f"{contest.hours_ratio:.2f}",
        f"{contest.ours.mean('reversals_per_day'):.1f}",
        f"{contest.ours.mean('undone'):.1f}",
        str(len(contest.not_dearer)),
        ", ".join(missed(contest)) or "-",
    )


def _seconds(runner: Runner) -> str:
    p99_s = runner.mean("p99_delay_s")
    return f"{p99_s:.0f}" if math.isfinite(p99_s) else "never"


def _line(contest: Contest, verdict: Verdict) -> str:
    word = "PASS" if verdict.passed else "FAIL"
    condition = " (if its load is learnable)" if verdict.conditional else ""
    return f"{word}  {contest.workload} at {contest.cold_start_s:.0f} s, {verdict.goal}{condition}: {verdict.told}"


def _tally(found: Sequence[Verdict]) -> str:
    return "\n".join(f"* {goal}: reached in {reached} of {of}" for goal, (reached, of) in tally(found).items())


LEGEND = (
    "Hours are instance-hours over the whole workload; means over the seeds. Best peer: the point that is least late "
    "for no more hours than ours; where there is none, the cheapest that is no later. Limit: the clairvoyant. Ratio: "
    "our hours to the limit's. Points: how many of the peers' grid points use no more hours than ours. A workload with "
    "* is not learnable. p99 `never`: more than one in a hundred items was not done at the end."
)
