"""What the measurements say about a queue and its instances, and how far they may be trusted."""

from dataclasses import dataclass, replace
from datetime import datetime

from shared.decisions.scaling import effects, freezes, instances
from shared.decisions.scaling.forecast import forecasters
from shared.decisions.scaling.forecast.ahead import NOW_S, Forecast, forecast
from shared.decisions.scaling.forecast.learning import is_surprising, learned
from shared.decisions.scaling.freezes import Freeze
from shared.decisions.scaling.means import moved
from shared.decisions.scaling.shown_rate import with_shown_rate
from shared.domain import ArrivalMemory, Fresh, Measurement, Missing, ScalingMemory, ScalingSnapshot
from shared.policy.scaling import LearnedRate, Scaling

# A difference of two depths is noisy: it is smoothed over this share of the promise, and no longer than this.
SLOPE_SMOOTHING_SHARE = 0.25
SLOPE_SMOOTHING_S = 30.0
# Between two looks further apart than this the depth tells nothing of a rate; a smaller rate than this is none.
SLOPE_FORGOTTEN_S = 120.0
# The forecast reaches two cold starts ahead, and so much further.
FORECAST_BEYOND_S = 3600.0
# Of a freeze so much is seen: the rest is taken to be like it.
LONGEST_SEEN_S = 86_400.0
SLOPE_NOISE_PER_S = 1e-3
# Completions of single minutes are smoothed over this share of the time after which growth must have shown in them.
COMPLETIONS_SMOOTHING_SHARE = 1 / 3
# A minute of service counts as much as what was known once so many messages were completed in it.
TELLING_COMPLETIONS = 50.0
# Something else than the instances may be slow, so that is believed in small steps.
SLOWER_WEIGHT = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The queue and its instances as numbers: messages, messages a second, instances.

    `arrivals_per_s` is never below what the rise of the depth shows. `pending` are the instances that do not serve yet:
    (expected in seconds, instances), the next first. `doubts` are the reasons, in words, not to shrink.
    """

    depth: float
    arrivals_per_s: float
    completions_per_s: float | None
    service_rate_per_s: float
    capacity: int
    ready: int
    pending: tuple[tuple[float, int], ...]
    cold_start_s: float
    looks_every_s: float
    forecast: Forecast
    doubts: tuple[str, ...]
    counted_in: str = "messages"
    freeze: Freeze | None = None

    @property
    def piles_up(self) -> bool:
        """Whether what cannot be served now waits, as in a queue; an endpoint that is called refuses it."""
        return self.counted_in == "messages"

    @property
    def pending_in_s(self) -> float:
        """When the last of the pending instances is expected."""
        return self.pending[-1][0] if self.pending else 0.0


def read_load(
    snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime
) -> tuple[Load, ScalingMemory]:
    """The load as of `now` and the memory that has seen it. Depth and capacity must be Fresh."""
    depth, capacity = _fresh(snapshot.depth), int(_fresh(snapshot.capacity))
    if snapshot.ordered is not None:
        capacity = snapshot.ordered
    looks_every_s = _looks_every_s(memory, snapshot.depth)
    ready = instances.ready(snapshot, memory, policy, capacity, now)
    arrivals = _with_sample(memory.arrivals, snapshot.arrivals_per_s, policy)
    rise = _rise(memory, snapshot.depth)
    memory = _with_depth(memory, policy, snapshot.depth, rise, ready, arrivals)
    if snapshot.counted_in != "messages":
        rise, memory = None, replace(memory, depth_slope_per_s=0.0)  # what is refused is not in it
    memory = instances.remembered(with_shown_rate(memory, snapshot, policy), snapshot, ready, capacity, now)
    memory = _with_completions(memory, snapshot.completions_per_s, policy, ready, capacity)
    service_rate = service_rate_per_s(memory, policy)
    throughput = service_rate * ready
    memory = effects.judged(memory, depth, throughput, policy.drain_within_s, now)
    completions = snapshot.completions_per_s.value if isinstance(snapshot.completions_per_s, Fresh) else None
    cold_start_s = instances.cold_start_s(memory, policy)
    stays = _arrivals(snapshot.arrivals_per_s, memory, completions, throughput)
    surge_per_s = _surge_per_s(memory, rise, _served_per_s(memory, completions, throughput))
    now_per_s = max(stays, _by_depth(memory, surge_per_s, completions, throughput))
    freeze = freezes.ahead(snapshot, now, cold_start_s)
    seen_s = min(LONGEST_SEEN_S, freezes.horizon_s(freeze, cold_start_s))
    return (
        Load(
            depth=depth,
            arrivals_per_s=now_per_s,
            completions_per_s=completions,
            service_rate_per_s=service_rate,
            capacity=capacity,
            ready=ready,
            pending=instances.expected(memory, cold_start_s, capacity - ready, now),
            cold_start_s=cold_start_s,
            looks_every_s=looks_every_s,
            forecast=forecast(
                memory.arrivals,
                now_per_s,
                stays,
                now,
                max(usual_horizon_s(cold_start_s), seen_s),
                seasons=policy.forecast == "on" and not effects.are_off(memory),
            ),
            doubts=tuple(_doubts(snapshot)),
            counted_in=snapshot.counted_in,
            freeze=freeze,
        ),
        memory,
    )


def usual_horizon_s(cold_start_s: float) -> float:
    """So far ahead the forecast reaches, but for a freeze."""
    return 2 * cold_start_s + FORECAST_BEYOND_S


def service_rate_per_s(memory: ScalingMemory, policy: Scaling) -> float:
    """What an instance serves: as the policy knows it, or as learned, or until then the policy's guess."""
    rate = policy.service_rate
    if not isinstance(rate, LearnedRate):
        return rate.per_instance_per_s
    return memory.service_rate_per_s or rate.prior_per_instance_per_s


def _fresh(measurement: Measurement) -> float:
    if not isinstance(measurement, Fresh):
        raise TypeError(f"a Fresh measurement is needed here, not {measurement}")
    return measurement.value


def _looks_every_s(memory: ScalingMemory, measured: Measurement) -> float:
    """How long ago the last look was, as far as that is a rhythm."""
    if not isinstance(measured, Fresh) or memory.depth_at is None:
        return 0.0
    return min(SLOPE_FORGOTTEN_S, max(0.0, (measured.at - memory.depth_at).total_seconds()))


@dataclass(frozen=True, slots=True)
class _Rise:
    """How fast the depth rose between the last two that were told, and how far apart they were."""

    per_s: float
    elapsed_s: float


def _rise(memory: ScalingMemory, measured: Measurement) -> _Rise | None:
    """None if nothing new was told, or after too long."""
    if not isinstance(measured, Fresh) or memory.depth is None or memory.depth_at is None:
        return None
    elapsed_s = (measured.at - memory.depth_at).total_seconds()
    if not 0 < elapsed_s <= SLOPE_FORGOTTEN_S:
        return None
    return _Rise((measured.value - memory.depth) / elapsed_s, elapsed_s)


def _surge_per_s(memory: ScalingMemory, rise: _Rise | None, served_per_s: float) -> float:
    """How fast the depth rises for the next moment: as smoothed, but what noise does not explain is believed at once,
    for as long again as it was seen. It may be a batch that is all there already.
    """
    slope = memory.depth_slope_per_s
    if rise is None or not is_surprising(memory.arrivals, rise.per_s + served_per_s):
        return slope
    return moved(slope, rise.per_s, min(1.0, rise.elapsed_s / NOW_S))


def _with_depth(
    memory: ScalingMemory,
    policy: Scaling,
    measured: Measurement,
    rise: _Rise | None,
    ready: int,
    arrivals: ArrivalMemory,
) -> ScalingMemory:
    """Remember arrivals, the depth and how fast it moves.

    A depth may be told again by later looks: it is of its own time. What is idle has nothing new to be written; so what
    then comes at once is no slope before the next look has seen whether it was a batch.
    """
    known = isinstance(measured, Fresh) and (memory.depth_at is None or measured.at > memory.depth_at)
    idle = isinstance(measured, Fresh) and measured.value == 0 == memory.depth and memory.depth_slope_per_s == 0
    if not isinstance(measured, Fresh) or not known or idle:
        return memory if arrivals is memory.arrivals else replace(memory, arrivals=arrivals)
    depth, at, slope = measured.value, measured.at, 0.0
    if rise is not None:
        smoothing_s = min(SLOPE_SMOOTHING_S, SLOPE_SMOOTHING_SHARE * policy.drain_within_s)
        slope = moved(memory.depth_slope_per_s, rise.per_s, rise.elapsed_s / (rise.elapsed_s + smoothing_s))
    if abs(slope) < SLOPE_NOISE_PER_S:
        slope = 0.0
    busy_since = memory.busy_since or at if depth > ready else None
    return replace(memory, arrivals=arrivals, depth=depth, depth_at=at, depth_slope_per_s=slope, busy_since=busy_since)


def _with_sample(memory: ArrivalMemory, sample: Measurement, policy: Scaling) -> ArrivalMemory:
    exceeded_share, seasons = 1 - policy.forecast_quantile_pct / 100, policy.forecast != "off"
    return learned(memory, sample, policy.cold_start_s, exceeded_share, seasons=seasons)


def _with_completions(
    memory: ScalingMemory, sample: Measurement, policy: Scaling, ready: int, capacity: int
) -> ScalingMemory:
    """Remember a minute of completions in which there was work for all; nothing is learned from the others."""
    if memory.busy_since is None or not isinstance(sample, Fresh) or sample.at == memory.completions_at:
        return memory
    known = memory.completions_per_s
    if known is None or memory.completions_at is None:
        smoothed = sample.value
    else:
        elapsed_s = max(0.0, (sample.at - memory.completions_at).total_seconds())
        smoothing_s = COMPLETIONS_SMOOTHING_SHARE * policy.not_capacity_bound_after_s
        smoothed = moved(known, sample.value, elapsed_s / (elapsed_s + smoothing_s))
    return replace(
        memory,
        completions_at=sample.at,
        completions_per_s=smoothed,
        completing_at=sample.at if sample.value > 0 else memory.completing_at,
        ready_at_sample=ready,
        service_rate_per_s=_learned_rate(memory, sample, policy, ready, capacity),
    )


def _learned_rate(memory: ScalingMemory, sample: Fresh, policy: Scaling, ready: int, capacity: int) -> float | None:
    """Learn from a minute in which all instances had work and were as many as in the one before."""
    steady = ready == capacity == memory.ready_at_sample
    saturated = memory.busy_since is not None and memory.busy_since < sample.at
    if not isinstance(policy.service_rate, LearnedRate) or not (steady and saturated) or sample.value <= 0 or ready < 1:
        return memory.service_rate_per_s
    observed = sample.value / ready
    known = service_rate_per_s(memory, policy)
    completed = sample.value * 60
    weight = completed / (completed + TELLING_COMPLETIONS)
    return moved(known, observed, weight if observed > known else min(SLOWER_WEIGHT, weight))


def _arrivals(metric: Measurement, memory: ScalingMemory, completions: float | None, throughput: float) -> float:
    """The level that the metric shows (minutes late), unless the depth shows more: its slope plus what is completed.

    While nothing waits for an instance the metric knows better, and also while noise explains the difference: a few
    messages more or less are no trend, and late completions are those of a backlog that is gone.
    """
    waiting = memory.busy_since is not None
    by_metric = 0.0
    if not isinstance(metric, Missing):
        by_metric = forecasters.now(memory.arrivals) if memory.arrivals.slots_seen else metric.value
    if not waiting and not isinstance(metric, Missing):
        return by_metric
    by_depth = _by_depth(memory, memory.depth_slope_per_s, completions, throughput)
    if not isinstance(metric, Missing) and not is_surprising(memory.arrivals, by_depth):
        return by_metric
    return max(by_metric, by_depth, 0.0)


def _by_depth(memory: ScalingMemory, slope_per_s: float, completions: float | None, throughput: float) -> float:
    """What the depth shows, while more waits than instances are ready."""
    shows = memory.busy_since is not None or completions is None
    return slope_per_s + _served_per_s(memory, completions, throughput) if shows else 0.0


def _served_per_s(memory: ScalingMemory, completions: float | None, throughput: float) -> float:
    """What is completed, and no more than what is ready can."""
    waiting = memory.busy_since is not None
    return throughput if completions is None and waiting else min(completions or 0.0, throughput)


def _doubts(snapshot: ScalingSnapshot) -> list[str]:
    measured = {
        "arrivals": snapshot.arrivals_per_s,
        "completions": snapshot.completions_per_s,
        "ready instances": snapshot.ready,
    }
    doubts = []
    for name, measurement in measured.items():
        if isinstance(measurement, Missing):
            doubts.append(f"{name} missing ({measurement.reason})")
        elif not isinstance(measurement, Fresh):
            doubts.append(f"{name} stale (of {measurement.at:%H:%M:%S} UTC)")
    return doubts
