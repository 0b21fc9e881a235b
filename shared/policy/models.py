"""The policy as types: what the platform team promises, allows and forbids. Schema and reference are made from here.

Every field has its unit in its name and in the schema (`x-unit`), a default where one is safe, and a docstring that is
the reference text. `Policy` in memory is what is in force: each target's `scaling` is complete. `load_policy` makes it,
and checks what goes across fields; a policy that is built by hand has not been checked for that.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, PrivateAttr, model_validator

from shared.domain import INSTANCES_PER_DEPLOYMENT, Mode, WorkspaceId, most_cautious
from shared.policy.approvals import ApprovalRule
from shared.policy.belts import BlastRadius, Breaker, Days, Region
from shared.policy.dead_letters import WatchedDeadLetters
from shared.policy.freezes import Freeze
from shared.policy.notices import Notices
from shared.policy.parts import Instances, Mail, Name, Part, Percent, UsdPerHour, refuse, unique_names
from shared.policy.platform import ProjectGrant, Tags, WorkspaceRule
from shared.policy.retention import Retention
from shared.policy.scaling import Scaling, inherit, within_budget
from shared.policy.targets import Environment, Floor, Target
from shared.policy.tighten import tightens


def _version(value: Any) -> Any:
    if type(value) is not int or value != 1:  # true and 1.0 equal 1 in Python
        raise refuse("is not a version that this Watchkeeper reads", "Write `version: 1`.")
    return value


class LoopSettings(Part):
    """One loop, for all targets."""

    mode: Annotated[Mode, tightens("cautious")] = "observe"
    """As a target's `mode`, for the whole loop. The more cautious of the two counts."""


class Loops(Part):
    """Switches per loop."""

    scaling: Annotated[LoopSettings, tightens("within")] = LoopSettings()
    """Scaling on queue depth."""


class Limits(Part):
    """What no target may exceed."""

    quota_reserve_pct: Annotated[Percent, tightens("higher")] = 20.0
    """Quota that must be free for a growth beyond its own need: Azure ML holds 20 % while it updates a deployment."""

    max_instances: Annotated[Instances, tightens("lower")] = INSTANCES_PER_DEPLOYMENT
    """Most instances of any one deployment."""

    budget_usd_per_hour: Annotated[UsdPerHour | None, tightens("lower")] = None
    """Most that any one deployment may cost in an hour: holds every target's `budget_usd_per_hour`. None: no limit."""

    blast_radius: Annotated[BlastRadius, tightens("within")] = BlastRadius()
    """How much may be changed in an hour."""

    breaker: Annotated[Breaker, tightens("within")] = Breaker()
    """When failures stop the changes."""

    allowed_regions: Annotated[tuple[Region, ...], tightens("subset")] = ()
    """Azure regions in which anything may be changed; empty for all."""

    exemption_max_days: Annotated[Days, tightens("lower")] = 90
    """For how long an exemption may be given at most."""


class Sections(Part):
    """What both kinds of documents have: the platform's says what holds, a project's may only make it stricter.

    A field here that a project may set says how (`tightens`); nothing else is needed for it to be merged.
    """

    version: Annotated[Literal[1], BeforeValidator(_version)]
    """Version of this format: 1."""

    defaults: Scaling = Scaling()
    """Scaling of every target, as far as the target does not say otherwise."""

    targets: tuple[Target, ...] = ()
    """What is scaled."""

    loops: Annotated[Loops, tightens("within")] = Loops()
    """Switches per loop."""

    floors: Annotated[tuple[Floor, ...], tightens("add")] = ()
    """Capacity that is never taken away."""

    limits: Annotated[Limits, tightens("within")] = Limits()
    """What no target may exceed."""

    notices: Annotated[Notices, tightens("within")] = Notices()
    """Who is told what, and by which way."""

    freezes: Annotated[tuple[Freeze, ...], tightens("add")] = ()
    """When nothing is changed."""

    approvals: Annotated[tuple[ApprovalRule, ...], AfterValidator(unique_names), tightens("add")] = ()
    """Changes that wait for people."""

    dead_letters: Annotated[tuple[WatchedDeadLetters, ...], AfterValidator(unique_names), tightens("add")] = ()
    """Queues and subscriptions whose dead letters people look after, beside those of the signals and the targets."""


class EnvironmentRules(Part):
    """Which workspaces are of one environment, and what holds for their targets beside the rest of the document."""

    workspaces: tuple[WorkspaceRule, ...] = ()
    """Its workspaces. Where several environments claim one, the more careful counts: prod, stage, dev."""

    defaults: Scaling = Scaling()
    """As the document's `defaults`, for targets of this environment: goes before them."""

    limits: Limits = Limits()
    """As the document's `limits`, for targets of this environment: may only be stricter."""

    loops: Loops = Loops()
    """As the document's `loops`, for targets of this environment: the more cautious counts."""


class Environments(Part):
    """What is dev, stage and prod. Where none of them claims a workspace, a target of the platform's document is what
    it says of itself, and one of a project is prod."""

    dev: EnvironmentRules = EnvironmentRules()
    """For development: what breaks here, nobody notices."""

    stage: EnvironmentRules = EnvironmentRules()
    """The rehearsal of production."""

    prod: EnvironmentRules = EnvironmentRules()
    """Production."""

    @property
    def by_tags(self) -> bool:
        """Whether a rule goes by tags."""
        return any(rule.tags for rules in (self.dev, self.stage, self.prod) for rule in rules.workspaces)

    def of(self, workspace: WorkspaceId, tags: Tags | None) -> Environment | None:
        """The environment that the rules put a workspace into, None if they do not.

        Tags that are not known (None) could say anything: then it is the most careful that they could make it.
        """
        ranked: tuple[tuple[Environment, EnvironmentRules], ...] = (
            ("prod", self.prod),
            ("stage", self.stage),
            ("dev", self.dev),
        )
        for name, rules in ranked:
            if any(rule.matches(workspace, tags) is not False for rule in rules.workspaces):
                return name
        return None

    def rules(self, environment: Environment) -> EnvironmentRules:
        return {"dev": self.dev, "stage": self.stage, "prod": self.prod}[environment]


class ProjectPolicy(Sections):
    """One project's document, owned by its team: its targets, and where it wants less than the platform allows."""

    project: Name
    """The project's name, as the platform's document grants it; the document's file is `<project>.yaml`."""

    owner: Mail | None = None
    """Who hears about its targets where they do not say."""


class Policy(Sections):
    """All that Watchkeeper is told to do and not to do: the platform's document, and what the projects' add to it."""

    workspaces: tuple[WorkspaceRule, ...] = ()
    """What is watched: workspaces by id, or rules that find them. One that no project has a target in is reported."""

    environments: Environments = Environments()
    """What is dev, stage and prod, with limits and defaults of their own."""

    projects: tuple[ProjectGrant, ...] = ()
    """Who may own what. What is not granted here is refused in a project's document."""

    retention: Retention = Retention()
    """How long what is written down is kept."""

    _views: Mapping[tuple[str, Environment], "Policy"] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _complete_targets(self) -> Self:
        limit = self.limits.budget_usd_per_hour
        inherited = tuple(
            target.model_copy(update={"scaling": within_budget(inherit(self.defaults, target.scaling), limit)})
            for target in self.targets
        )
        # The one write to a frozen instance, before anyone else has seen it: pydantic must get this same instance back.
        object.__setattr__(self, "targets", inherited)
        return self

    @cached_property
    def version_hash(self) -> str:
        """16 hex digits of a SHA-256 of what is in force; comments, key order, spelt-out defaults do not change it."""
        whole = self.model_dump(mode="json")
        if self._views:
            whole["views"] = {":".join(key): view.model_dump(mode="json") for key, view in self._views.items()}
        content = json.dumps(whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    @property
    def goes_by_tags(self) -> bool:
        """Whether the tags of workspaces decide about an environment."""
        return self.environments.by_tags

    def target(self, name: str) -> Target | None:
        return next((target for target in self.targets if target.name == name), None)

    def scaling_mode(self, target: Target) -> Mode:
        """How far the scaling loop goes with `target`."""
        return most_cautious(self.of(target).loops.scaling.mode, target.mode)

    def of(self, target: Target) -> "Policy":
        """What holds for `target`: this policy, made stricter by its environment and by its project.

        Its `targets` are empty, and its lists (`floors` and such) have no entries of other projects.
        """
        of_environment = self._views.get(("", target.environment), self)
        return self._views.get((target.project or "", target.environment), of_environment)

    def limits_of(self, target: Target) -> Limits:
        """What `target` may not exceed: the strictest of platform, environment and project."""
        return self.of(target).limits

    def reversals_of(self, target: Target) -> int:
        """So many changes back and forth stop the shrinking of `target`. A project that writes a number can only lower
        it; its hold and cool-downs move the one that counts where none is written. That one is of the document's own
        window: within a longer one, which is the stricter, it must not grow.
        """
        written, own = self.limits_of(target).breaker.reversals, self.limits.breaker
        if written is not None and own.reversals is not None:
            return written
        flapping = own.flapping_reversals(target.rules)
        return flapping if written is None else min(written, flapping)

    def with_views(self, views: Mapping[tuple[str, Environment], "Policy"], **changed: Any) -> "Policy":
        """This policy with other fields, and with what holds per project ("": the platform's own) and environment."""
        made = self.model_copy(update=changed)
        made.__dict__.pop("version_hash", None)  # the copy has it of the original
        made._views = dict(views)
        return made

    def floor_of(self, target: Target) -> int:
        """The highest floor that protects `target`, 0 where none does."""
        return max((floor.min_instances for floor in self.floors_of(target)), default=0)

    def floors_of(self, target: Target) -> tuple[Floor, ...]:
        """Every floor that protects `target`; the highest counts."""
        return tuple(floor for floor in self.of(target).floors if floor.protects(target))
