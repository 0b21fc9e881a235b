"""What the gates remember, in one table that one query reads: exemptions, the changes of the hour, circuit breakers.

Like the controls it is read afresh for every act, and a row that cannot be read is an error: what we cannot read stops
the change instead of being overlooked.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from shared.records import breakers, changes_made, exemptions
from shared.records.breakers import Breaker, BreakerStore
from shared.records.changes_made import BudgetStore, ChangesMade
from shared.records.errors import CorruptRow, SchemaTooNew
from shared.records.exemptions import Exemption, Exemptions, ExemptionStore
from shared.records.keys import decode_key
from shared.records.rows import Entity

if TYPE_CHECKING:
    from shared.records.tables import Tables

TABLE = "WatchkeeperGates"


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecords:
    """All of it at one moment. `made` by budget, `breakers` by scope."""

    exemptions: Exemptions = field(default_factory=Exemptions)
    made: Mapping[str, ChangesMade] = field(default_factory=dict)
    breakers: Mapping[str, Breaker] = field(default_factory=dict)


class GateStore:
    """Reads everything; its parts write."""

    def __init__(self, tables: "Tables") -> None:
        self._tables = tables

    @property
    def exemptions(self) -> ExemptionStore:
        return ExemptionStore(self._tables.table(TABLE))

    @property
    def budgets(self) -> BudgetStore:
        return BudgetStore(self._tables.table(TABLE))

    @property
    def breakers(self) -> BreakerStore:
        return BreakerStore(self._tables.table(TABLE))

    async def load_for_acts(self) -> GateRecords:
        """What is stored now and can stop an act: without the breakers that are closed, of which every target that
        was ever changed has one.

        Raises:
            SchemaTooNew, CorruptRow: as `load`.
        """
        parameters = {"first": " ", "breakers": breakers.PARTITION, "closed": "closed"}
        return await self._load(
            "PartitionKey ge @first and (PartitionKey ne @breakers or state ne @closed )", parameters
        )

    async def load(self) -> GateRecords:
        """All that is stored now.

        Raises:
            SchemaTooNew, CorruptRow: a row that this release cannot read; the message names it.
        """
        return await self._load("PartitionKey ge @first", {"first": " "})

    async def _load(self, where: str, parameters: Mapping[str, str]) -> GateRecords:
        exempted: list[Exemption] = []
        made: dict[str, ChangesMade] = {}
        by_scope: dict[str, Breaker] = {}
        async for entity in self._tables.table(TABLE).query(where, parameters):
            try:
                match entity.partition:
                    case exemptions.PARTITION:
                        exempted.append(exemptions.read(entity))
                    case changes_made.PARTITION:
                        made[decode_key(entity.row)] = changes_made.read(entity)
                    case breakers.PARTITION:
                        breaker = breakers.read(entity)
                        by_scope[breaker.scope] = breaker
                    case _:
                        raise SchemaTooNew("it is of an unknown kind: deploy the release that wrote it")
            except (CorruptRow, SchemaTooNew) as error:
                raise type(error)(f"{_place(entity)}: {error}. Put, clear or reset it anew to repair it") from error
        return GateRecords(exemptions=Exemptions(tuple(exempted)), made=made, breakers=by_scope)


def _place(entity: Entity) -> str:
    return f"{entity.partition} {decode_key(entity.row)} in {TABLE}"
