"""What must be true after a storm: a sentence for each thing that is not."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from local.cloud.request_log import RequestRecord
from shared.records.claims import TABLE as CLAIMS
from tests.virtual.arena import Arena
from tests.virtual.storm.deliveries import Storm, number_of
from tests.virtual.storm.field import Standing

THROTTLED = 429

type Entry = Mapping[str, Any]
"""An entry of the ledger, as it is exported."""


async def damage(arena: Arena, field: Sequence[Standing], storm: Storm) -> list[str]:
    """Everything that is not as it must be."""
    lines = [line for day in _days(arena) async for line in arena.made.stores.ledger.export(day)]
    ledger: list[Entry] = [json.loads(line)["entry"] for line in lines]
    return [
        *_signals(ledger, storm),
        *_changes(arena.sent(), field),
        *_ends(arena, field),
        *_decisions(ledger, field),
        *_outcomes(ledger, field),
        *_told(ledger, field),
        *await _broken_chains(arena),
        *await _claims(arena, storm),
        *await _quarantine(arena),
    ]


def _signals(ledger: Sequence[Entry], storm: Storm) -> list[str]:
    counted = Counter(number_of(entry["body"]["signal"]["id"]) for entry in ledger if entry["kind"] == "signal")
    twice = {number: count for number, count in counted.items() if count > 1}
    missing = set(range(storm.distinct)) - counted.keys()
    return [
        *(f"signal {number} is in the ledger {count} times" for number, count in twice.items()),
        *(f"signal {number} is not in the ledger" for number in sorted(missing)),
    ]


def _changes(sent: Sequence[RequestRecord], field: Sequence[Standing]) -> list[str]:
    """One accepted request for each member that must change; what was not accepted was throttled, nothing else."""
    accepted: dict[str, list[int]] = defaultdict(list)
    found = []
    for record in sent:
        if record.accepted:
            accepted[record.path.lower()].append(int(record.body["sku"]["capacity"]))
        elif record.status != THROTTLED:
            found.append(f"{record.method} {record.path} was answered {record.status}: it should not have been sent")
    expected = {one.member.deployment_id.lower(): [one.ends_at] for one in field if one.changes}
    return found + [
        f"{path}: changes to {accepted.get(path, [])}, and not to {expected.get(path, [])}"
        for path in sorted(accepted.keys() | expected.keys())
        if accepted.get(path, []) != expected.get(path, [])
    ]


def _ends(arena: Arena, field: Sequence[Standing]) -> list[str]:
    estate = arena.world.cloud.estate
    capacities = {one: int(estate.deployment(one.member.deployment_id).body["sku"]["capacity"]) for one in field}
    return [
        f"{one.member.name} ({one.part}) has {capacity} instances, and not {one.ends_at}"
        for one, capacity in capacities.items()
        if capacity != one.ends_at
    ]


def _decisions(ledger: Sequence[Entry], field: Sequence[Standing]) -> list[str]:
    """One for each who must change, would change, or is refused; none for whom nothing is wanted. One more for each
    that the act refused because Azure throttled a read that it needs.
    """
    counted = Counter(entry["target"] for entry in ledger if entry["kind"] == "decision")
    again = Counter(entry["target"] for entry in ledger if _could_not_see(entry))
    # A look in bulk may not have seen yet what somebody did by hand: then the act sees it.
    right = {"observed": (1,), "killed": (1,), "set_by_hand": (0, 1)}
    return [
        f"{one.member.name} ({one.part}) was decided on {counted[one.member.name]} times"
        for one in field
        if counted[one.member.name] - again[one.member.name] not in right.get(one.part, (int(one.changes),))
    ]


def _outcomes(ledger: Sequence[Entry], field: Sequence[Standing]) -> list[str]:
    ends: dict[str, list[str]] = defaultdict(list)
    for entry in ledger:
        if entry["kind"] == "outcome" and not _could_not_see(entry):
            outcome = entry["body"]["outcome"]
            ends[entry["target"]].append(f"{outcome['kind']} ({outcome['code']})")
    return [
        f"{one.member.name} ({one.part}): outcomes {ends[one.member.name]}"
        for one in field
        if (one.changes and ends[one.member.name] != ["succeeded (verified)"])
        or (not one.changes and [end for end in ends[one.member.name] if not end.startswith("refused")])
    ]


def _could_not_see(entry: Entry) -> bool:
    """Whether the act refused to grow because it could not read the quota. The look that decided may take a quota that
    is minutes old; the act reads it afresh (`Preconditions._quota_allows`), and a storm's looks may have used up what
    Azure allows of such reads. Then nothing is sent, the target rests, and the next look decides the same again.
    """
    if entry["kind"] != "outcome":
        return False
    outcome = entry["body"]["outcome"]
    return (outcome["kind"], outcome["code"], outcome["sends"]) == ("refused", "quota_unknown", 0)


def _told(ledger: Sequence[Entry], field: Sequence[Standing]) -> list[str]:
    """People hear of what they can do something about, once; a storm by itself is no news."""
    heard = Counter((entry["target"], entry["body"]["notice"]["kind"]) for entry in ledger if entry["kind"] == "notice")
    news = {"busy": "promise_unkept", "set_by_hand": "manual_change"}
    expected = Counter((one.member.name, news[one.part]) for one in field if one.part in news)
    wrong = (heard - expected) | (expected - heard)
    return [f"{name}: {kind} was told {heard[name, kind]} times" for name, kind in sorted(wrong)]


async def _broken_chains(arena: Arena) -> list[str]:
    ledger = arena.made.stores.ledger
    return [
        f"{day} {endpoint}: {problem}"
        for day in _days(arena)
        for endpoint in await ledger.heads(day)
        for problem in await ledger.verify(day, endpoint)
    ]


async def _claims(arena: Arena, storm: Storm) -> list[str]:
    rows = arena.made.tables.table(CLAIMS).query("done ge @a", {"a": ""}, select=("PartitionKey", "RowKey", "done"))
    done = Counter([str(row.columns["done"]) async for row in rows])
    return [] if done == {"yes": storm.distinct} else [f"claims by done: {dict(done)}, and not {storm.distinct} yes"]


async def _quarantine(arena: Arena) -> list[str]:
    page = await arena.made.intake.quarantine.query()
    return [f"quarantined: {entry.reason}" for entry in page.entries]


def _days(arena: Arena) -> Iterator[date]:
    day: date = arena.opened_at.date()
    while day <= arena.clock.now().date():
        yield day
        day += timedelta(days=1)
