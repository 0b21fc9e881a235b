"""What a loop, a person or the platform wants for one target on one dimension."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Dimension = Literal["capacity", "traffic", "existence", "jobs"]
IntentKind = Literal["wish", "floor", "ceiling", "hold"]

Source = Literal["savings", "scaling", "budget", "platform", "rollout", "manual_change", "person"]
"""Who wants it; lowest precedence first (`shared/decisions/arbitration.py` says what that means)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wish (this value), a floor (not less), a ceiling (not more) or a hold (no change).

    `target` is a deployment's key (lower-cased resource id). `value` is in instances for capacity, None for a hold.
    `rule` is a stable code, `reason` a sentence for the person on call, `numbers` what the reason rests on.
    `expires_at` None: until it is withdrawn or replaced.
    """

    target: str
    dimension: Dimension
    kind: IntentKind
    source: Source
    rule: str
    reason: str
    at: datetime
    value: int | None = None
    expires_at: datetime | None = None
    numbers: Mapping[str, float] = field(default_factory=dict)

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at
