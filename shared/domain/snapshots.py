"""What the scaling loop saw, and what it remembers between two looks."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from shared.domain.forecasts import ArrivalMemory
from shared.domain.idle import IdleSpells
from shared.domain.measurements import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSnapshot:
    """One queue and the deployment that serves it, at one moment.

    `depth` counts active messages (waiting and locked), rates are messages a second, `capacity` is the instances asked
    for (sku.capacity), `ready` those that serve, `ordered` what our own action in flight will make of capacity.
    `quota_headroom` is the instances that quota still allows on top. `autoscale_setting` names an enabled Azure
    autoscale setting on this deployment, `autoscale_unknown` says why nobody knows whether there is one.
    `scaled_by_cluster`: a Kubernetes deployment with TargetUtilization, which its cluster scales.
    From `freeze_begins_at` until before `freeze_ends_at` the policy lets nothing grow: the freeze that is, or the next
    one if it begins within a day. It is kept here, with what was read, because a target's own policy does not have it.

    Without a queue `counted_in` says of what `depth` and rates are: requests (in flight, a second), or busy instances
    (see `shared.decisions.scaling.demand`). `service_rate_per_s` is what an instance could serve by what was measured,
    `latency_p95_s` what one request in twenty takes longer than, `utilization_pct` how busy ready instances are; each
    is None where nobody measures it.
    """

    target: str
    taken_at: datetime
    depth: Measurement
    arrivals_per_s: Measurement
    completions_per_s: Measurement
    capacity: Measurement
    ready: Measurement
    quota_headroom: Measurement
    dead_letters: Measurement
    ordered: int | None = None
    provisioning_state: str = ""
    autoscale_setting: str = ""
    autoscale_unknown: str = ""
    scaled_by_cluster: bool = False
    vm_size: str = ""
    price_usd_per_hour: float | None = None
    freeze_begins_at: datetime | None = None
    freeze_ends_at: datetime | None = None
    counted_in: Literal["messages", "requests", "busy instances"] = "messages"
    service_rate_per_s: Measurement | None = None
    latency_p95_s: Measurement | None = None
    utilization_pct: Measurement | None = None


NOTHING_ARRIVED = ArrivalMemory()


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingOrder:
    """So many instances, ordered at once, that do not serve yet."""

    at: datetime
    instances: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedEffect:
    """What a growth was to do: at `at` a message waits `wait_s`."""

    at: datetime
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingMemory:
    """What the decision learned and must not forget; plain values, so that a recorded decision replays bit for bit.

    `service_rate_per_s` is learned per instance. `depth` is that of `depth_at`. `busy_since`: more messages than ready
    instances since then. `completions_per_s` is smoothed and includes the sample of `completions_at`, `completing_at`
    is the last sample in which anything was completed. `changed_at` is our last change of capacity (in observe: the
    one that would have been made), or when all of it served. `grown_at` is the last growth. `grown_from` instances and
    `completions_before_growth_per_s` are those before the first growth of which it is not known yet whether it helped;
    `grown_to` served since `ready_since`.
    `idle` is kept where the policy allows zero.
    `less_needed_since` and `less_needed_peak`: since when fewer instances suffice, and the most that were needed in
    that time.
    `arrivals` is what forecasts rest on. `cold_start_s` is learned from growths, `cold_start_off_s` is how far off it
    usually is. `wished_effect` is that of the change that is wished, `effect` that of the last one that was made and
    is not judged yet (one that another overtakes is judged with it); `effects_off` says by how much of the promise the
    effects of `effects_judged` changes were other than expected. `pending` are our growths that are not all ready, the
    oldest first.
    """

    schema: int = 2
    service_rate_per_s: float | None = None
    depth: float | None = None
    depth_at: datetime | None = None
    depth_slope_per_s: float = 0.0
    busy_since: datetime | None = None
    completions_at: datetime | None = None
    completions_per_s: float | None = None
    completing_at: datetime | None = None
    ready_at_sample: int | None = None
    ready: int | None = None
    changed_at: datetime | None = None
    grown_at: datetime | None = None
    grown_from: int | None = None
    grown_to: int | None = None
    ready_since: datetime | None = None
    completions_before_growth_per_s: float | None = None
    less_needed_since: datetime | None = None
    less_needed_peak: int = 0
    arrivals: ArrivalMemory = NOTHING_ARRIVED
    cold_start_s: float | None = None
    cold_start_off_s: float = 0.0
    pending: tuple[PendingOrder, ...] = ()
    wished_effect: ExpectedEffect | None = None
    effect: ExpectedEffect | None = None
    effects_off: float = 0.0
    effects_judged: int = 0
    idle: IdleSpells | None = None
