"""Which secrets the app uses, and what people were told of each: names, never values.

Processes share no memory, and the one that looks after expiry may have used none of them itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from shared.records.codec import Codec
from shared.records.keys import encode_key, join_key
from shared.records.rows import value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperSecretUses"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretUse:
    """A secret, the day of its last use (the first moment of it that was seen), and what was last told of it."""

    name: str
    used_at: datetime
    told: str = ""


class SecretUses:
    """One partition a vault. Names are compared without regard to letter case, as vaults do."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def note(self, vault: str, name: str, now: datetime) -> None:
        """The secret is in use today."""

        def used(before: SecretUse | None) -> SecretUse:
            if before is None:
                return SecretUse(name=name, used_at=now)
            return before if before.used_at.date() == now.date() else replace(before, used_at=now)

        await self._change(vault, name, used)

    async def told(self, vault: str, name: str) -> str:
        """What people were last told of a secret, "" for nothing."""
        row = await self._table.get(encode_key(vault.lower()), join_key(name.lower()))
        return "" if row is None else _USE.decode(value_text(row)).told

    async def tell(self, vault: str, name: str, told: str, now: datetime) -> None:
        """Keep what people were told, after they were."""
        await self._change(
            vault,
            name,
            lambda before: replace(before or SecretUse(name=name, used_at=now), told=told),
        )

    async def since(self, vault: str, since: datetime) -> tuple[SecretUse, ...]:
        """The secrets that were used since then, by name."""
        rows = self._table.query("PartitionKey eq @partition", {"partition": encode_key(vault.lower())})
        uses = [_USE.decode(value_text(row)) async for row in rows]
        return tuple(use for use in uses if use.used_at >= since)

    async def _change(self, vault: str, name: str, change: Callable[[SecretUse | None], SecretUse]) -> None:
        await swap(self._table, encode_key(vault.lower()), join_key(name.lower()), _USE, change, again_if_lost=True)

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)


_USE = Codec(SecretUse)
