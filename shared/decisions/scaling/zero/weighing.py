"""Whether no instance at all would be worth it while nothing is to do: what it saves against what it does to people.

Azure ML keeps at least one instance of a deployment that exists, and deleting and restoring one is not built yet: the
decision says what zero would save, and never wishes it.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from shared.decisions.scaling.load import Load
from shared.decisions.scaling.schedule import next_begins_at
from shared.decisions.scaling.zero.idle import expected_s
from shared.domain import IdleSpells

if TYPE_CHECKING:
    from shared.policy.scaling import Scaling
    from shared.policy.zero import Zero

type Verdict = Literal["worth_it", "price_unknown", "data_incomplete", "too_short", "promise", "harm"]

# At zero, at least this many messages wait for the restoring: the one that ends the idleness.
FEWEST_LATE = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroCase:
    """What zero would bring, from now until the next message; times in seconds.

    `saves_usd` is what the instances cost in `expected_idle_s`, less the time in which they would be restored.
    `late_messages` would be later than promised, by up to `late_s`; `harm_usd` None if nobody said what one costs.
    """

    idle_s: float
    expected_idle_s: float
    saves_usd_per_day: float
    saves_usd: float
    late_messages: float
    late_s: float
    harm_usd: float | None
    verdict: Verdict

    @property
    def numbers(self) -> dict[str, float]:
        harm = {} if self.harm_usd is None else {"zero_harm_usd": self.harm_usd}
        return {
            "zero_saves_usd_per_day": self.saves_usd_per_day,
            "zero_saves_usd": self.saves_usd,
            "zero_expected_idle_s": self.expected_idle_s,
            "zero_late_messages": self.late_messages,
            "zero_worth_it": float(self.verdict == "worth_it"),
            **harm,
        }

    @property
    def sentence(self) -> str:
        if self.verdict == "price_unknown":
            return "Zero is allowed, but what it would save is not known: write price_usd_per_hour in the policy."
        if self.verdict == "data_incomplete":
            return "Zero is allowed, but is not thought of on incomplete data."
        idle, more = _hours(self.idle_s), _hours(self.expected_idle_s)
        would = f"Zero would save {self.saves_usd_per_day:.2f} USD a day (idle for {idle}, {more} more are expected)"
        messages = "at least one message" if self.late_messages <= 1 else f"about {self.late_messages:.0f} messages"
        late = f"{messages} would be late by up to {_hours(self.late_s)}"
        match self.verdict:
            case "too_short":
                return f"{would}, but instances would have to come back before it saved anything."
            case "promise":
                return f"{would}, but {late}. Write late_message_usd in the policy to weigh that."
            case "harm":
                return (
                    f"{would}, but {late}: {self.harm_usd or 0:.2f} USD, more than the {self.saves_usd:.2f} it saves."
                )
        return f"{would}: it is not done, because deleting and restoring a deployment is not built yet."


def weigh(
    policy: "Scaling", rules: "Zero", spells: IdleSpells, load: Load, price_usd_per_hour: float | None, now: datetime
) -> ZeroCase | None:
    """The case for zero by `rules`, None while there is something to do or it has not been idle for long enough."""
    if spells.idle_since is None or load.depth > 0 or load.arrivals_per_s > 0 or load.capacity < 1:
        return None
    idle_s = (now - spells.idle_since).total_seconds()
    if idle_s < rules.after_idle_s:
        return None
    expected_idle_s = expected_s(spells, idle_s)
    begins_at = next_begins_at(policy.schedule, now, expected_idle_s)
    if begins_at is not None:
        expected_idle_s = max(0.0, (begins_at - now).total_seconds())
    late_s = max(0.0, rules.restore_s - policy.drain_within_s)
    late_messages = max(FEWEST_LATE, (spells.wakes_per_s or 0.0) * late_s) if late_s > 0 else 0.0
    harm_usd = 0.0 if late_s <= 0 else _product(late_messages, rules.late_message_usd)
    per_hour = load.capacity * (price_usd_per_hour or 0.0)
    saves_usd = max(0.0, per_hour * (expected_idle_s - rules.restore_s) / 3600)
    return ZeroCase(
        idle_s=idle_s,
        expected_idle_s=expected_idle_s,
        saves_usd_per_day=24 * per_hour,
        saves_usd=saves_usd,
        late_messages=late_messages,
        late_s=late_s,
        harm_usd=harm_usd,
        verdict=_verdict(load, price_usd_per_hour, saves_usd, harm_usd),
    )


def waits(load: Load) -> bool:
    """Whether a deployment at zero must come back: as soon as one message waits or is known to arrive."""
    return load.depth > 0 or load.arrivals_per_s > 0


def _verdict(load: Load, price_usd_per_hour: float | None, saves_usd: float, harm_usd: float | None) -> Verdict:
    if load.doubts:
        return "data_incomplete"
    if price_usd_per_hour is None:
        return "price_unknown"
    if harm_usd is None:
        return "promise"
    if saves_usd <= 0:
        return "too_short"
    return "harm" if saves_usd <= harm_usd else "worth_it"


def _product(late_messages: float, late_message_usd: float | None) -> float | None:
    return None if late_message_usd is None else late_messages * late_message_usd


def _hours(seconds: float) -> str:
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
