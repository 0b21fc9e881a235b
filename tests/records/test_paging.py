"""Pages of the ledger: everything that matches, once, newest first."""

import asyncio
import base64
import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.records import EntryKind, InvalidCursor, InvalidQuestion, Ledger, LedgerEntry, StoredEntry
from tests.records.builders import ENDPOINT, NOW, entry

LATEST = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
# Minutes before LATEST: twice the same instant, both sides of midnight, quiet weeks between.
AGES_MIN = (1, 1, 1, 2, 59, 60, 61, 1439, 1440, 1441, 2880, 10_000, 10_001, 60_000, 60_000, 79_999)
KINDS: tuple[EntryKind, ...] = ("decision", "outcome", "notice", "control")
EVERYTHING = (LATEST - timedelta(days=100), LATEST + timedelta(minutes=1))


def written() -> list[LedgerEntry]:
    return [
        entry(
            number,
            at=LATEST - timedelta(minutes=age),
            endpoint_key=f"{ENDPOINT}-{number % 3}",
            target=f"target-{number % 2}",
            loop=("scaling", "budget")[number // 4 % 2],
            kind=KINDS[number % 4],
        )
        for number, age in enumerate(AGES_MIN * 2)
    ]


@pytest.fixture
async def stored(ledger: Ledger) -> list[StoredEntry]:
    by_endpoint = itertools.groupby(
        sorted(written(), key=lambda each: each.endpoint_key), lambda each: each.endpoint_key
    )

    async def append(entries: list[LedgerEntry]) -> list[StoredEntry]:
        return [await ledger.append(each) for each in entries]

    chains = await asyncio.gather(*(append(list(entries)) for _, entries in by_endpoint))
    return [each for chain in chains for each in chain]


async def pages(ledger: Ledger, since: datetime, until: datetime, limit: int, **filters: Any) -> list[StoredEntry]:
    found: list[StoredEntry] = []
    cursor: str | None = None
    while True:
        page = await ledger.query(since, until, limit=limit, cursor=cursor, **filters)
        assert len(page.entries) == limit or page.next_cursor is None
        found += page.entries
        cursor = page.next_cursor
        if cursor is None:
            return found
        assert page.entries


def matches(each: StoredEntry, since: datetime, until: datetime, filters: dict[str, Any]) -> bool:
    return since <= each.at < until and all(getattr(each, name) == value for name, value in filters.items())


FILTERS: tuple[dict[str, Any], ...] = (
    {},
    {"endpoint_key": f"{ENDPOINT}-1"},
    {"target": "target-0"},
    {"loop": "budget", "kind": "outcome"},
    {"kind": "control"},
    {"endpoint_key": f"{ENDPOINT}-2", "target": "target-1", "loop": "scaling"},
    {"endpoint_key": f"{ENDPOINT}-unknown"},
    {"target": "target"},
)


@pytest.mark.parametrize("filters", FILTERS, ids=str)
async def test_pages_of_any_size_hold_all_that_matches_once_newest_first(
    ledger: Ledger, stored: list[StoredEntry], filters: dict[str, Any]
) -> None:
    midnight = datetime(2026, 3, 1, tzinfo=UTC)
    ranges = (EVERYTHING, (LATEST - timedelta(days=2), LATEST), (midnight, midnight + timedelta(minutes=1)))
    for (since, until), limit in itertools.product(ranges, (1, 3, 7, 100)):
        if limit == 1 and since == EVERYTHING[0] and not filters:
            continue  # the same as with 3, only slow
        expected = [each for each in stored if matches(each, since, until, filters)]
        found = await pages(ledger, since, until, limit, **filters)
        assert sorted(each.id for each in found) == sorted(each.id for each in expected)
        assert [each.at for each in found] == sorted((each.at for each in expected), reverse=True)
        assert all(each in expected for each in found)


async def test_what_is_appended_while_pages_are_turned_disturbs_nothing(ledger: Ledger) -> None:
    first = [await ledger.append(entry(number)) for number in range(6)]
    page = await ledger.query(NOW, NOW + timedelta(hours=1), limit=3)
    await ledger.append(entry(50))
    rest = await ledger.query(NOW, NOW + timedelta(hours=1), limit=3, cursor=page.next_cursor)
    assert [*page.entries, *rest.entries] == first[::-1]
    assert rest.next_cursor is None


async def test_since_is_in_and_until_is_out(ledger: Ledger) -> None:
    stored = [await ledger.append(entry(number, at=NOW + timedelta(microseconds=number))) for number in range(3)]
    page = await ledger.query(stored[0].at, stored[2].at)
    assert page.entries == (stored[1], stored[0])


async def test_an_empty_ledger_has_an_empty_page(ledger: Ledger) -> None:
    page = await ledger.query(NOW - timedelta(days=400), NOW)
    assert (page.entries, page.next_cursor) == ((), None)


@pytest.mark.parametrize(
    ("since", "until", "limit", "words"),
    [
        (NOW, NOW, 50, "until must be later"),
        (NOW - timedelta(days=401), NOW, 50, "at most 400 days"),
        (NOW.replace(tzinfo=None), NOW, 50, "time zone"),
        (NOW - timedelta(days=1), NOW, 0, "1 to 500"),
        (NOW - timedelta(days=1), NOW, 501, "1 to 500"),
        (datetime.max.replace(tzinfo=UTC), NOW, 50, "until must be later"),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(
    ledger: Ledger, since: datetime, until: datetime, limit: int, words: str
) -> None:
    with pytest.raises(InvalidQuestion, match=words):
        await ledger.query(since, until, limit=limit)


def cursor_at(at: str) -> str:
    return base64.urlsafe_b64encode(json.dumps([at, "partition", "row"]).encode()).decode()


NAIVE, TOO_LATE = cursor_at("2026-01-05T12:00:00"), cursor_at("9999-12-31T23:59:59.999999Z")


@pytest.mark.parametrize("cursor", ["", "abc", "bnVsbA==", "WzEsMiwzXQ==", "W10=", "é", NAIVE, TOO_LATE])
async def test_a_foreign_cursor_is_refused(ledger: Ledger, cursor: str) -> None:
    with pytest.raises(InvalidCursor, match="next_cursor"):
        await ledger.query(NOW - timedelta(days=1), NOW, cursor=cursor)
