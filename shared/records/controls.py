"""What people switch off: pauses and kill switches, of everything, a loop, a project, a workspace or a target.

The act reads them fresh, right before each change: nothing here is cached, and a row that cannot be read is an error,
so that a switch which we cannot read stops the change instead of being overlooked.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.domain.scopes import SCOPE_FORMS, Place, is_scope, normal_scope
from shared.records.codec import Codec
from shared.records.errors import Conflict, CorruptRow, InvalidQuestion, SchemaTooNew
from shared.records.keys import decode_key, join_key
from shared.records.rows import Entity, value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperControls"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pause:
    """A person's hold on all that is in `scope`, until `expires_at` or, None, until it is cleared."""

    scope: str
    reason: str
    by: str
    at: datetime
    expires_at: datetime | None = None

    def __post_init__(self) -> None:
        _check_scope(self.scope)

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass(frozen=True, slots=True, kw_only=True)
class KillSwitch:
    """No change at all is made in `scope`, whatever was decided, until it is cleared."""

    scope: str
    reason: str
    by: str
    at: datetime

    def __post_init__(self) -> None:
        _check_scope(self.scope)


@dataclass(frozen=True, slots=True)
class Controls:
    """What is switched off at one moment, by scope."""

    pauses: Mapping[str, Pause]
    kill_switches: Mapping[str, KillSwitch]

    def pause_for(self, place: Place) -> Pause | None:
        """The pause that holds this place: the widest if there are several."""
        return place.widest(self.pauses)

    def kill_for(self, place: Place) -> KillSwitch | None:
        """The kill switch that stops this place: the widest if there are several."""
        return place.widest(self.kill_switches)


class ControlStore:
    """Reads and writes pauses and kill switches. Scopes are those of `shared.domain.scopes`."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def load(self, now: datetime) -> Controls:
        """What is switched off now, read afresh. Expired pauses are left out and removed.

        Raises:
            SchemaTooNew, CorruptRow: a row that this release cannot read; the message names it.
        """
        pauses: dict[str, Pause] = {}
        async for entity in self._rows("pause"):
            pause = _read(_PAUSE, entity)
            if pause.is_live(now):
                pauses[normal_scope(pause.scope)] = pause
            else:
                await self._remove_expired(entity)
        kill_switches = [_read(_KILL_SWITCH, entity) async for entity in self._rows("kill")]
        return Controls(pauses, {normal_scope(switch.scope): switch for switch in kill_switches})

    async def put_pause(self, pause: Pause) -> Pause | None:
        """Pause a scope; the pause whose place it takes, None if there was none (or none that can be read)."""
        return await self._change(_PAUSE, "pause", pause.scope, pause)

    async def clear_pause(self, scope: str) -> Pause | None:
        """Resume a scope; the pause that was there."""
        return await self._change(_PAUSE, "pause", scope, None)

    async def put_kill(self, kill_switch: KillSwitch) -> KillSwitch | None:
        """Stop all changes in a scope; the kill switch whose place it takes."""
        return await self._change(_KILL_SWITCH, "kill", kill_switch.scope, kill_switch)

    async def clear_kill(self, scope: str) -> KillSwitch | None:
        """Allow changes in a scope again; the kill switch that was there."""
        return await self._change(_KILL_SWITCH, "kill", scope, None)

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    def _rows(self, partition: str) -> AsyncIterator[Entity]:
        return self._table.query("PartitionKey eq @partition", {"partition": partition})

    async def _change[T: (Pause, KillSwitch)](
        self, codec: Codec[T], partition: str, scope: str, new: T | None
    ) -> T | None:
        """What was there before. What a person puts or clears takes effect even where it replaces a broken row."""
        _check_scope(scope)
        was: list[T | None] = [None]

        def change(old: T | None) -> T | None:
            was[0] = old
            return new

        await swap(self._table, partition, join_key(normal_scope(scope)), codec, change, mend=True)
        return was[0]

    async def _remove_expired(self, entity: Entity) -> None:
        try:
            await self._table.delete(entity.partition, entity.row, entity.etag)
        except Conflict:
            return  # renewed since we read it: the next reader sees it


_PAUSE = Codec(Pause)
_KILL_SWITCH = Codec(KillSwitch)


def _check_scope(scope: str) -> None:
    if not is_scope(scope):
        raise InvalidQuestion(f"scope {scope!r}: give {SCOPE_FORMS}")


def _read[T: (Pause, KillSwitch)](codec: Codec[T], entity: Entity) -> T:
    try:
        return codec.decode(value_text(entity))
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(
            f"{entity.partition} of {decode_key(entity.row)} in {TABLE}: {error}. Put or clear it anew to repair it"
        ) from error
