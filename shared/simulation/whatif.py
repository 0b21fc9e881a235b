"""What a policy would have made of a recorded load: late share, delay, instances and cost, variant beside variant."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from shared.domain import ScalingMemory
from shared.policy.scaling import KnownRate, Scaling
from shared.simulation.traces import Trace, parse
from shared.simulation.variants import Variant

MOST_DAYS = 31
# What is bought of Azure ML comes one operation at a time, so no second change is asked for before the first is over.
ONE_OPERATION = True

LEFT_OUT = "Quota and other people's changes are left out; what was learned of seasons is learned anew."


class TooLarge(ValueError):
    """More than a what-if replays; the message says how much and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all variants: what was learned of the target, and what an instance costs.

    `service_rate_per_s` and `cold_start_s` are None where only the policy says them; `cold_start_source` says in words
    where else the latter comes from. `price_source` names whose price
    it is: "policy" or "Azure ML size list"; a variant that says a price of its own is reckoned with that.
    """

    at_start: int | None = None
    service_rate_per_s: float | None = None
    cold_start_s: float | None = None
    cold_start_source: str = "as it was learned"
    price_usd_per_hour: float | None = None
    price_source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What became of the load under one policy; shares of 1, delays in seconds (None: more than 1 % were never served).

    `late_share` is by the variant's own promise, `late_share_as_today` by today's. Money is None without a price.
    """

    variant: Variant
    late_share: float
    late_share_as_today: float
    p99_delay_s: float | None
    instances_mean: float
    instances_most: int
    share_at_max: float
    instance_hours_per_day: float
    cost_usd_per_day: float | None
    changes_per_day: float
    reversals_per_day: float

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        told = {name: getattr(self, name) for name in self.__slots__ if name != "variant"}
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in told.items()}
        variant = self.variant
        return {
            "variant": variant.label,
            "changes": dict(variant.changes),
            "promise_s": variant.policy.drain_within_s,
            **rounded,
            "warnings": list(variant.warnings),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The courses, today's first; `assumed` says in sentences what they rest on."""

    days: float
    items: float
    tick_s: float
    service_s: float
    cold_start_s: float
    price_usd_per_hour: float | None
    price_source: str
    courses: tuple[Course, ...]
    assumed: tuple[str, ...]

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "load": {"days": round(self.days, 3), "items": round(self.items), "service_s": round(self.service_s, 6)},
            "cold_start_s": self.cold_start_s,
            "look_every_s": self.tick_s,
            "price": {"usd_per_instance_and_hour": self.price_usd_per_hour, "source": self.price_source or None},
            "variants": [course.plain() for course in self.courses],
            "assumed": list(self.assumed),
        }


def trace_of(
    raw: bytes, source: str, *, column: str | None = None, service: str | None = None, series: str | None = None
) -> Trace:
    """The one trace of a file, as `traces.parse` reads it; `series` chooses one of several.

    Raises:
        TraceInvalid: with all that is wrong.
        ValueError: it has several series and none is chosen, or the chosen one is not among them.
    """
    found = parse(raw, source, column=column, service=service)
    chosen = [trace for trace in found if series is None or trace.name == series]
    if len(chosen) != 1:
        names = ", ".join(repr(trace.name) for trace in found[:20])
        raise ValueError(f"{source} has {len(found)} series; name one of them as `series`: {names}.")
    return chosen[0]


def csv_of(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as a CSV text with the keys of the first as its header, for `trace_of`: one reader for all traces.

    Raises:
        ValueError: there are none, or one has other keys than the first.
    """
    if not rows:
        raise ValueError("the trace has no rows.")
    out = io.StringIO()
    writer = csv.writer(out)
    names = list(rows[0])
    writer.writerow(names)
    for number, row in enumerate(rows, start=1):
        if row.keys() != set(names):
            raise ValueError(f"row {number} has the fields {', '.join(row)}; the first has {', '.join(names)}.")
        writer.writerow(["" if row[name] is None else row[name] for name in names])
    return out.getvalue().encode()


def compare(trace: Trace, variants: Sequence[Variant], setting: Setting, *, seed: int = 0) -> Comparison:
    """Replay the policies over the trace, the first of them today's. Takes about 0.3 ms a look and variant.

    Raises:
        TooLarge: more than MOST_DAYS.
    """
    if trace.span_s > MOST_DAYS * 86_400 * 1.001:
        days = trace.span_s / 86_400
        raise TooLarge(f"the trace spans {days:.1f} days; replay at most {MOST_DAYS} of them at a time.")
    from shared.simulation.arrivals import workload_of

    today = variants[0].policy
    assumed = list(trace.notes)
    if trace.service_s is None and trace.constant_s is None:
        rate, whose = _rate(today, setting)
        trace = replace(trace, constant_s=1 / rate, tokens=None)
        assumed.append(f"The trace has no service times: {1 / rate:.4g} s of one instance an item, {whose}.")
        learned = setting.service_rate_per_s
    else:
        learned = None  # the trace knows better than what was learned of another load
    cold_start_s, whose = today.cold_start_s, "by the policy"
    if setting.cold_start_s is not None:
        cold_start_s, whose = setting.cold_start_s, setting.cold_start_source
    assumed.append(f"A new instance serves after about {cold_start_s:.0f} s ({whose}).")
    workload = workload_of(trace, trace.name or "trace", seed=seed)
    if isinstance(today.service_rate, KnownRate):
        assumed += _doubts(today.service_rate.per_instance_per_s, workload.service_s)
    memory = ScalingMemory(service_rate_per_s=learned, cold_start_s=setting.cold_start_s)
    courses = [_course(workload, one, today, setting, memory, cold_start_s, seed) for one in variants]
    return Comparison(
        days=workload.days,
        items=float(workload.items.sum()),
        tick_s=workload.tick_s,
        service_s=workload.service_s,
        cold_start_s=cold_start_s,
        price_usd_per_hour=setting.price_usd_per_hour,
        price_source=setting.price_source,
        courses=tuple(courses),
        assumed=(*assumed, LEFT_OUT),
    )


def _rate(today: Scaling, setting: Setting) -> tuple[float, str]:
    """Items a second of one busy instance, and whose word that is."""
    if isinstance(today.service_rate, KnownRate):
        return today.service_rate.per_instance_per_s, "by the policy's service_rate"
    if setting.service_rate_per_s is not None:
        return setting.service_rate_per_s, "as it was learned of this target"
    return today.service_rate.prior_per_instance_per_s, "by the policy's prior, as nothing was learned yet"


def _doubts(rate: float, service_s: float) -> list[str]:
    if abs(math.log(rate * service_s)) < math.log(1.25):
        return []
    return [
        f"By the policy one instance does {rate:.4g} items a second, by the trace {1 / service_s:.4g}: the decision "
        "believes the policy, so one of the two should be mended."
    ]


def _course(
    workload: Any,
    variant: Variant,
    today: Scaling,
    setting: Setting,
    memory: ScalingMemory,
    cold_start_s: float,
    seed: int,
) -> Course:
    from shared.simulation.ours import Ours
    from shared.simulation.play import figures, play
    from shared.simulation.site import Terms

    policy = variant.policy
    at_start = min(max(setting.at_start or policy.min, policy.min), policy.max)
    terms = Terms(
        cold_start_s=cold_start_s, min=policy.min, max=policy.max, at_start=at_start, one_operation=ONE_OPERATION
    )
    site = play(workload, terms, Ours(policy, terms, workload.starts_at, memory=memory), 1, seed)
    own, as_today = figures(site, policy.drain_within_s), figures(site, today.drain_within_s)
    p99_s, hours = float(own.p99_delay_s[0]), float(own.instance_hours[0])
    price = setting.price_usd_per_hour if "price_usd_per_hour" not in variant.changes else policy.price_usd_per_hour
    return Course(
        variant=variant,
        late_share=float(own.late_share[0]),
        late_share_as_today=float(as_today.late_share[0]),
        p99_delay_s=p99_s if math.isfinite(p99_s) else None,
        instances_mean=hours / (workload.days * 24),
        instances_most=int(site.asked.max()),
        share_at_max=float((site.asked[:, 0] >= policy.max).mean()),
        instance_hours_per_day=hours / workload.days,
        cost_usd_per_day=None if price is None else hours / workload.days * price,
        changes_per_day=float(own.changes_per_day[0]),
        reversals_per_day=float(own.reversals_per_day[0]),
    )
