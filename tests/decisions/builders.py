"""Snapshots, policies and intents with plain values; a test names only what it is about."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.decisions.scaling import after_change, decide
from shared.domain import Decision, Fresh, Intent, Missing, ScalingMemory, ScalingSnapshot, Stale
from shared.policy import KnownRate, LearnedRate, Scaling

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
TARGET = (
    "/subscriptions/0f0e0d0c-0b0a-4908-8706-050403020100/resourcegroups/models/providers"
    "/microsoft.machinelearningservices/workspaces/lab/onlineendpoints/chat/deployments/blue"
)

KNOWN = KnownRate(per_instance_per_s=1.0)
LEARNED = LearnedRate(learn=True, prior_per_instance_per_s=1.0)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def fresh(value: float, at: datetime = NOW) -> Fresh:
    return Fresh(value=float(value), at=at, source="test")


def stale(value: float) -> Stale:
    return Stale(value=float(value), at=NOW - timedelta(hours=1), source="test")


def missing(reason: str = "metrics of westeurope could not be read: 503") -> Missing:
    return Missing(reason=reason, source="test")


def policy(**fields: Any) -> Scaling:
    """One message a second and instance, drained in five minutes, three minutes of cold start, quick to shrink."""
    usual: dict[str, Any] = {
        "min": 1,
        "max": 20,
        "drain_within_s": 300.0,
        "service_rate": KNOWN,
        "cold_start_s": 180.0,
        "scale_out_cooldown_s": 60.0,
        "scale_in_cooldown_s": 300.0,
        "scale_in_hold_s": 300.0,
        "not_capacity_bound_after_s": 300.0,
    }
    return Scaling(**usual | fields)


def snapshot(at: datetime = NOW, **fields: Any) -> ScalingSnapshot:
    """Two instances, both ready, and nothing to do. Numbers become Fresh measurements of `at`."""
    usual: dict[str, Any] = {
        "depth": 0,
        "arrivals_per_s": 0,
        "completions_per_s": 0,
        "capacity": 2,
        "quota_headroom": 40,
        "dead_letters": 0,
        "provisioning_state": "Succeeded",
    }
    given = usual | fields
    given.setdefault("ready", given["capacity"])
    measured: dict[str, Any] = {
        name: fresh(value, at) if isinstance(value, int | float) and name in _MEASURED else value
        for name, value in given.items()
    }
    return ScalingSnapshot(target=TARGET, taken_at=at, **measured)


_MEASURED = (
    "depth",
    "arrivals_per_s",
    "completions_per_s",
    "capacity",
    "ready",
    "quota_headroom",
    "dead_letters",
)


def wanted(seen: ScalingSnapshot, memory: ScalingMemory | None = None, rules: Scaling | None = None) -> Intent:
    """The one intent of a look at `seen.taken_at`."""
    (intent,), _ = decide(seen, memory or ScalingMemory(), rules or policy(), seen.taken_at)
    return intent


def decided(current: int, to: int, at: datetime = NOW) -> Decision:
    return Decision(
        id=f"{at:%Y%m%d}T000001-x",
        target=TARGET,
        dimension="capacity",
        current=current,
        to=to,
        rule="promise_at_risk",
        reason="a test",
        winner="scaling",
        policy_version="v",
        at=at,
    )


@dataclass(slots=True)
class Watch:
    """Looks at one target again and again and remembers; times are seconds after NOW."""

    rules: Scaling = field(default_factory=policy)
    memory: ScalingMemory = field(default_factory=ScalingMemory)

    def look(self, t: float, **fields: Any) -> Intent:
        at = later(t)
        (intent,), self.memory = decide(snapshot(at, **fields), self.memory, self.rules, at)
        return intent

    def looks(self, start: float, end: float, **fields: Any) -> list[Intent]:
        """One look every 15 s from start to end; metrics are of the last whole minute, as they come."""
        return [self.look(t, **fields) for t in range(int(start), int(end) + 1, 15)]

    def changed(self, t: float, current: int, to: int) -> None:
        self.memory = after_change(self.memory, decided(current, to, later(t)))
