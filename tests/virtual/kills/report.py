"""What is written of kills: a line each, and a table over all of them."""

from collections import Counter
from collections.abc import Sequence

from tests.virtual.kills.run import Ran


def line_of(ran: Ran) -> str:
    """Scenario, moment, repetition, request, what came of it, separated by tabs."""
    point = ran.point
    result = "; ".join(ran.problems) or ("held" if ran.struck else "not hit")
    return "\t".join((point.scenario, point.moment, str(point.nth), point.request, f"{ran.took_s:.1f} s", result))


def table_of(ran: Sequence[Ran]) -> str:
    """Each request with its kills before and after its effect, in how many scenarios, and how many did not hold."""
    hits = Counter((one.point.request, one.point.moment) for one in ran if one.struck)
    failed = Counter(one.point.request for one in ran if one.problems)
    rows = ["| request | before | after | scenarios | did not hold |", "|---|---|---|---|---|"]
    for request in sorted({one.point.request for one in ran}):
        scenarios = len({one.point.scenario for one in ran if one.point.request == request})
        counts = f"{hits[request, 'before']} | {hits[request, 'after']} | {scenarios} | {failed[request]}"
        rows.append(f"| {request} | {counts} |")
    return "\n".join(rows)


def missed(ran: Sequence[Ran]) -> list[str]:
    """The requests that were not hit twice or more."""
    hits = Counter(one.point.request for one in ran if one.struck)
    return sorted({one.point.request for one in ran if hits[one.point.request] < 2})
