"""Checks the lines of an exported day: every chain whole, from its first entry to its head. Pure."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

from shared.records.chain import GENESIS, LINK, Head, Link, hash_text
from shared.records.codec import canonical_json
from shared.records.errors import CorruptRow, SchemaTooNew


def problems_of_file(day: date | None, lines: Iterable[str], heads: Mapping[str, Head] | None = None) -> list[str]:
    """What is wrong, a sentence each. `day` None: any. `heads` (endpoint -> head): what the chains must end with."""
    found: list[str] = []
    chains: dict[tuple[date, str], list[tuple[Link, str]]] = defaultdict(list)
    for number, line in enumerate(lines, start=1):
        try:
            link, row_hash = read_line(line)
        except (CorruptRow, SchemaTooNew) as error:
            found.append(f"line {number}: {error}")
            continue
        if day is not None and link.entry.day != day:
            found.append(f"line {number}: {link.entry.id} is of {link.entry.day}, not of {day}")
        chains[link.entry.day, link.entry.endpoint_key].append((link, row_hash))
    for (_, endpoint), links in chains.items():
        found += _broken(endpoint, links)
    if heads is not None:
        ends = {endpoint: (links[-1][0].sequence, links[-1][1]) for (_, endpoint), links in chains.items()}
        found += _other_heads(ends, heads)
    return found


def lines_of(text: str) -> list[str]:
    """The lines of an export. Only a line feed ends one: texts in it may hold what Unicode calls a line separator."""
    return text.removesuffix("\n").split("\n") if text else []


def read_line(line: str) -> tuple[Link, str]:
    """The link of a line and its hash.

    Raises:
        CorruptRow: it is not a line of an export, or was changed.
        SchemaTooNew: a newer release wrote it.
    """
    try:
        plain = json.loads(line)
    except ValueError as error:
        raise CorruptRow(f"it is not JSON: {error}") from error
    row_hash = plain.pop("row_hash", None) if isinstance(plain, dict) else None
    if not isinstance(row_hash, str):
        raise CorruptRow("it has no row_hash: it is not a line of the ledger's export")
    if hash_text(canonical_json(plain)) != row_hash:
        raise CorruptRow("it was changed: it does not have the hash that it was stored with")
    return LINK.from_plain(plain), row_hash


def _broken(endpoint: str, links: list[tuple[Link, str]]) -> list[str]:
    found = []
    expected_sequence, expected_hash = 1, GENESIS
    for link, row_hash in links:
        name = f"entry {link.sequence} ({link.entry.id}) of {endpoint or 'no endpoint'}"
        if link.sequence != expected_sequence:
            found.append(f"{name} stands where entry {expected_sequence} should: some are missing or out of order")
        elif link.previous_hash != expected_hash:
            found.append(f"{name} does not continue the entry before it: one was replaced")
        expected_sequence, expected_hash = link.sequence + 1, row_hash
    return found


def _other_heads(ends: Mapping[str, tuple[int, str]], heads: Mapping[str, Head]) -> list[str]:
    found = []
    for endpoint in sorted(ends.keys() | heads.keys()):
        head = heads.get(endpoint, Head())
        if ends.get(endpoint, (0, GENESIS)) != (head.sequence, head.row_hash):
            name = endpoint or "no endpoint"
            last = ends.get(endpoint, (0, GENESIS))[0]
            found.append(f"the entries of {name} end with {last}; by the head it is {head.sequence}, or another hash")
    return found
