"""What a task hub must remember, as plain tables, so that one journal can keep all of it.

The stock backend keeps its instances and entities in dictionaries, and everything else (armed timers, unfinished
activities, waiting parents, delayed signals) in threads and closures, which no restart survives. Here each of these is
a row of a table; the backend works on the tables, and a journal may stand behind them.
"""

from dataclasses import dataclass, field
from datetime import datetime

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import ActivityWorkItem, EntityState, OrchestrationInstance

TERMINAL = (
    pb.ORCHESTRATION_STATUS_COMPLETED,
    pb.ORCHESTRATION_STATUS_FAILED,
    pb.ORCHESTRATION_STATUS_TERMINATED,
)


@dataclass(frozen=True)
class ArmedTimer:
    """A durable timer that has not fired. `token` is the completion token of the turn that created it."""

    instance_id: str
    token: int
    timer_id: int
    fire_at: datetime


@dataclass(frozen=True)
class AwaitedChild:
    """Who waits for a sub-orchestration: the parent, the token of the turn that started it, the task to complete."""

    parent_id: str
    token: int
    task_id: int


@dataclass(frozen=True)
class DelayedSignal:
    """An entity operation that is delivered at `fire_at`."""

    entity_id: str
    event: pb.HistoryEvent
    fire_at: datetime


@dataclass
class TaskHub:
    """All state of one task hub.

    `instances` and `entities` are keyed by their id, `children` by the child's instance id, `starts` (scheduled starts
    still in the future) and `generations` by instance id; `activities`, `timers` and `signals` by keys of the backend.
    A generation is the first completion token since the instance started or continued as new: tokens only grow, so a
    result with a lower one answers an execution that is over.
    """

    instances: dict[str, OrchestrationInstance] = field(default_factory=dict)
    entities: dict[str, EntityState] = field(default_factory=dict)
    activities: dict[str, ActivityWorkItem] = field(default_factory=dict)
    timers: dict[str, ArmedTimer] = field(default_factory=dict)
    signals: dict[str, DelayedSignal] = field(default_factory=dict)
    children: dict[str, AwaitedChild] = field(default_factory=dict)
    starts: dict[str, datetime] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)

    def next_token(self) -> int:
        """The lowest completion token that nothing here uses, nor used since its generation began."""
        used = [i.completion_token for i in self.instances.values()]
        used += [e.completion_token for e in self.entities.values()]
        used += [a.completion_token for a in self.activities.values()]
        return max([*used, *self.generations.values()], default=0) + 1
