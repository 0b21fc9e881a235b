"""Where the app remembers, in one hand."""

from dataclasses import dataclass

from shared.people.door import Door
from shared.records.controls import ControlStore
from shared.records.gates import GateStore
from shared.records.ledger import Ledger
from shared.records.outbox import Outbox
from shared.records.progress import ProgressStore
from shared.records.state import StateStore
from shared.safety.approvals.desk import ApprovalDesk


@dataclass(frozen=True, slots=True)
class Stores:
    """Where the app remembers."""

    state: StateStore
    controls: ControlStore
    ledger: Ledger
    progress: ProgressStore
    outbox: Outbox
    approvals: ApprovalDesk
    gates: GateStore

    @property
    def door(self) -> Door:
        """By which people are told."""
        return Door(self.ledger, self.outbox)
