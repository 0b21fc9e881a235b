"""The chain of the ledger: each entry of an endpoint's day carries the hash of the one before it. Pure.

Rows of a partition (`<day>,<endpoint key>`): `e,<sequence>` the entries, `i,<id>` where the entry of an id is, `h` the
head: the last entry's sequence and hash. A row's hash is SHA-256 over the canonical text of its `Link`, as stored. So a
changed, missing or inserted row shows (see `verification`), unless everything after it and the head are rewritten too:
whoever must exclude that keeps each day's export out of reach of those who may write to the storage account.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import JsonValue

from shared.records.codec import Codec
from shared.records.errors import CorruptRow, NotStorable, SchemaTooNew
from shared.records.keys import join_key, prefix_range
from shared.records.rows import LAYOUT_VERSION, Column, Entity, check_layout, value_columns, value_text

EntryKind = Literal["decision", "outcome", "notice", "control", "signal", "approval"]

GENESIS = "0" * 64
"""What the first entry of an endpoint's day names as the hash before it."""

HEAD_ROW = "h"
_ENTRY = "e"
_INDEX = "i"


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One thing that was decided, came out, was noticed or was switched, never a secret.

    `id` is unique and starts with the UTC day and "T" (`20260105T...`), the day of `at`. `endpoint_key` is "" for what
    concerns no single endpoint; `target` and `loop` are "" where they do not apply. `body` is JSON: domain values as
    `codec.to_plain` gives them, so that they can be read back by any later release; what it holds in `found_by` (texts
    by name) can be asked for.
    """

    id: str
    kind: EntryKind
    at: datetime
    endpoint_key: str
    target: str
    loop: str
    summary: str
    body: Mapping[str, JsonValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError(f"entry {self.id!r}: at {self.at.isoformat()} has no time zone")
        if not self.id.startswith(f"{self.day:%Y%m%d}T"):
            raise ValueError(f"entry id {self.id!r} must start with the UTC day of its time: {self.day:%Y%m%d}T...")
        try:
            json.dumps(self.body, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise NotStorable(f"entry {self.id!r}: its body is not JSON ({error}): use codec.to_plain") from error

    @property
    def day(self) -> date:
        return self.at.astimezone(UTC).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An entry in its place."""

    sequence: int
    previous_hash: str
    entry: LedgerEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry(LedgerEntry):
    """An entry as the ledger holds it: `sequence` counts from 1 in its endpoint's day; hashes are hexadecimal."""

    sequence: int
    previous_hash: str
    row_hash: str


LINK = Codec(Link)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The last link of a chain; `etag` "" and sequence 0 where there is none yet.

    `removed_to` is the file that holds the entries since retention took them out of the table, "" while they are there.
    """

    sequence: int = 0
    row_hash: str = GENESIS
    etag: str = ""
    removed_to: str = ""


def partition_key(day: date, endpoint_key: str) -> str:
    """Day first, so that a range of days is a range of partitions."""
    return join_key(f"{day:%Y%m%d}", endpoint_key)


def day_range(first: date, last: date) -> tuple[str, str]:
    """`(first, after)`: the range of partition keys of the days from `first` to `last`, whatever the endpoint."""
    return join_key(f"{first:%Y%m%d}", ""), prefix_range(join_key(f"{last:%Y%m%d}", ""))[1]


def index_row(entry_id: str) -> str:
    return join_key(_INDEX, entry_id)


def entry_row(sequence: int) -> str:
    """In the order of sequences as text too."""
    return join_key(_ENTRY, f"{sequence:08}")


def entry_rows() -> tuple[str, str]:
    """`(first, after)`: the range of row keys of entries."""
    return prefix_range(join_key(_ENTRY, ""))


def time_text(at: datetime) -> str:
    """In the order of times as text too."""
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%fZ}"


def next_rows(head: Head, entry: LedgerEntry) -> tuple[Entity, Entity, Entity]:
    """The rows that append `entry` behind `head`: the entry's, its index row, and the head that replaces `head`."""
    sequence = head.sequence + 1
    link = Link(sequence=sequence, previous_hash=head.row_hash, entry=entry)
    text = LINK.encode(link)
    row_hash = hash_text(text)
    partition = partition_key(entry.day, entry.endpoint_key)
    columns = {**value_columns(text), **filter_columns(entry), "row_hash": row_hash}
    place: dict[str, Column] = {"schema": LAYOUT_VERSION, "sequence": sequence}
    return (
        Entity(partition=partition, row=entry_row(sequence), columns=columns),
        Entity(partition=partition, row=index_row(entry.id), columns=place),
        Entity(partition=partition, row=HEAD_ROW, columns={**place, "row_hash": row_hash}, etag=head.etag),
    )


def read_head(entity: Entity | None) -> Head:
    if entity is None:
        return Head()
    check_layout(entity)
    sequence, row_hash = entity.columns.get("sequence"), entity.columns.get("row_hash")
    if not isinstance(sequence, int) or not isinstance(row_hash, str):
        raise CorruptRow(f"the head of {entity.partition} was changed: verify that day of the ledger")
    removed_to = str(entity.columns.get("removed_to", ""))
    return Head(sequence=sequence, row_hash=row_hash, etag=entity.etag, removed_to=removed_to)


def is_removed(entity: Entity) -> bool:
    """Whether the head says that retention took its entries."""
    return bool(entity.columns.get("removed_to"))


def removed_head(entity: Entity, file: str) -> Entity:
    """The head's row once its entries are in `file` and leave the table."""
    return replace(entity, columns={**entity.columns, "removed_to": file})


def read_entry(entity: Entity) -> StoredEntry:
    """The entry of an entry row. Raises SchemaTooNew or CorruptRow, naming the row."""
    try:
        link = LINK.decode(value_text(entity))
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"row {entity.row} of {entity.partition}: {error}") from error
    entry = {member.name: getattr(link.entry, member.name) for member in fields(LedgerEntry)}
    row_hash = str(entity.columns.get("row_hash", ""))
    return StoredEntry(**entry, sequence=link.sequence, previous_hash=link.previous_hash, row_hash=row_hash)


def hash_text(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def filter_columns(entry: LedgerEntry) -> dict[str, Column]:
    """What queries filter and sort by: the texts in `found_by` of a body too, as columns `by_<name>`."""
    columns: dict[str, Column] = {
        "at": time_text(entry.at),
        "kind": entry.kind,
        "target": entry.target,
        "loop": entry.loop,
    }
    words = entry.body.get("found_by")
    if isinstance(words, dict):
        columns |= {f"by_{name}": word for name, word in words.items() if isinstance(word, str)}
    return columns
