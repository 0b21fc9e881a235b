"""Whether a target is ready for `enforce`: what was remembered and recorded of it, judged, in words."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from shared.decisions.scaling.evidence.readiness import Evidence, Forecasted, Readiness, judge
from shared.decisions.scaling.evidence.shadow import MOST_DAYS
from shared.decisions.scaling.forecast.forecasters import mixture
from shared.domain import Mode, ScalingMemory, TargetRecord
from shared.loops.engine import Preview
from shared.loops.stores import Stores
from shared.loops.telling import WORRYING
from shared.loops.views import Plain
from shared.policy import Policy, Target
from shared.records.chain import StoredEntry
from shared.safety.breaker import limits_for

# Of more decisions than this the newest are looked at.
MOST_DECISIONS = 500
_MODE_GATE = "mode"
_VERDICTS: Mapping[str, str] = {
    "ready": "It is ready for enforce.",
    "not_yet": "It is too early to tell.",
    "no": "It is not ready for enforce.",
}


async def readiness_of(stores: Stores, target: Target, policy: Policy, preview: Preview, now: datetime) -> Plain:
    """The report on one target, from the memory, the ledger's decisions since then, and how the gates stand now."""
    record = preview.look.before
    since = now - timedelta(days=MOST_DAYS)
    page = await stores.ledger.query(
        since,
        now + timedelta(seconds=1),
        endpoint_key=target.deployment_id.endpoint_key,
        target=target.name,
        kind="decision",
        limit=MOST_DECISIONS,
    )
    limits = limits_for(f"target:{target.name}", policy, target)
    evidence = replace(
        _evidence(record, target, page.entries, preview),
        flapping_per_day=(limits.reversals or math.inf) * 86_400 / limits.reversal_window_s,
    )
    price = preview.look.snapshot.price_usd_per_hour
    return _view(target, policy.scaling_mode(target), evidence, judge(evidence), price)


def _evidence(record: TargetRecord, target: Target, decisions: Sequence[StoredEntry], preview: Preview) -> Evidence:
    refused: Counter[str] = Counter()
    for entry in decisions:
        codes = [str(shut["code"]) for shut in _list(entry.body.get("refused_by"))]
        refused.update(code for code in codes[:1] if not code.startswith("mode_"))
    shut = {
        state.shut.code: state.shut.remedy
        for states in preview.gates.values()
        for state in states
        if state.shut is not None and state.name != _MODE_GATE
    }
    intent = preview.look.intents[0]
    return Evidence(
        days=record.shadow.days,
        promise_s=target.scaling.drain_within_s,
        decisions=len(decisions),
        refused=refused,
        shut=shut,
        blind=intent.reason if WORRYING.get(intent.rule) == "loop_blind" else "",
        forecast=_forecasted(record.scaling, target),
    )


def _forecasted(memory: ScalingMemory, target: Target) -> Forecasted | None:
    """How usual days and weeks did as a forecast; None where nobody asked them, or nothing has arrived yet."""
    mode = target.scaling.forecast
    if mode == "off" or not memory.arrivals.forecasters:
        return None
    mixed = mixture(memory.arrivals, seasons=True)
    return Forecasted(
        mode=mode, error_per_s=mixed.error_per_s, mean_per_s=memory.arrivals.mean_per_s, judged=mixed.judged
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _view(target: Target, mode: Mode, evidence: Evidence, judged: Readiness, price: float | None) -> Plain:
    days = evidence.days
    hours = {
        "decided": sum(day.decided_instance_s for day in days) / 3600,
        "as_it_is": sum(day.instance_s for day in days) / 3600,
    }
    wrong = [check for check in judged.checks if check.finding != "good"]
    sentence = " ".join([_VERDICTS[judged.verdict], *(f"{check.words} {check.remedy}" for check in wrong)])
    return {
        "target": target.name,
        "mode": mode,
        "verdict": judged.verdict,
        "sentence": f"{target.name}: {sentence}",
        "confidence": {
            "of": "the share of hours with work in which the decisions keep the promise",
            "level_pct": 95,
            "at_least": round(judged.kept_low, 4),
            "at_most": round(judged.kept_high, 4),
        },
        "checks": [
            {"check": one.name, "finding": one.finding, "words": one.words, "remedy": one.remedy or None}
            for one in judged.checks
        ],
        "instance_hours": {name: round(number, 3) for name, number in hours.items()},
        "cost_usd": None if price is None else {name: round(number * price, 2) for name, number in hours.items()},
        "days": [
            {
                "day": day.day,
                "looks": day.looks,
                "fresh": day.fresh,
                "hours_with_work": day.hours,
                "hours_kept": day.kept,
                "hours_kept_as_it_is": day.kept_as_is,
                "changes": day.changes,
                "reversals": day.reversals,
            }
            for day in days
        ],
        "since": days[0].day if days else None,
    }
