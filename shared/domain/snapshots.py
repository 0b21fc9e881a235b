"""What the scaling loop saw, and what it remembers between two looks."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.measurements import Measurement


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingSnapshot:
    """One queue and the deployment that serves it, at one moment.

    `depth` counts active messages (waiting and locked), rates are messages a second, `capacity` is the instances asked
    for (sku.capacity), `ready` those that serve, `ordered` what our own action in flight will make of capacity.
    `quota_headroom` is the instances that quota still allows on top. `autoscale_setting` names an enabled Azure
    autoscale setting on this deployment, `autoscale_unknown` says why nobody knows whether there is one.
    `scaled_by_cluster`: a Kubernetes deployment with TargetUtilization, which its cluster scales.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalingMemory:
    """What the decision learned and must not forget; plain values, so that a recorded decision replays bit for bit.

    `service_rate_per_s` is learned per instance. `depth` is that of `depth_at`. `busy_since`: more messages than ready
    instances since then. `completions_per_s` is smoothed and includes the sample of `completions_at`, `completing_at`
    is the last sample in which anything was completed. `changed_at` is our last change of capacity (in observe: the
    one that would have been made), or when all of it served. `grown_at` is the last growth. `grown_from` instances and
    `completions_before_growth_per_s` are those before the first growth of which it is not known yet whether it helped;
    `grown_to` served since `ready_since`.
    `less_needed_since` and `less_needed_peak`: since when fewer instances suffice, and the most that were needed in
    that time.
    """

    schema: int = 1
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
