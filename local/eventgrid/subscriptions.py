"""Event subscriptions: where a topic's events go, under which rules, and the record of what was delivered."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from local.eventgrid.events import Event, Schema, in_schema, timestamp, type_of


class State(StrEnum):
    """The provisioning state of a subscription; events flow in SUCCEEDED only."""

    CREATING = "Creating"
    AWAITING_MANUAL_ACTION = "AwaitingManualAction"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An HTTP endpoint, such as `/runtime/webhooks/EventGrid?functionName=X&code=KEY` of the local host."""

    url: str = field(repr=False)  # its query may carry a key


@dataclass(frozen=True, slots=True)
class ServiceBusQueue:
    """A queue of the namespace that the `send` callable of `EventGrid` stands for."""

    queue: str


@dataclass(frozen=True, slots=True)
class Disorder:
    """How badly an at-least-once, unordered service behaves today: shares of events, 0 to 1."""

    duplicate: float = 0.0
    reorder: float = 0.0
    hold_s: float = 5.0
    """An event that is to be overtaken waits a random time up to this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One attempt to deliver one event."""

    event_id: str
    event_type: str
    attempt: int
    """From 1."""
    at: datetime
    status: int | None
    """HTTP status; 200 for an accepted message; None without an answer."""
    outcome: str
    """Event Grid's word for it: Delivered, Busy, TimedOut, SocketError, Unauthorized, ..."""

    @property
    def delivered(self) -> bool:
        return self.outcome == "Delivered"


@dataclass(kw_only=True, eq=False)
class EventSubscription:
    """Rules as in Azure, with its defaults; below them what has happened so far."""

    name: str
    destination: Webhook | ServiceBusQueue
    schema: Schema = Schema.EVENT_GRID
    event_types: frozenset[str] | None = None
    """None: all types."""
    max_attempts: int = 30
    ttl_s: float = 1440 * 60.0
    dead_lettering: bool = False
    disorder: Disorder = Disorder()

    state: State = State.CREATING
    problem: str = ""
    """Why the state is FAILED or AWAITING_MANUAL_ACTION."""
    deliveries: list[Delivery] = field(default_factory=list)
    dead_letters: list[Event] = field(default_factory=list)
    """Events given up, as Event Grid writes them to a blob: with reason, attempts, last outcome."""
    dropped: list[Event] = field(default_factory=list)
    """The same, for a subscription without dead-lettering: Azure would have lost them."""
    pending: int = 0
    """Copies of events under delivery, or waiting for their next attempt."""

    def wants(self, event: Event) -> bool:
        return self.state is State.SUCCEEDED and (self.event_types is None or type_of(event) in self.event_types)

    def bury(self, event: Event, reason: str, published_at: datetime, attempts: list[Delivery]) -> None:
        """Give the event up: to the dead letters, or dropped where there are none."""
        facts = {
            "deadLetterReason": reason,
            "deliveryAttempts": len(attempts),
            "lastDeliveryOutcome": attempts[-1].outcome if attempts else "",
            "publishTime": timestamp(published_at),
            "lastDeliveryAttemptTime": timestamp(attempts[-1].at) if attempts else "",
        }
        if self.schema is Schema.CLOUD_EVENTS:
            facts = {name.lower(): value for name, value in facts.items()}
        kept = self.dead_letters if self.dead_lettering else self.dropped
        kept.append({**in_schema(event, self.schema), **facts})
