"""What Watchkeeper remembers, in Azure Tables of the app's own storage account.

`StateStore`: each endpoint's memory, intents, desired state and actions, compared and swapped by ETag. `ControlStore`:
pauses and kill switches. `Outbox`: what people must hear, until they have. `Ledger`: the append-only, hash-chained
record. `codec`: the domain's types as JSON that later releases can read. Importing this package imports nothing of
Azure: that happens when the first table is used.
"""

from shared.records.approvals import ApprovalPage, ApprovalStore
from shared.records.chain import EntryKind, LedgerEntry, StoredEntry
from shared.records.codec import decode, encode, from_plain, to_plain
from shared.records.controls import Controls, ControlStore, KillSwitch, Pause
from shared.records.errors import (
    AnswerLost,
    Conflict,
    CorruptRow,
    InvalidCursor,
    InvalidQuestion,
    NotStorable,
    RecordsError,
    SchemaTooNew,
    SettingsMissing,
)
from shared.records.ledger import Ledger
from shared.records.outbox import Outbox
from shared.records.paging import Page
from shared.records.state import EndpointState, LoadedStates, Row, StateStore
from shared.records.tables import Tables, open_tables

__all__ = [
    "AnswerLost",
    "ApprovalPage",
    "ApprovalStore",
    "Conflict",
    "ControlStore",
    "Controls",
    "CorruptRow",
    "EndpointState",
    "EntryKind",
    "InvalidCursor",
    "InvalidQuestion",
    "KillSwitch",
    "Ledger",
    "LedgerEntry",
    "LoadedStates",
    "NotStorable",
    "Outbox",
    "Page",
    "Pause",
    "RecordsError",
    "Row",
    "SchemaTooNew",
    "SettingsMissing",
    "StateStore",
    "StoredEntry",
    "Tables",
    "decode",
    "encode",
    "from_plain",
    "open_tables",
    "to_plain",
]
