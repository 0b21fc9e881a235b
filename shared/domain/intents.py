"""What a loop, a person or the platform wants for one target on one dimension."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Dimension = Literal["capacity", "traffic", "existence", "jobs"]
IntentKind = Literal["wish", "floor", "ceiling", "hold", "lease"]

Source = Literal["savings", "scaling", "budget", "platform", "rollout", "manual_change", "person"]
"""Who wants it; lowest precedence first (`shared/decisions/arbitration.py` says what that means)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A wish (this value), a floor (not less), a ceiling (not more), a hold (no change) or a lease (I alone write).

    `target` is a key (lower-cased resource id): of a deployment for capacity and existence, of its endpoint for
    traffic, of a compute for jobs. `value` is in instances for capacity, in jobs for jobs, 1 or 0 for existence (kept
    or deleted), None for a hold and a lease. A wish for traffic has a `split` instead: deployment key -> percent of the
    requests, 100 in all; and it may say which capacity it `needs` first: deployment key -> instances that serve.
    `rule` is a stable code, `reason` a sentence for the person on call, `numbers` what the reason rests on.
    `expires_at` None: until it is withdrawn or replaced; a lease without an end is not granted.
    `holder` names the undertaking (a rollout, a retraining) that wants it: such an intent speaks only while that
    undertaking holds the lease. `undoes` is the decision whose change a person wants put back, "" for all else.
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
    holder: str = ""
    split: Mapping[str, int] = field(default_factory=dict)
    needs: Mapping[str, int] = field(default_factory=dict)
    undoes: str = ""

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at
