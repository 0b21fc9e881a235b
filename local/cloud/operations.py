"""Long-running operations as their status URL tells them, and the ways in which a test may want one to end."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from local.cloud.estate.resources import Deployment, Endpoint, stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How an operation ends, if not well: never, or with an error code after `after_s`."""

    kind: Literal["error", "never"] = "error"
    code: str = "InternalServerError"
    message: str = "The operation failed."
    after_s: float = 5.0

    def __post_init__(self) -> None:
        if self.kind not in ("error", "never"):
            raise ValueError(f"an outcome's kind is error or never, not {self.kind!r}")


@dataclass(eq=False, slots=True, kw_only=True)
class Operation:
    """One change under way.

    Attributes:
        capacity: what a deployment's sku.capacity is once the operation has succeeded.
        earliest_end: it does not end before.
        waits_for_instances: it ends when no instance is pending or draining any more.
    """

    id: str
    target: Deployment | Endpoint
    started_at: datetime
    earliest_end: datetime
    capacity: int | None = None
    waits_for_instances: bool = False
    status: Literal["InProgress", "Succeeded", "Failed"] = "InProgress"
    ended_at: datetime | None = None
    error: dict[str, Any] | None = None

    @property
    def running(self) -> bool:
        return self.status == "InProgress"

    def as_json(self) -> dict[str, Any]:
        """Source: ARM RPC "Asynchronous operations"; Azure ML's mfeOperationsStatus (facts/arm.md 1.4)."""
        document: dict[str, Any] = {"name": self.id, "status": self.status, "startTime": stamp(self.started_at)}
        if self.ended_at is not None:
            document["endTime"] = stamp(self.ended_at)
        if self.error is not None:
            document["error"] = self.error
        return document
