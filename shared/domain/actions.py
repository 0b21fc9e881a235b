"""One change to one target, and what became of it."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.domain.intents import Dimension

ActionState = Literal["claimed", "sent", "accepted", "succeeded", "failed", "refused", "superseded"]
"""claimed: ours to send. sent: on its way, fate unknown until `accepted` or a read tells. The last four are ends."""

OutcomeKind = Literal["succeeded", "failed", "refused", "superseded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is now true: read back, not believed. `observed` is the capacity that was read, None if it could not be."""

    action_key: str
    target: str
    dimension: Dimension
    kind: OutcomeKind
    code: str
    reason: str
    to: int
    observed: int | None
    at: datetime
    sends: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One change: `target` from `current` to `to`.

    `key` is the idempotency key (the decision's id); `request_id` is sent as x-ms-client-request-id and stays the same
    when the identical request is repeated; `sends` counts the requests; `status_url` is where Azure reports the
    operation, "" if it named none. `setbacks` counts the changes of this target in a row that did not work, up to and
    including this one. `unknown_since`: since then nobody waits for an answer any more. `outcome` is what it came to,
    `recorded` once the ledger has it.
    """

    key: str
    target: str
    dimension: Dimension
    current: int
    to: int
    request_id: str
    state: ActionState
    claimed_at: datetime
    sends: int = 0
    sent_at: datetime | None = None
    accepted_at: datetime | None = None
    status_url: str = ""
    ended_at: datetime | None = None
    unknown_since: datetime | None = None
    outcome: Outcome | None = None
    recorded: bool = False
    setbacks: int = 0

    @property
    def is_in_flight(self) -> bool:
        """It may have taken effect, and is followed to its end."""
        return self.state in ("sent", "accepted")

    @property
    def is_unfinished(self) -> bool:
        """In flight, or over and not in the ledger yet."""
        return self.is_in_flight or (self.is_over and not self.recorded)

    @property
    def is_over(self) -> bool:
        return self.state in ("succeeded", "failed", "refused", "superseded")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The desired state of this deployment on this dimension waits to be carried out."""

    endpoint_key: str
    target: str
    dimension: Dimension
