"""What is kept of each endpoint between two looks: memory, live intents, desired state and the action in flight.

One partition an endpoint, so that one query reads all that arbitration needs. What several writers may want to change
(memory, desired state, action) is compared and swapped by ETag; an intent has one owner, its source, and is replaced.

Rows are `target,<target>`, `desired,<target>,<dimension>`, `action,<target>,<dimension>` and
`intent,<target>,<dimension>,<source>,<kind>`, with `,<holder>` at the end for an intent of a lease's holder (keys
encoded, see `keys`).
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast

from shared.domain import Action, Decision, Dimension, Intent, TargetRecord
from shared.records.codec import ACTION, DECISION, INTENT, TARGET_RECORD, Codec
from shared.records.errors import Conflict, CorruptRow, SchemaTooNew
from shared.records.keys import decode_key, encode_key, join_key, prefix_range, split_key
from shared.records.rows import Entity, value_columns, value_text

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from shared.records.table import Table
    from shared.records.tables import Tables

TABLE = "WatchkeeperState"
_CONCURRENT_LOADS = 16


@dataclass(frozen=True, slots=True)
class Row[T]:
    """A stored value; `etag` is what `StateStore.put_*` needs to replace exactly this one."""

    value: T
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointState:
    """All that is stored of one endpoint. Keys are deployment keys, or (deployment key, dimension)."""

    endpoint_key: str
    targets: Mapping[str, Row[TargetRecord]] = field(default_factory=dict)
    desired: Mapping[tuple[str, Dimension], Row[Decision]] = field(default_factory=dict)
    actions: Mapping[tuple[str, Dimension], Row[Action]] = field(default_factory=dict)
    intents: tuple[Row[Intent], ...] = ()


@dataclass(frozen=True, slots=True)
class LoadedStates:
    """Endpoint key -> its state, or the error that kept it from being read: unread is not empty."""

    states: Mapping[str, EndpointState]
    failures: Mapping[str, Exception]


class StateStore:
    """Reads and writes the state of endpoints."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    async def load(self, endpoint_key: str, now: datetime) -> EndpointState:
        """Everything of one endpoint, empty if nothing is stored. Expired intents are left out and removed.

        Raises:
            SchemaTooNew, CorruptRow: a row that this release cannot read; the message names it.
        """
        partition = _partition(endpoint_key)
        found = self._table.query("PartitionKey eq @partition", {"partition": partition})
        entities = [entity async for entity in found]
        state, expired = _state(endpoint_key, entities, now)
        for entity in expired:
            await self._prune(entity)
        return state

    async def load_many(self, endpoint_keys: Collection[str], now: datetime) -> LoadedStates:
        """`load` of each, sixteen at a time; one that fails keeps no other from being read."""
        slots = asyncio.Semaphore(_CONCURRENT_LOADS)

        async def load(endpoint_key: str) -> EndpointState:
            async with slots:
                return await self.load(endpoint_key, now)

        keys = list(dict.fromkeys(endpoint_keys))
        results = await asyncio.gather(*(load(key) for key in keys), return_exceptions=True)
        states: dict[str, EndpointState] = {}
        failures: dict[str, Exception] = {}
        for key, result in zip(keys, results, strict=True):
            if isinstance(result, EndpointState):
                states[key] = result
            elif isinstance(result, Exception):
                failures[key] = result
            else:
                raise result
        return LoadedStates(states, failures)

    async def load_all(self, now: datetime, *, page_rows: int | None = None) -> AsyncIterator[EndpointState]:
        """Every endpoint in the order of keys: a page of rows in memory at a time, removing nothing.

        Expired intents are left out.
        """
        partition = ""
        entities: list[Entity] = []
        first, after = prefix_range(encode_key("/"))
        every = "PartitionKey ge @first and PartitionKey lt @after"
        async for entity in self._table.query(every, {"first": first, "after": after}, page_rows=page_rows):
            if entity.partition != partition and entities:
                yield _state(decode_key(partition), entities, now)[0]
                entities = []
            partition = entity.partition
            entities.append(entity)
        if entities:
            yield _state(decode_key(partition), entities, now)[0]

    async def get_desired(self, endpoint_key: str, target: str, dimension: Dimension) -> Row[Decision] | None:
        return await self._get(DECISION, endpoint_key, "desired", target, dimension)

    async def get_action(self, endpoint_key: str, target: str, dimension: Dimension) -> Row[Action] | None:
        return await self._get(ACTION, endpoint_key, "action", target, dimension)

    async def put_target(self, endpoint_key: str, target: str, value: TargetRecord, etag: str | None) -> str:
        """Insert (`etag` None) or replace what was read with `etag`; the new ETag.

        Raises:
            Conflict: another writer was first; load again.
            AnswerLost: no answer, and no telling whether it arrived; load again.
        """
        return await self._swap(endpoint_key, TARGET_RECORD.encode(value), etag, "target", target)

    async def put_desired(
        self, endpoint_key: str, target: str, dimension: Dimension, value: Decision, etag: str | None
    ) -> str:
        """As `put_target`."""
        _check_owner(value, target, dimension)
        return await self._swap(endpoint_key, DECISION.encode(value), etag, "desired", target, dimension)

    async def put_action(
        self, endpoint_key: str, target: str, dimension: Dimension, value: Action, etag: str | None
    ) -> str:
        """As `put_target`."""
        _check_owner(value, target, dimension)
        return await self._swap(endpoint_key, ACTION.encode(value), etag, "action", target, dimension)

    async def put_intent(self, endpoint_key: str, intent: Intent) -> str:
        """Store the intent in the place of the same source's (and holder's) one of that kind, if any; its ETag."""
        return await self._table.put(_entity(endpoint_key, _intent_row(intent), INTENT.encode(intent)))

    async def remove_intent(self, endpoint_key: str, row: Row[Intent]) -> None:
        """Withdraw the intent that was read; one that is gone is no error.

        Raises:
            Conflict: its source has put another in its place since.
        """
        await self._table.delete(_partition(endpoint_key), _intent_row(row.value), row.etag)

    @property
    def _table(self) -> "Table":
        return self._tables.table(TABLE)

    async def _get[T: DataclassInstance](self, codec: Codec[T], endpoint_key: str, *row: str) -> Row[T] | None:
        entity = await self._table.get(_partition(endpoint_key), join_key(*row))
        return None if entity is None else _row(codec, entity)

    async def _swap(self, endpoint_key: str, text: str, etag: str | None, *row: str) -> str:
        entity = _entity(endpoint_key, join_key(*row), text)
        if etag is None:
            return await self._table.insert(entity)
        return await self._table.replace(entity, etag)

    async def _prune(self, expired: Entity) -> None:
        try:
            await self._table.delete(expired.partition, expired.row, expired.etag)
        except Conflict:
            return  # renewed since we read it


def _partition(endpoint_key: str) -> str:
    # Two spellings would be two partitions, each with half of the truth.
    if not endpoint_key.startswith("/") or endpoint_key != endpoint_key.lower():
        raise ValueError(f"{endpoint_key!r} is not an endpoint's key: give its lower-cased resource id")
    return join_key(endpoint_key)


def _intent_row(intent: Intent) -> str:
    holder = (intent.holder,) if intent.holder else ()
    return join_key("intent", intent.target, intent.dimension, intent.source, intent.kind, *holder)


def _entity(endpoint_key: str, row: str, text: str) -> Entity:
    return Entity(partition=_partition(endpoint_key), row=row, columns=value_columns(text))


def _check_owner(value: Decision | Action, target: str, dimension: Dimension) -> None:
    if (value.target, value.dimension) != (target, dimension):
        raise ValueError(f"it is of {value.dimension} of {value.target}, not of {dimension} of {target}")


def _state(endpoint_key: str, entities: Iterable[Entity], now: datetime) -> tuple[EndpointState, list[Entity]]:
    """The state that these rows are, and those of them that hold expired intents."""
    targets: dict[str, Row[TargetRecord]] = {}
    desired: dict[tuple[str, Dimension], Row[Decision]] = {}
    actions: dict[tuple[str, Dimension], Row[Action]] = {}
    intents: list[Row[Intent]] = []
    expired: list[Entity] = []
    for entity in entities:
        match split_key(entity.row):
            case ("target", target):
                targets[target] = _row(TARGET_RECORD, entity)
            case ("desired", target, dimension):
                desired[target, cast("Dimension", dimension)] = _row(DECISION, entity)
            case ("action", target, dimension):
                actions[target, cast("Dimension", dimension)] = _row(ACTION, entity)
            case ("intent", _, _, _, _) | ("intent", _, _, _, _, _):
                intent = _row(INTENT, entity)
                if intent.value.is_live(now):
                    intents.append(intent)
                else:
                    expired.append(entity)
            case _:
                # Overlooking what a newer release stores (such as a lease) could harm; not looking harms less.
                raise SchemaTooNew(f"{_place(entity)} is of an unknown kind: deploy the release that wrote it")
    state = EndpointState(
        endpoint_key=endpoint_key, targets=targets, desired=desired, actions=actions, intents=tuple(intents)
    )
    return state, expired


def _row[T: DataclassInstance](codec: Codec[T], entity: Entity) -> Row[T]:
    try:
        return Row(codec.decode(value_text(entity)), entity.etag)
    except (CorruptRow, SchemaTooNew) as error:
        raise type(error)(f"{_place(entity)}: {error}") from error


def _place(entity: Entity) -> str:
    return f"row {entity.row} of {decode_key(entity.partition)} in {TABLE}"
