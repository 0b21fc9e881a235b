"""What users run around a queue: arrivals, a dispatcher, and the scoring instances that it calls. See README.md."""

from local.workload.arrivals import Arrivals, ArrivalsError, Outbox, Player, Surge
from local.workload.dispatcher import Dispatcher, DispatcherCounts, Inbox, Scorer, Work
from local.workload.in_process import DirectCalls, PoolScorer, QueueInbox, QueueOutbox
from local.workload.over_the_wire import HttpScorer, ServiceBusInbox, ServiceBusOutbox
from local.workload.scoring import Answer, Instance, ScoringEstate, ScoringPool, ServiceProfile
from local.workload.scoring_metrics import Emit, Habits

__all__ = [
    "Answer",
    "Arrivals",
    "ArrivalsError",
    "DirectCalls",
    "Dispatcher",
    "DispatcherCounts",
    "Emit",
    "Habits",
    "HttpScorer",
    "Inbox",
    "Instance",
    "Outbox",
    "Player",
    "PoolScorer",
    "QueueInbox",
    "QueueOutbox",
    "Scorer",
    "ScoringEstate",
    "ScoringPool",
    "ServiceBusInbox",
    "ServiceBusOutbox",
    "ServiceProfile",
    "Surge",
    "Work",
]
