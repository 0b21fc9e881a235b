"""The words of Watchkeeper. Used everywhere, in code, ledger, logs, docs and screens, and meaning nothing else.

A Signal (what happened) comes in; each loop proposes an Intent (what it wants for one target on one dimension);
arbitration makes the Decision (what to do and why, and why the others lost); an Action (one change to one target) is
carried out; an Outcome (what is now true) is recorded. A Snapshot is what was seen, made of Measurements.

Standard library only: no SDK, no clock, no I/O.
"""

from shared.domain.actions import Action, ActionState, Order, Outcome, OutcomeKind
from shared.domain.decisions import Decision, Overruled, plan_hash
from shared.domain.ids import INSTANCES_PER_DEPLOYMENT, DeploymentId, InvalidResourceId, QueueId
from shared.domain.intents import Dimension, Intent, IntentKind, Source
from shared.domain.measurements import Fresh, Measurement, Missing, Stale, aged, is_fresh
from shared.domain.modes import Mode, most_cautious
from shared.domain.signals import Signal
from shared.domain.snapshots import ScalingMemory, ScalingSnapshot
from shared.domain.targets import TargetRecord

__all__ = [
    "INSTANCES_PER_DEPLOYMENT",
    "Action",
    "ActionState",
    "Decision",
    "DeploymentId",
    "Dimension",
    "Fresh",
    "Intent",
    "IntentKind",
    "InvalidResourceId",
    "Measurement",
    "Missing",
    "Mode",
    "Order",
    "Outcome",
    "OutcomeKind",
    "Overruled",
    "QueueId",
    "ScalingMemory",
    "ScalingSnapshot",
    "Signal",
    "Source",
    "Stale",
    "TargetRecord",
    "aged",
    "is_fresh",
    "most_cautious",
    "plan_hash",
]
