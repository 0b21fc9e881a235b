"""How a deployment is scaled: the part of a policy that its owner knows best, as types."""

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Discriminator, Field, Tag

from shared.policy.parts import Instances, Part, PositiveSeconds, Rate, Seconds, UsdPerHour, refuse, unit
from shared.policy.schedule import ScheduledLoad
from shared.policy.zero import Zero


def _learn(value: Any) -> Any:
    if value is not True:
        raise refuse("can only be true", "Write `learn: true`, or for a known rate `per_instance_per_s` alone.")
    return value


LONGEST_REQUEST_S = 180.0
"""Azure ML ends a request to an online endpoint after this (facts/limits.md): nobody needs a longer promise."""


def too_long(said: str) -> tuple[str, str]:
    """Reason and remedy for a promise to requests, as `said`, that none of them can break."""
    return (
        f"drain_within_s is {said}, but Azure ML ends a request after {LONGEST_REQUEST_S:g} seconds: without a queue, "
        "it is the time within which a request is answered",
        "Write drain_within_s for this target, 5 for example.",
    )


class KnownRate(Part):
    """The rate is known and fixed, from a load test for example."""

    per_instance_per_s: Rate
    """Messages that one busy instance completes in a second."""


class LearnedRate(Part):
    """The rate is learned from completions while instances are busy."""

    learn: Annotated[Literal[True], BeforeValidator(_learn)]
    """Marks this form."""

    prior_per_instance_per_s: Rate = 1.0
    """Messages that one busy instance completes in a second, until enough has been seen to know better."""


def _rate_form(value: Any) -> str:
    if isinstance(value, dict):
        return "learned rate" if {"learn", "prior_per_instance_per_s"} & value.keys() else "known rate"
    return "learned rate" if isinstance(value, LearnedRate) else "known rate"


RATE_FORMS = ("known rate", "learned rate")
"""The alternatives of `service_rate`, as pydantic names them in the places of its errors."""

type ServiceRate = Annotated[
    Annotated[KnownRate, Tag("known rate")] | Annotated[LearnedRate, Tag("learned rate")], Discriminator(_rate_form)
]


LEAST_PATIENCE_S, LONGEST_PATIENCE_S = 60.0, 300.0
"""How long a lower need is watched where a policy does not say."""


class Scaling(Part):
    """How one deployment is scaled on the depth of its queue, or on the requests or utilization that its `load` names.

    A field that a target leaves out comes from the policy's `defaults`, and one that is missing there too has the
    default shown here. `service_rate`, `schedule` and `zero` are taken as a whole.
    """

    min: Instances = 1
    """Fewest instances. Azure ML cannot go below 1."""

    max: Instances = 1
    """Most instances. With the default nothing grows: how far it may, and so what it may cost, is yours to say."""

    drain_within_s: PositiveSeconds = 1800.0
    """The promise: a message that arrives now is done within this time; with a `load`, a request (at most 180)."""

    service_rate: ServiceRate = LearnedRate(learn=True)
    """What one instance completes: `{per_instance_per_s: 2.5}`, or `{learn: true, prior_per_instance_per_s: 1.0}`."""

    cold_start_s: Seconds = 900.0
    """Time from the request for a new instance until it serves, as far as it is not yet known from experience."""

    scale_out_cooldown_s: Seconds = 60.0
    """Least time between the end of one change and the next growth."""

    scale_in_hold_s: Seconds | None = None
    """How long a lower need must persist without a break before instances are given back. Left out: a third of
    `cold_start_s`, but at least 60 and at most 300 s: what comes back quickly may go soon."""

    scale_in_cooldown_s: Seconds | None = None
    """Least time between the end of one change and the next shrinking. Left out: the same share of `cold_start_s`."""

    respect_manual_s: Seconds = 14_400.0
    """For how long a change of capacity that Watchkeeper did not make is left alone."""

    max_step_out: Instances | None = None
    """Most instances added by one change; without it, as many as are needed."""

    max_step_in: Instances | None = None
    """Most instances removed by one change; without it, as many as are not needed."""

    stale_after_s: PositiveSeconds = 300.0
    """A measurement older than this is stale: nothing is shrunk on its word."""

    not_capacity_bound_after_s: PositiveSeconds = 600.0
    """If completions have not risen this long after added instances are ready, more would not help: none are added."""

    headroom_pct: Annotated[float, Field(strict=True, ge=0, le=90, json_schema_extra=unit("percent"))] = 20.0
    """Capacity for arrivals beyond those that the rates show: 20 orders for 1.2 times as many. Not for the backlog.
    Once forecasts were judged for six hours, 5 takes its place, and what they usually err by."""

    forecast: Literal["off", "shadow", "on"] = "shadow"
    """Whether usual days and weeks say what will arrive: `shadow` judges the forecast and decides without it."""

    forecast_quantile_pct: Annotated[float, Field(strict=True, ge=50, le=99, json_schema_extra=unit("percent"))] = 93.0
    """Capacity is enough for the arrivals of so many of 100 cases, by past errors of the forecast. What is given back
    is weighed by it too: at 93, a second in which an instance lacks weighs as 93/7 idle ones."""

    price_usd_per_hour: (
        Annotated[float, Field(strict=True, ge=0, le=1e5, json_schema_extra=unit("US dollars per instance and hour"))]
        | None
    ) = None
    """What one instance costs; approvals by cost go by this alone. Without it, Azure's retail price is shown."""

    budget_usd_per_hour: UsdPerHour | None = None
    """Most that all instances together may cost in an hour, at `price_usd_per_hour` or else at Azure's list price.
    It never takes away what `min` keeps. While no price is known it cannot be checked: then nothing grows beyond `min`.
    """

    schedule: tuple[ScheduledLoad, ...] = ()
    """Loads that are known ahead: `[{name: nightly, zone: Europe/Berlin, weekly: {days: [mon], from: "02:00", until:
    "03:00"}, min: 6}]`. Instances serve when they begin."""

    zero: Zero | None = None
    """Allows no instance at all while nothing is to do: `{after_idle_s: 3600, restore_s: 1200}`. Without it, never."""

    @property
    def hold_s(self) -> float:
        """`scale_in_hold_s` as it counts, also where it was left out."""
        return self._patience_s if self.scale_in_hold_s is None else self.scale_in_hold_s

    @property
    def cooldown_s(self) -> float:
        """`scale_in_cooldown_s` as it counts, also where it was left out."""
        return self._patience_s if self.scale_in_cooldown_s is None else self.scale_in_cooldown_s

    def most_reversals(self, window_s: float) -> float:
        """How often capacity can go back and forth in this time: what is grown has to come, and is kept a while."""
        to_and_fro_s = max(self.hold_s, self.cold_start_s + self.cooldown_s) + self.scale_out_cooldown_s
        return 2 * window_s / to_and_fro_s if to_and_fro_s > 0 else math.inf

    @property
    def _patience_s(self) -> float:
        return min(LONGEST_PATIENCE_S, max(LEAST_PATIENCE_S, self.cold_start_s / 3))


def within_budget(scaling: Scaling, limit_usd_per_hour: float | None) -> Scaling:
    """`scaling` held to what any one deployment may cost in an hour; None: no limit."""
    own = scaling.budget_usd_per_hour
    if limit_usd_per_hour is None or (own is not None and own <= limit_usd_per_hour):
        return scaling
    return scaling.model_copy(update={"budget_usd_per_hour": limit_usd_per_hour})


def inherit(defaults: Scaling, own: Scaling) -> Scaling:
    """`own`, with what it does not say taken from `defaults`."""
    return defaults.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
