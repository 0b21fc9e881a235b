"""Every request that reached the local Azure: what tests count, and what a person reads when something went wrong."""

from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any


@dataclass(slots=True)
class RequestRecord:
    """One request.

    `effect_status` is what the service decided (None: it never got that far); `status` is what the caller was sent
    (None: not yet, or the answer was withheld). They differ only where a fault was injected.
    """

    number: int
    at: datetime
    host: str
    method: str
    path: str
    query: dict[str, str]
    client_request_id: str
    mutating: bool
    body: Any = None
    principal: str = ""
    status: int | None = None
    effect_status: int | None = None
    faults: list[str] = field(default_factory=list)

    @property
    def accepted(self) -> bool:
        """The service took it: a mutating request that is accepted has had its effect, whatever the caller was told."""
        return self.effect_status is not None and 200 <= self.effect_status < 300

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat(), "accepted": self.accepted}


class RequestLog:
    """The newest `size` requests; `dropped` says how many older ones were let go."""

    def __init__(self, size: int = 200_000) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=size)
        self._count = 0

    def add(self, record: RequestRecord) -> RequestRecord:
        self._records.append(record)
        self._count += 1
        return record

    @property
    def next_number(self) -> int:
        return self._count

    @property
    def dropped(self) -> int:
        return self._count - len(self._records)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def mutations(self) -> list[RequestRecord]:
        """Requests that would change something, refused ones included (see `accepted`)."""
        return [record for record in self if record.mutating]
