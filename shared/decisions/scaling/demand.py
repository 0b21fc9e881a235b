"""The load of a deployment that is called directly, told in the words of a queue, so that one decision serves both.

By requests: what is in flight is what waits (Little's law), what is answered is what is completed. By utilization: the
work is counted in busy instances, of which each ready one serves one. A number that rests on one that is missing or
stale is missing or stale too.
"""

from dataclasses import dataclass

from shared.domain import Fresh, Measurement, Missing, Stale

LATENCY_AT_RISK_SHARE = 0.5
"""From this share of the promise on, what one request in twenty takes counts for all that are in flight."""

SATURATED_PCT = 95.0
"""From here on utilization cannot show how much more there is to do."""

SATURATED_DEMAND = 2.0
"""What saturated instances count as: so many times what they can serve, for want of anything better known."""

IDLE_PCT = 5.0
"""Instances below this have nothing to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What Azure Monitor shows of a deployment: requests a second (all that came, and those answered by an instance),
    seconds that half of them and 95 of 100 took at most, and how busy its instances are, in percent.

    `slots` requests are served by an instance at the same time; more wait in front of it. `silent`: Azure Monitor
    answered, and has no request in the whole look-back. `needs_gpu`: the instances have GPUs, so the CPU alone does not
    show whether they are idle.
    """

    requests_per_s: Measurement
    answered_per_s: Measurement
    latency_p50_s: Measurement
    latency_p95_s: Measurement
    cpu_pct: Measurement
    gpu_pct: Measurement
    slots: int = 1
    silent: bool = False
    needs_gpu: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """The load as the decision reads it; see `ScalingSnapshot`. None: nobody can tell, and nobody needs to."""

    depth: Measurement
    arrivals_per_s: Measurement
    completions_per_s: Measurement
    service_rate_per_s: Measurement | None = None
    latency_p95_s: Measurement | None = None
    utilization_pct: Measurement | None = None


def of_requests(traffic: Traffic, ready: Measurement, promise_s: float) -> Demand:
    """Requests in flight, and requests a second.

    `depth` is what waits for an instance, plus one for each that works, as if a dispatcher held one message each:
    so it is above the number of instances only while requests wait. Without any request nothing waits; where Azure
    Monitor shows none at all, instances that are idle are the proof.
    """
    arrivals, answered = traffic.requests_per_s, traffic.answered_per_s
    busiest = _busiest(traffic)
    if traffic.silent and isinstance(busiest, Fresh) and busiest.value < IDLE_PCT:
        source = f"idle: no request in Azure Monitor, and instances are {busiest.value:.0f} % busy"
        arrivals = answered = Fresh(value=0.0, at=busiest.at, source=source)
    p50, p95 = traffic.latency_p50_s, traffic.latency_p95_s
    latency = p95 if _value(p95) >= LATENCY_AT_RISK_SHARE * promise_s or isinstance(p50, Missing) else p50
    if not isinstance(arrivals, Missing) and arrivals.value <= 0:
        depth: Measurement = _as(arrivals, 0.0, arrivals)
    else:
        in_flight = _value(arrivals) * _value(latency)
        beside = (traffic.slots - 1) * _value(ready)
        parts = (arrivals, latency) if traffic.slots == 1 else (arrivals, latency, ready)
        depth = _of(max(0.0, in_flight - beside), "requests x latency", *parts)
    return Demand(
        depth=depth,
        arrivals_per_s=arrivals,
        completions_per_s=answered,
        service_rate_per_s=_service_rate(traffic, answered, ready, busiest),
        latency_p95_s=p95,
        utilization_pct=None if isinstance(busiest, Missing) else busiest,
    )


def of_utilization(used_pct: Measurement, ready: Measurement, full_at_pct: float, promise_s: float) -> Demand:
    """Busy instances. Used at `full_at_pct` an instance serves all that it should; nothing waits below saturation.

    Saturated instances hide how much waits: it counts as `SATURATED_DEMAND` of what they serve, and as a backlog that
    uses up the promise, so that the deployment grows, and never shrinks, until they are not saturated any more.
    """
    used, instances = _value(used_pct), _value(ready)
    saturated = used >= SATURATED_PCT
    served = used / full_at_pct * instances
    demand = max(served, SATURATED_DEMAND * instances) if saturated else served
    return Demand(
        depth=_of(instances * promise_s if saturated else 0.0, "utilization", used_pct, ready),
        arrivals_per_s=_of(demand, "utilization", used_pct, ready),
        completions_per_s=_of(min(demand, instances), "utilization", used_pct, ready),
        utilization_pct=used_pct,
    )


def _service_rate(
    traffic: Traffic, answered: Measurement, ready: Measurement, busiest: Measurement
) -> Measurement | None:
    """Requests a second that one instance can serve, by a minute in which it need not have been fully used.

    At least what each answered; at most what its slots can at the latency seen, and what it answered by the share of
    its time that it was busy. None while nothing is answered.
    """
    instances, each = _value(ready), _value(answered)
    if not all(isinstance(one, Fresh) for one in (answered, ready)) or instances < 1 or each <= 0:
        return None
    each /= instances
    bounds = []
    if isinstance(traffic.latency_p50_s, Fresh) and traffic.latency_p50_s.value > 0:
        bounds.append(traffic.slots / traffic.latency_p50_s.value)
    if isinstance(busiest, Fresh) and busiest.value >= IDLE_PCT:
        bounds.append(each / min(1.0, busiest.value / 100))
    if not bounds:
        return None
    return _of(max(each, min(bounds)), "answered requests, latency and utilization", answered, ready)


def _busiest(traffic: Traffic) -> Measurement:
    """How busy the instances are, by what they are busiest with."""
    if traffic.needs_gpu and not isinstance(traffic.gpu_pct, Fresh):
        return traffic.gpu_pct
    known = [one for one in (traffic.cpu_pct, traffic.gpu_pct) if isinstance(one, Fresh)]
    return max(known, key=lambda one: one.value) if known else traffic.cpu_pct


def _value(measurement: Measurement) -> float:
    return 0.0 if isinstance(measurement, Missing) else measurement.value


def _of(value: float, source: str, *parts: Measurement) -> Measurement:
    """`value` as well known as the parts that it is made of: as old as the oldest, missing with the first missing."""
    for part in parts:
        if isinstance(part, Missing):
            return part
    oldest = min((part for part in parts if not isinstance(part, Missing)), key=lambda part: part.at)
    stale = next((part for part in parts if isinstance(part, Stale)), None)
    return _as(stale or oldest, value, oldest, source)


def _as(kind: Measurement, value: float, at: Fresh | Stale, source: str = "") -> Measurement:
    made = Stale if isinstance(kind, Stale) else Fresh
    return made(value=value, at=at.at, source=source or at.source)
