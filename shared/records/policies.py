"""The last good version of every policy document, so that a process that starts while a newer one is bad has it too."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.policy.sources import PolicyText
from shared.records.codec import Codec
from shared.records.keys import join_key
from shared.records.rows import Entity, value_columns, value_text

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperPolicies"
_PARTITION = "last-good"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDocument:
    """A version of a document that was in force: `source` is its name for messages, `etag` that of its source."""

    source: str
    etag: str
    text: str
    at: datetime


class PolicyStore:
    """One row a document. Whoever finds a newer version good writes it; all write the same, so the last one counts."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def load(self) -> Mapping[str, PolicyText]:
        """All documents, by the name for messages.

        Raises:
            SchemaTooNew, CorruptRow: a row that this release cannot read; the message names it.
        """
        rows = self._table.query("PartitionKey eq @partition", {"partition": _PARTITION})
        kept = [_KEPT.decode(value_text(entity)) async for entity in rows]
        return {document.source: PolicyText(document.text, document.etag) for document in kept}

    async def keep(self, source: str, text: PolicyText, at: datetime) -> None:
        document = KeptDocument(source=source, etag=text.etag, text=text.text, at=at)
        columns = value_columns(_KEPT.encode(document))
        await self._table.put(Entity(partition=_PARTITION, row=join_key(source), columns=columns))

    async def forget(self, source: str) -> None:
        """The document is no more; one that was not kept is no error."""
        row = join_key(source)
        before = await self._table.get(_PARTITION, row)
        if before is not None:
            await self._table.delete(_PARTITION, row, before.etag)

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


_KEPT = Codec(KeptDocument)
