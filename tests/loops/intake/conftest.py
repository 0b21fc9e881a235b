"""Processes over the tables and blobs of the test, each with an intake of its own."""

import uuid
from typing import TYPE_CHECKING, Any, cast

import pytest

from shared.loops.intake import Intake
from shared.records import Ledger, Tables
from shared.records.blobs import Blobs
from shared.records.claims import Claims
from shared.records.quarantine import Quarantine
from shared.records.signals import SignalKinds
from tests.loops.intake.builders import Clock, Loops, Process, no_wait
from tests.loops.mortal_tables import Life, MortalTables

if TYPE_CHECKING:
    from shared.loops.engine import Engine


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def process(tables: Tables, blobs: Blobs, clock: Clock) -> Process:
    """A process with an intake of its own."""

    def make(loops: Loops, life: Life | None = None, store: Tables | None = None, **more: Any) -> Intake:
        used = cast("Tables", MortalTables(store or tables, life or Life()))
        fields: dict[str, Any] = {
            "engine": cast("Engine", loops),
            "ledger": Ledger(used),
            "claims": Claims(used),
            "quarantine": Quarantine(used, blobs),
            "kinds": SignalKinds(used),
            "listeners": (),
            "owner": uuid.uuid4().hex,
            "now": clock,
            "sleep": no_wait,
        }
        return Intake(**fields | more)

    return make
