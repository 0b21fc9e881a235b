"""Whether a target is ready for `enforce`, from what its decisions would have come to while nobody acted on them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from shared.decisions.scaling.sizing import JUDGED_ENOUGH
from shared.domain import ShadowDay

type Verdict = Literal["ready", "not_yet", "no"]
type Finding = Literal["good", "too_early", "bad"]

# A week has each weekday once; a day counts that was watched for most of it.
DAYS_NEEDED = 7
# Of the hours with work, so many must keep the promise, and of the looks so many must have fresh data.
KEPT_SHARE = 0.95
FRESH_SHARE = 0.95
TOO_FEW_FRESH_SHARE = 0.8
# Of the reversals that would stop the target's shrinking if they went on all day.
CALM_SHARE = 0.5
# More would-be changes refused than this: the gates and the decision do not fit each other yet.
REFUSED_SHARE = 0.2
# A forecast that is on and usually off by more than this share of the load is not worth its trust.
FORECAST_OFF_SHARE = 0.5
# Of fewer hours with work than this nobody says that it will never do: the first are spent on what had piled up.
ENOUGH_HOURS = 24
# And of fewer looks, that the data will always be this bad: about half a day of them.
ENOUGH_LOOKS = 1000
_Z95 = 1.959964


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasted:
    """How well arrivals were foretold: `mode` of the policy, usual error and load in messages a second, how often."""

    mode: str
    error_per_s: float
    mean_per_s: float
    judged: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What is known of a target.

    `decisions` that would have changed something, and of those the ones that gates would have `refused`, by code.
    `shut` are the gates that are shut now (code -> remedy), `blind` says why nothing can be decided now ("": it can).
    `flapping_per_day`: with so many reversals a day the breaker would open.
    """

    days: Sequence[ShadowDay] = ()
    promise_s: float = 0.0
    decisions: int = 0
    refused: Mapping[str, int] = field(default_factory=dict)
    shut: Mapping[str, str] = field(default_factory=dict)
    blind: str = ""
    flapping_per_day: float = math.inf
    forecast: Forecasted | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing that must be right; `words` say what is, `remedy` what to do ("" where it is good)."""

    name: str
    finding: Finding
    words: str
    remedy: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readiness:
    """`kept_low` and `kept_high` bound the share of hours that keep the promise (95 % Wilson interval)."""

    verdict: Verdict
    kept_low: float
    kept_high: float
    checks: tuple[Check, ...]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """The 95 % interval of a share of which `successes` of `trials` were seen; all is possible without trials."""
    if trials <= 0:
        return 0.0, 1.0
    share, square = successes / trials, _Z95 * _Z95
    middle = (share + square / (2 * trials)) / (1 + square / trials)
    spread = share * (1 - share) / trials + square / (4 * trials * trials)
    half = _Z95 * math.sqrt(spread) / (1 + square / trials)
    return max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def judge(evidence: Evidence) -> Readiness:
    """The verdict: `no` if anything is bad, `not_yet` if anything is too early to say, else `ready`. Pure."""
    low, high = wilson(sum(day.kept for day in evidence.days), sum(day.hours for day in evidence.days))
    checks = tuple(_checks(evidence, low, high))
    findings = {check.finding for check in checks}
    verdict: Verdict = "no" if "bad" in findings else "not_yet" if "too_early" in findings else "ready"
    return Readiness(verdict=verdict, kept_low=low, kept_high=high, checks=checks)


def _checks(evidence: Evidence, low: float, high: float) -> Iterator[Check]:
    if evidence.blind:
        yield Check(name="sight", finding="bad", words=evidence.blind, remedy="Mend that first: nothing is decided.")
    yield _time_watched(evidence)
    yield _freshness(evidence)
    yield _promise(evidence, low, high)
    yield _calm(evidence)
    yield _gates(evidence)
    if evidence.forecast is not None:
        yield _forecast(evidence.forecast)


def _time_watched(evidence: Evidence) -> Check:
    days = [day for day in evidence.days if day.looks > 0]
    weekdays = {date.fromisoformat(day.day).weekday() for day in days}
    words = f"Watched on {len(days)} days, {len(weekdays)} of the 7 weekdays among them."
    if len(days) > DAYS_NEEDED and len(weekdays) == 7:  # the first and the last day are parts
        return Check(name="days", finding="good", words=words)
    remedy = f"Leave it in observe until it was watched for {DAYS_NEEDED} whole days, weekend included."
    return Check(name="days", finding="too_early", words=words, remedy=remedy)


def _freshness(evidence: Evidence) -> Check:
    looks, fresh = sum(day.looks for day in evidence.days), sum(day.fresh for day in evidence.days)
    if not looks:
        return Check(name="data", finding="too_early", words="Nobody has looked yet.", remedy="Set it to observe.")
    words = f"{_pct(fresh / looks)} of {looks} looks had fresh data."
    if fresh >= FRESH_SHARE * looks:
        return Check(name="data", finding="good", words=words)
    remedy = f"See which measurement is stale or missing (GET /api/targets/NAME), until {_pct(FRESH_SHARE)} are fresh."
    is_bad = fresh < TOO_FEW_FRESH_SHARE * looks and looks >= ENOUGH_LOOKS
    finding: Finding = "bad" if is_bad else "too_early"
    return Check(name="data", finding=finding, words=words, remedy=remedy)


def _promise(evidence: Evidence, low: float, high: float) -> Check:
    hours, kept = sum(day.hours for day in evidence.days), sum(day.kept for day in evidence.days)
    as_is = sum(day.kept_as_is for day in evidence.days)
    words = (
        f"With the instances that were decided, {kept} of {hours} hours with work would have kept the promise of "
        f"{evidence.promise_s:.0f} s (95 % sure: {_pct(low)} to {_pct(high)}); with those that there were, {as_is} did."
    )
    if low >= KEPT_SHARE:
        return Check(name="promise", finding="good", words=words)
    if high >= KEPT_SHARE or hours < ENOUGH_HOURS:
        remedy = f"Wait for more hours with work, until at least {_pct(KEPT_SHARE)} are certain."
        return Check(name="promise", finding="too_early", words=words, remedy=remedy)
    remedy = "Raise max, min or drain_within_s; POST /api/whatif shows what each would have done and cost."
    return Check(name="promise", finding="bad", words=words, remedy=remedy)


def _calm(evidence: Evidence) -> Check:
    days = max(1, len(evidence.days))
    changes, reversals = (sum(getattr(day, name) for day in evidence.days) for name in ("changes", "reversals"))
    words = f"{changes / days:.1f} changes and {reversals / days:.1f} reversals a day would have been made."
    if reversals <= CALM_SHARE * evidence.flapping_per_day * days:
        return Check(name="calm", finding="good", words=words)
    finding: Finding = "bad" if len(evidence.days) > DAYS_NEEDED else "too_early"
    return Check(name="calm", finding=finding, words=words, remedy="Raise scale_in_hold_s and scale_in_cooldown_s.")


def _gates(evidence: Evidence) -> Check:
    if evidence.shut:
        codes = ", ".join(evidence.shut)
        words = f"A change would be refused now: {codes}."
        return Check(name="gates", finding="too_early", words=words, remedy=" ".join(evidence.shut.values()))
    refused = sum(evidence.refused.values())
    codes = ", ".join(f"{code} ({count})" for code, count in sorted(evidence.refused.items()))
    words = f"{refused} of {evidence.decisions} changes would have been refused{f': {codes}' if codes else ''}."
    if refused <= REFUSED_SHARE * evidence.decisions:
        return Check(name="gates", finding="good", words=words)
    remedy = "See docs/codes.md for what each gate wants, and mend it or the policy."
    return Check(name="gates", finding="too_early", words=words, remedy=remedy)


def _forecast(forecast: Forecasted) -> Check:
    words = (
        f"The forecast is {forecast.mode}: off by {forecast.error_per_s:.3g}/s at a usual load of "
        f"{forecast.mean_per_s:.3g}/s, judged {forecast.judged} times."
    )
    if forecast.mode != "on":  # what is not used cannot do harm
        return Check(name="forecast", finding="good", words=words)
    if forecast.judged < JUDGED_ENOUGH:
        remedy = "Set forecast to shadow until it was judged more often."
        return Check(name="forecast", finding="too_early", words=words, remedy=remedy)
    if forecast.error_per_s > FORECAST_OFF_SHARE * forecast.mean_per_s:
        return Check(name="forecast", finding="bad", words=words, remedy="Set forecast to shadow or off.")
    return Check(name="forecast", finding="good", words=words)


def _pct(share: float) -> str:
    return f"{100 * share:.1f} %"
