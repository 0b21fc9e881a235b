"""How the tables of a task hub are written down: a JSON object and protobuf bytes a row, nothing that runs when read.

`history` and `inbox` are `HistoryChunk` messages. The inbox holds what an instance or entity has been sent and has not
finished with: what was being worked on when the host died is still in it.
"""

# mypy: allow-untyped-calls
# (protobuf carries no types)

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, NamedTuple

import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.testing.in_memory_backend import ActivityWorkItem, EntityState, OrchestrationInstance
from google.protobuf import json_format

from local.host.durable.hub import ArmedTimer, AwaitedChild, DelayedSignal


class Row(NamedTuple):
    fields: str
    history: bytes = b""
    inbox: bytes = b""


@dataclass(frozen=True)
class Codec[T]:
    encode: Callable[[T], Row]
    decode: Callable[[str, Row], T]


def _chunk(events: Iterable[pb.HistoryEvent]) -> bytes:
    return bytes(pb.HistoryChunk(events=events).SerializeToString())


def _events(data: bytes) -> list[pb.HistoryEvent]:
    return list(pb.HistoryChunk.FromString(data).events)


def _json(**fields: Any) -> str:
    return json.dumps(fields, default=datetime.isoformat)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _some_time(text: str) -> datetime:
    return datetime.fromisoformat(text)


_INSTANCE_FIELDS = (
    "name", "version", "input", "output", "custom_status", "created_at", "last_updated_at", "completed_at",
    "completion_token", "tags",
)  # fmt: skip


def _encode_instance(instance: OrchestrationInstance) -> Row:
    failure = instance.failure_details
    fields = _json(
        status=instance.status,
        failure=None if failure is None else json_format.MessageToDict(failure),
        **{name: getattr(instance, name) for name in _INSTANCE_FIELDS},
    )
    return Row(fields, _chunk(instance.history), _chunk([*instance.dispatched_events, *instance.pending_events]))


def _decode_instance(key: str, row: Row) -> OrchestrationInstance:
    fields = json.loads(row.fields)
    failure = fields["failure"]
    times = {
        "created_at": _some_time(fields["created_at"]),
        "last_updated_at": _some_time(fields["last_updated_at"]),
        "completed_at": _time(fields["completed_at"]),
    }
    return OrchestrationInstance(
        instance_id=key,
        status=fields["status"],
        failure_details=None if failure is None else json_format.ParseDict(failure, pb.TaskFailureDetails()),
        history=_events(row.history),
        pending_events=_events(row.inbox),
        **{name: fields[name] for name in _INSTANCE_FIELDS} | times,
    )


def _encode_entity(entity: EntityState) -> Row:
    fields = _json(
        state=entity.serialized_state,
        last_modified_at=entity.last_modified_at,
        locked_by=entity.locked_by,
        completion_token=entity.completion_token,
    )
    return Row(fields, inbox=_chunk([*entity.dispatched_operations, *entity.pending_operations]))


def _decode_entity(key: str, row: Row) -> EntityState:
    fields = json.loads(row.fields)
    return EntityState(
        instance_id=key,
        serialized_state=fields["state"],
        last_modified_at=_some_time(fields["last_modified_at"]),
        locked_by=fields["locked_by"],
        pending_operations=_events(row.inbox),
        completion_token=fields["completion_token"],
    )


def _decode_timer(_key: str, row: Row) -> ArmedTimer:
    fields = json.loads(row.fields)
    return ArmedTimer(**fields | {"fire_at": _some_time(fields["fire_at"])})


def _encode_signal(signal: DelayedSignal) -> Row:
    return Row(_json(entity_id=signal.entity_id, fire_at=signal.fire_at), inbox=_chunk([signal.event]))


def _decode_signal(_key: str, row: Row) -> DelayedSignal:
    fields = json.loads(row.fields)
    return DelayedSignal(fields["entity_id"], _events(row.inbox)[0], _some_time(fields["fire_at"]))


INSTANCE = Codec[OrchestrationInstance](_encode_instance, _decode_instance)
ENTITY = Codec[EntityState](_encode_entity, _decode_entity)
ACTIVITY = Codec[ActivityWorkItem](
    lambda item: Row(_json(**asdict(item))), lambda _, row: ActivityWorkItem(**json.loads(row.fields))
)
TIMER = Codec[ArmedTimer](lambda timer: Row(_json(**asdict(timer))), _decode_timer)
SIGNAL = Codec[DelayedSignal](_encode_signal, _decode_signal)
CHILD = Codec[AwaitedChild](
    lambda child: Row(_json(**asdict(child))), lambda _, row: AwaitedChild(**json.loads(row.fields))
)
START = Codec[datetime](
    lambda start_at: Row(_json(start_at=start_at)), lambda _, row: _some_time(json.loads(row.fields)["start_at"])
)
GENERATION = Codec[int](
    lambda token: Row(_json(first_token=token)), lambda _, row: int(json.loads(row.fields)["first_token"])
)
