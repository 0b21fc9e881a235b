"""The words of Watchkeeper. Used everywhere, in code, ledger, logs, docs and screens, and meaning nothing else.

A Signal (what happened) comes in; each loop proposes an Intent (what it wants for one target on one dimension);
arbitration makes the Decision (what to do and why, and why the others lost); an Action (one change to one target) is
carried out; an Outcome (what is now true) is recorded. A Snapshot is what was seen, made of Measurements.

Standard library only: no SDK, no clock, no I/O.
"""

from shared.domain.actions import Action, ActionState, Order, Outcome, OutcomeKind
from shared.domain.approvals import Answer, ApprovalRequest, ApprovalState, Ask, How, Requirement, Verdict
from shared.domain.decisions import Act, Decision, Overruled, act_of, plan_hash, traffic_hash
from shared.domain.deliveries import ChannelState, Delivery, DeliveryState, NoticeState
from shared.domain.entry_ids import entry_id
from shared.domain.forecasts import ArrivalMemory, Forecaster
from shared.domain.idle import IdleSpells
from shared.domain.ids import INSTANCES_PER_DEPLOYMENT, DeploymentId, InvalidResourceId, QueueId, WorkspaceId
from shared.domain.intents import Dimension, Intent, IntentKind, Source
from shared.domain.measurements import Fresh, Measurement, Missing, Stale, aged, is_fresh
from shared.domain.modes import Mode, most_cautious
from shared.domain.notices import Notice, NoticeKind, Severity
from shared.domain.scopes import Place
from shared.domain.shadow import Shadow, ShadowDay
from shared.domain.signals import Signal
from shared.domain.snapshots import ExpectedEffect, PendingOrder, ScalingMemory, ScalingSnapshot
from shared.domain.targets import TargetRecord

__all__ = [
    "INSTANCES_PER_DEPLOYMENT",
    "Act",
    "Action",
    "ActionState",
    "Answer",
    "ApprovalRequest",
    "ApprovalState",
    "ArrivalMemory",
    "Ask",
    "ChannelState",
    "Decision",
    "Delivery",
    "DeliveryState",
    "DeploymentId",
    "Dimension",
    "ExpectedEffect",
    "Forecaster",
    "Fresh",
    "How",
    "IdleSpells",
    "Intent",
    "IntentKind",
    "InvalidResourceId",
    "Measurement",
    "Missing",
    "Mode",
    "Notice",
    "NoticeKind",
    "NoticeState",
    "Order",
    "Outcome",
    "OutcomeKind",
    "Overruled",
    "PendingOrder",
    "Place",
    "QueueId",
    "Requirement",
    "ScalingMemory",
    "ScalingSnapshot",
    "Severity",
    "Shadow",
    "ShadowDay",
    "Signal",
    "Source",
    "Stale",
    "TargetRecord",
    "Verdict",
    "WorkspaceId",
    "act_of",
    "aged",
    "entry_id",
    "is_fresh",
    "most_cautious",
    "plan_hash",
    "traffic_hash",
]
