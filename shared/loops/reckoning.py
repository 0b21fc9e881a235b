"""A scaling decision in numbers: rates, forecast with its error, drain times and cost with and without the change."""

import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from shared.decisions.scaling.forecast.ahead import Forecast, forecast
from shared.decisions.scaling.load import Load, read_load, usual_horizon_s
from shared.decisions.scaling.sizing import drain_s
from shared.domain import Decision, Fresh, ScalingMemory, ScalingSnapshot, TargetRecord
from shared.policy import Scaling, Target
from shared.records.codec import from_plain
from shared.records.errors import CorruptRow, SchemaTooNew

Plain = dict[str, Any]


def reckoned(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, decision: Decision | None, now: datetime
) -> Plain | None:
    """What the decision reckoned with, for JSON; drain times in seconds (None: never), money in US dollars an hour.

    None where depth or capacity were not known, so that there was nothing to reckon. Without a decision, what there is
    counts as what will be.
    """
    if not isinstance(snapshot.depth, Fresh) or not isinstance(snapshot.capacity, Fresh):
        return None
    load, memory = read_load(snapshot, memory, policy, now)
    to = load.capacity if decision is None else decision.to
    without, changed = drain_s(load), drain_s(load, to, load.cold_start_s) if to > load.capacity else drain_s(load, to)
    money, told = _money(snapshot, policy, load.capacity, to), _forecast(load, memory, policy, now)
    return {
        "rates": {
            "arrivals_per_s": load.arrivals_per_s,
            "completions_per_s": load.completions_per_s,
            "service_rate_per_s": load.service_rate_per_s,
            "ready_can_serve_per_s": load.service_rate_per_s * load.ready,
        },
        "forecast": told,
        "drain_s": {
            "promised": policy.drain_within_s,
            "without_the_change": _finite(without),
            "with_the_change": _finite(changed),
        },
        "money": money,
        "effects": {"judged": memory.effects_judged, "off_by_share_of_the_promise": memory.effects_off},
        "in_words": _words(load, policy, to, (without, changed), told, money),
    }


def reckoned_entry(body: Mapping[str, Any]) -> Plain | None:
    """The same of a decision as the ledger has it; None where it is none of scaling or cannot be read again."""
    try:
        decision = from_plain(Decision, body["decision"])
        snapshot = from_plain(ScalingSnapshot, body["snapshot"])
        record = from_plain(TargetRecord, body["record"])
        policy = Target.model_validate(body["target"]).rules
    except (KeyError, CorruptRow, SchemaTooNew, ValidationError):
        return None
    if decision.dimension != "capacity":
        return None
    return reckoned(snapshot, record.scaling, policy, decision, decision.at)


def _forecast(load: Load, memory: ScalingMemory, policy: Scaling, now: datetime) -> Plain:
    """What the decision reckoned with for a cold start ahead; in shadow also what usual days say of it."""
    told = {"mode": policy.forecast, "in_s": load.cold_start_s, **_ahead(load.forecast, load.cold_start_s)}
    if policy.forecast != "shadow":
        return told
    stays_per_s, horizon_s = load.forecast.stays_per_s, usual_horizon_s(load.cold_start_s)
    usual = forecast(memory.arrivals, load.arrivals_per_s, stays_per_s, now, horizon_s, seasons=True)
    return {**told, "usual_days": {"source": usual.source, **_ahead(usual, load.cold_start_s)}}


def _ahead(found: Forecast, in_s: float) -> Plain:
    mean, high = found.at(in_s)
    return {"mean_per_s": mean, "high_per_s": high, "error_per_s": found.error_per_s, "judged": found.judged}


def price_source(policy: Scaling, price_usd_per_hour: float | None) -> str | None:
    """Whose word the price of an instance is; None where nobody knows it."""
    if price_usd_per_hour is None:
        return None
    return "policy" if policy.price_usd_per_hour is not None else "Azure ML size list"


def _money(snapshot: ScalingSnapshot, policy: Scaling, current: int, to: int) -> Plain | None:
    price = snapshot.price_usd_per_hour
    if price is None:
        return None
    return {
        "usd_per_instance_and_hour": price,
        "price_source": price_source(policy, price),
        "usd_per_hour_without_the_change": round(current * price, 4),
        "usd_per_hour_with_the_change": round(to * price, 4),
        "usd_per_hour_more": round((to - current) * price, 4),
    }


def _words(
    load: Load, policy: Scaling, to: int, drains_s: tuple[float, float], told: Plain, money: Plain | None
) -> str:
    without, changed = drains_s
    parts = [
        f"{load.arrivals_per_s:.3g}/s arrive, {load.service_rate_per_s * load.ready:.3g}/s can be served.",
        f"In {_time(load.cold_start_s)} {_rates(told)}.",
    ]
    if "usual_days" in told:
        parts.append(f"By usual days {_rates(told['usual_days'])}; that is only watched (forecast: shadow).")
    if to == load.capacity:
        parts.append(f"The queue is drained in {_time(without)}, promised {_time(policy.drain_within_s)}.")
    else:
        parts.append(
            f"With {load.capacity} the queue is drained in {_time(without)}, with {to} in {_time(changed)}; promised "
            f"{_time(policy.drain_within_s)}."
        )
    if money is None:
        return " ".join([*parts, "What an instance costs is not known."])
    cost = f"{money['usd_per_hour_without_the_change']:.2f} USD an hour"
    if to != load.capacity:
        cost += f" before and {money['usd_per_hour_with_the_change']:.2f} after"
    return " ".join([*parts, f"It costs {cost}, by the {money['price_source']}."])


def _rates(told: Plain) -> str:
    wrong = f"usually wrong by {told['error_per_s']:.2g}/s" if told["judged"] else "not judged yet"
    return f"{told['mean_per_s']:.3g}/s are expected, {wrong}"


def _finite(seconds: float) -> float | None:
    return round(seconds, 3) if math.isfinite(seconds) else None


def _time(seconds: float) -> str:
    if not math.isfinite(seconds):
        return "more time than there is"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
