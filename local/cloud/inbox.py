"""What reached people: mails, and what was posted to webhooks. For tests and the demo to read."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

KEPT = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One thing that a person got. `way` is mail, teams, slack or webhook; `address` a mail address or host and path.

    `id` is the sender's word for it: the operation of a mail, the Watchkeeper-Notice-Id header of a webhook.
    """

    at: datetime
    way: str
    address: str
    id: str
    body: Any

    def as_json(self) -> dict[str, Any]:
        shown = {"at": self.at.isoformat(), "way": self.way, "address": self.address, "id": self.id}
        return shown | {"body": self.body}


class Inbox:
    """Everything received, the oldest first; beyond `KEPT` the oldest are let go."""

    def __init__(self) -> None:
        self._received: list[Received] = []

    def add(self, received: Received) -> None:
        self._received.append(received)
        del self._received[:-KEPT]

    def __iter__(self) -> Iterator[Received]:
        return iter(list(self._received))

    def __len__(self) -> int:
        return len(self._received)

    def of(self, way: str, address: str = "") -> list[Received]:
        """What came by this way, to this address if one is given."""
        return [one for one in self if one.way == way and address in ("", one.address)]
