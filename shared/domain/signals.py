"""What happened, as told by somebody else: a nudge to look, never a measurement."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One event or alert in our words.

    `id` and `source` together identify it (deliveries repeat). `kind` is the registered name of what happened, such as
    `servicebus.active_messages`; `subjects` are the resource ids that it speaks of, lower-cased; `fields` are further
    facts.
    """

    id: str
    source: str
    kind: str
    at: datetime
    subjects: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
