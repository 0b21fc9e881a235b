"""The policy as types: what the platform team promises, allows and forbids. Schema and reference are made from here.

Every field has its unit in its name and in the schema (`x-unit`), a default where one is safe, and a docstring that is
the reference text. `Policy` in memory is what is in force: each target's `scaling` is complete. `load_policy` makes it,
and checks what goes across fields; a policy that is built by hand has not been checked for that.
"""

import hashlib
import json
import re
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

from shared.domain import INSTANCES_PER_DEPLOYMENT, DeploymentId, Mode, QueueId, most_cautious
from shared.policy.resource_ids import MalformedId, canonical_id, form_of

REFUSED_VALUE = "refused_value"
"""Type of the validation errors that carry their own `reason` and `remedy`."""

_MONTH_S = 30 * 24 * 3600


def _refuse(reason: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(REFUSED_VALUE, "{reason}. {remedy}", {"reason": reason, "remedy": remedy})


def _deployment_id(text: str) -> str:
    try:
        return canonical_id(text, DeploymentId)
    except MalformedId as error:
        raise _refuse(error.reason, error.remedy) from error


def _queue_id(text: str) -> str:
    try:
        return canonical_id(text, QueueId)
    except MalformedId as error:
        raise _refuse(error.reason, error.remedy) from error


_NAME = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
_MAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
_GLOB = r"^(/.+|[a-z0-9*?\[\]!-]+)$"


def _name(text: str) -> str:
    if not re.fullmatch(_NAME, text):
        tame = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32].strip("-")
        advice = f"Write '{tame}'." if tame else "Write something like 'chat'."
        raise _refuse(
            f"is '{text[:60]}', but a name is 1 to 32 lower case letters, digits and inner hyphens",
            advice,
        )
    return text


def _mail(text: str) -> str:
    if not re.fullmatch(_MAIL, text):
        raise _refuse(f"is '{text[:60]}', which is no e-mail address", "Write one address, like team@example.com.")
    return text


def _match(text: str) -> str:
    if text.startswith("/"):
        return _deployment_id(text)
    if not re.fullmatch(_GLOB, text):
        raise _refuse(
            f"is '{text[:60]}', which is neither a pattern for target names nor the id of a deployment",
            "Write a name like 'chat', a pattern like 'chat-*', or a full id that starts with '/subscriptions/'.",
        )
    return text


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:  # true and 1.0 equal 1 in Python
        raise _refuse("is not a version that this Watchkeeper reads", "Write `version: 1`.")
    return value


def _learn(value: Any) -> Any:
    if value is not True:
        raise _refuse("can only be true", "Write `learn: true`, or for a known rate `per_instance_per_s` alone.")
    return value


def _unit(unit: str) -> dict[str, Any]:
    return {"x-unit": unit}


type Instances = Annotated[
    int, Field(strict=True, ge=1, le=INSTANCES_PER_DEPLOYMENT, json_schema_extra=_unit("instances"))
]
type Seconds = Annotated[float, Field(strict=True, ge=0, le=_MONTH_S, json_schema_extra=_unit("seconds"))]
type PositiveSeconds = Annotated[float, Field(strict=True, ge=0.1, le=_MONTH_S, json_schema_extra=_unit("seconds"))]
type Rate = Annotated[
    float, Field(strict=True, ge=1e-4, le=1e6, json_schema_extra=_unit("messages per second and instance"))
]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class KnownRate(_Part):
    """The rate is known and fixed, from a load test for example."""

    per_instance_per_s: Rate
    """Messages that one busy instance completes in a second."""


class LearnedRate(_Part):
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


class Scaling(_Part):
    """How one deployment is scaled on the depth of its queue.

    A field that a target leaves out comes from the policy's `defaults`, and one that is missing there too has the
    default shown here. `service_rate` is taken as a whole.
    """

    min: Instances = 1
    """Fewest instances. Azure ML cannot go below 1."""

    max: Instances = 1
    """Most instances. With the default nothing grows: how far it may, and so what it may cost, is yours to say."""

    drain_within_s: PositiveSeconds = 1800.0
    """The promise to the queue: a message that arrives now is done within this time."""

    service_rate: ServiceRate = LearnedRate(learn=True)
    """What one instance completes: `{per_instance_per_s: 2.5}`, or `{learn: true, prior_per_instance_per_s: 1.0}`."""

    cold_start_s: Seconds = 900.0
    """Time from the request for a new instance until it serves, as far as it is not yet known from experience."""

    scale_out_cooldown_s: Seconds = 60.0
    """Least time between the end of one change and the next growth."""

    scale_in_cooldown_s: Seconds = 900.0
    """Least time between the end of one change and the next shrinking."""

    scale_in_hold_s: Seconds = 600.0
    """How long a lower need must persist without a break before instances are given back."""

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

    headroom_pct: Annotated[float, Field(strict=True, ge=0, le=90, json_schema_extra=_unit("percent"))] = 20.0
    """Share of each instance's rate that is kept free for what the rates do not show yet."""

    price_usd_per_hour: (
        Annotated[float, Field(strict=True, ge=0, le=1e5, json_schema_extra=_unit("US dollars per instance and hour"))]
        | None
    ) = None
    """What one instance costs; without it, Azure's retail price of the size."""


class Target(_Part):
    """A queue and the deployment that serves it."""

    name: Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": _NAME})]
    """Short, unique name for people, logs and web addresses."""

    deployment: Annotated[
        str,
        AfterValidator(_deployment_id),
        Field(json_schema_extra={"pattern": "^(/[^/]+){12}$", "x-form": form_of(DeploymentId)}),
    ]
    """Full resource id of the Azure ML online deployment to scale."""

    queue: Annotated[
        str,
        AfterValidator(_queue_id),
        Field(json_schema_extra={"pattern": "^(/[^/]+){10}$", "x-form": form_of(QueueId)}),
    ]
    """Full resource id of the Service Bus queue whose work the deployment does."""

    mode: Mode = "observe"
    """`off` looks away, `observe` decides and records, `enforce` also acts. The loop's mode may be more cautious."""

    owner: Annotated[str, AfterValidator(_mail), Field(json_schema_extra={"pattern": _MAIL})] | None = None
    """E-mail address of those who hear about this target."""

    scaling: Scaling = Scaling()
    """How it is scaled; what is left out comes from `defaults`."""

    @property
    def deployment_id(self) -> DeploymentId:
        return DeploymentId.parse(self.deployment)

    @property
    def queue_id(self) -> QueueId:
        return QueueId.parse(self.queue)


class LoopSettings(_Part):
    """One loop, for all targets."""

    mode: Mode = "observe"
    """As a target's `mode`, for the whole loop. The more cautious of the two counts."""


class Loops(_Part):
    """Switches per loop."""

    scaling: LoopSettings = LoopSettings()
    """Scaling on queue depth."""


class Floor(_Part):
    """The platform's word that some deployments never get smaller, whatever a target's own `min` says."""

    match: Annotated[str, AfterValidator(_match), Field(json_schema_extra={"pattern": _GLOB})]
    """Whom it protects: a target's name, a pattern for names (`chat-*`), or the resource id of a deployment."""

    min_instances: Instances
    """Fewest instances."""

    reason: Annotated[str, Field(min_length=1)]
    """Why, for the person who meets it at night."""

    def protects(self, target: Target) -> bool:
        if self.match.startswith("/"):
            return self.match.casefold() == target.deployment.casefold()
        return fnmatchcase(target.name, self.match)


class Limits(_Part):
    """What no target may exceed."""

    quota_reserve_pct: Annotated[float, Field(strict=True, ge=0, le=100, json_schema_extra=_unit("percent"))] = 20.0
    """Quota that must be free for a growth beyond its own need: Azure ML holds 20 % while it updates a deployment."""

    max_instances: Instances = INSTANCES_PER_DEPLOYMENT
    """Most instances of any one deployment."""


class Policy(_Part):
    """All that Watchkeeper is told to do and not to do."""

    version: Annotated[Literal[1], BeforeValidator(_version)]
    """Version of this format: 1."""

    defaults: Scaling = Scaling()
    """Scaling of every target, as far as the target does not say otherwise."""

    targets: tuple[Target, ...] = ()
    """What is scaled."""

    loops: Loops = Loops()
    """Switches per loop."""

    floors: tuple[Floor, ...] = ()
    """Capacity that is never taken away."""

    limits: Limits = Limits()
    """What no target may exceed."""

    @model_validator(mode="after")
    def _complete_targets(self) -> Self:
        inherited = tuple(
            target.model_copy(update={"scaling": _inherit(self.defaults, target.scaling)}) for target in self.targets
        )
        # The one write to a frozen instance, before anyone else has seen it: pydantic must get this same instance back.
        object.__setattr__(self, "targets", inherited)
        return self

    @cached_property
    def version_hash(self) -> str:
        """16 hex digits of a SHA-256 of what is in force; comments, key order, spelt-out defaults do not change it."""
        content = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def target(self, name: str) -> Target | None:
        return next((target for target in self.targets if target.name == name), None)

    def scaling_mode(self, target: Target) -> Mode:
        """How far the scaling loop goes with `target`."""
        return most_cautious(self.loops.scaling.mode, target.mode)

    def floors_of(self, target: Target) -> tuple[Floor, ...]:
        """Every floor that protects `target`; the highest counts."""
        return tuple(floor for floor in self.floors if floor.protects(target))


def _inherit(defaults: Scaling, own: Scaling) -> Scaling:
    return defaults.model_copy(update={name: getattr(own, name) for name in own.model_fields_set})
