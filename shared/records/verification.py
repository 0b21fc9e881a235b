"""Finds what was changed in the ledger behind its back. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date

from shared.records.chain import (
    GENESIS,
    HEAD_ROW,
    StoredEntry,
    entry_row,
    filter_columns,
    hash_text,
    index_row,
    is_removed,
    partition_key,
    read_entry,
    read_head,
)
from shared.records.errors import CorruptRow, SchemaTooNew
from shared.records.keys import split_key
from shared.records.rows import Entity, value_text


@dataclass(slots=True)
class _Rows:
    """The rows of one partition by what they are; index rows by their key."""

    entries: dict[int, Entity] = field(default_factory=dict)
    index: dict[str, Entity] = field(default_factory=dict)
    head: Entity | None = None
    strangers: list[str] = field(default_factory=list)


def problems(day: date, endpoint_key: str, rows: Iterable[Entity]) -> list[str]:
    """What is wrong with the rows of an endpoint's day, a sentence each; empty if its chain is whole."""
    sorted_rows = _sorted_rows(rows)
    found = [f"row {row} does not belong to a ledger" for row in sorted_rows.strangers]
    readable: dict[int, StoredEntry] = {}
    for sequence, entity in sorted_rows.entries.items():
        try:
            readable[sequence] = read_entry(entity)
        except (CorruptRow, SchemaTooNew) as error:
            found.append(f"entry {sequence} cannot be read: {error}")
            continue
        found += _changes(sequence, entity, readable[sequence], partition_key(day, endpoint_key))
    present = sorted_rows.entries.keys()
    if sorted_rows.head is not None and is_removed(sorted_rows.head):
        return found  # retention took the entries, or is taking them: the file that the head names is verified instead
    found += [f"entry {gap} is missing" for gap in range(1, max(present, default=0)) if gap not in present]
    found += _broken_links(readable)
    found += _index_problems(sorted_rows, readable)
    return found + _head_problems(sorted_rows)


def _sorted_rows(rows: Iterable[Entity]) -> _Rows:
    sorted_rows = _Rows()
    for entity in rows:
        match split_key(entity.row):
            case ("e", number) if number.isdecimal() and entity.row == entry_row(int(number)):
                sorted_rows.entries[int(number)] = entity
            case ("i", _):
                sorted_rows.index[entity.row] = entity
            case _ if entity.row == HEAD_ROW:
                sorted_rows.head = entity
            case _:
                sorted_rows.strangers.append(entity.row)
    return sorted_rows


def _changes(sequence: int, entity: Entity, entry: StoredEntry, partition: str) -> list[str]:
    name = f"entry {sequence} ({entry.id})"
    found = []
    if hash_text(value_text(entity)) != entry.row_hash:
        found.append(f"{name} was changed: it does not have the hash that it was stored with")
    if entry.sequence != sequence or partition_key(entry.day, entry.endpoint_key) != partition:
        found.append(f"{name} was moved: it says that it is entry {entry.sequence} of {entry.day} {entry.endpoint_key}")
    differing = [column for column, value in filter_columns(entry).items() if entity.columns.get(column) != value]
    if differing:
        found.append(f"{name} is found by wrong words: its columns {', '.join(differing)} were changed")
    return found


def _broken_links(entries: Mapping[int, StoredEntry]) -> list[str]:
    """An entry that does not name the hash of the entry before it (a missing one is told of elsewhere)."""
    found = []
    for sequence, entry in entries.items():
        before = entries.get(sequence - 1)
        expected = GENESIS if sequence == 1 else before and before.row_hash
        if expected is not None and entry.previous_hash != expected:
            found.append(f"entry {sequence} ({entry.id}) does not continue entry {sequence - 1}: one was replaced")
    return found


def _index_problems(rows: _Rows, readable: Mapping[int, StoredEntry]) -> list[str]:
    found = []
    places = {index_row(entry.id): sequence for sequence, entry in readable.items()}
    for row, sequence in places.items():
        indexed = rows.index.get(row)
        if indexed is None or indexed.columns.get("sequence") != sequence:
            found.append(f"the index does not lead from {readable[sequence].id} to entry {sequence}")
    for row, indexed in rows.index.items():
        if row not in places and indexed.columns.get("sequence") not in rows.entries:
            found.append(f"the index names {split_key(row)[1]}, which is gone")
    return found


def _head_problems(rows: _Rows) -> list[str]:
    last = max(rows.entries, default=0)
    if rows.head is None:
        return ["the head is missing"] if last or rows.index else []
    try:
        head = read_head(rows.head)
    except (CorruptRow, SchemaTooNew) as error:
        return [f"the head cannot be read: {error}"]
    if head.sequence != last:
        return [f"the head says that the last entry is {head.sequence}, but it is {last}"]
    if head.row_hash != rows.entries[last].columns.get("row_hash"):
        return [f"the head does not have the hash of entry {last}: one of them was changed"]
    return []
