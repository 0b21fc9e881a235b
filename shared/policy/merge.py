"""The documents as one policy: the platform's, and each project's held to what the platform grants and allows.

What a project's document may not say never takes effect; it is a finding about that document and changes nothing of the
others'. The result depends on the documents alone, not on their order.

* A target that is not granted is left out. A number that would loosen, or a size above a limit, is held to what is
  allowed.
* A new version of a document is refused for any finding (`shared.policy.cache`). One that was good, and that a newer
  platform's document has made too lax, goes on under these stricter values, and its findings are shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args

from shared.domain import DeploymentId, WorkspaceId
from shared.policy.loading import Written
from shared.policy.models import EnvironmentRules, Policy, ProjectPolicy
from shared.policy.parts import Part
from shared.policy.platform import ProjectGrant, Tags
from shared.policy.problems import Finding, Path, PolicyInvalid, Problem
from shared.policy.scaling import LONGEST_REQUEST_S, Scaling, inherit, too_long, within_budget
from shared.policy.targets import Environment, Floor, Target
from shared.policy.tighten import Owner, declared, tighten

ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment.__value__)
UNRULED: Environment = "prod"
"""What a project's target is where no rule of the platform claims its workspace: the most careful one."""

type Views = Mapping[tuple[str, Environment], Policy]
type TagsByWorkspace = Mapping[str, Tags]
"""Tags by the workspace's key (its id in lower case)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """What is in force, and by document what of it is not, because it may not be."""

    policy: Policy
    findings: Mapping[str, tuple[Problem, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Joined:
    """One project's document as the platform allows it."""

    targets: tuple[Target, ...]
    views: Views
    findings: tuple[Problem, ...]
    added: Policy


@dataclass(frozen=True, slots=True)
class Layer:
    """A place that sets fields of a target's `scaling`: whose it is, and its path in that document."""

    source: str
    path: Path
    scaling: Scaling


def merge(
    platform: Written[Policy], projects: Sequence[Written[ProjectPolicy]] = (), tags: TagsByWorkspace | None = None
) -> Merged:
    """All documents as one policy. `tags` are those of the workspaces, None where they are not known."""
    return Merger(platform, tags).merged(projects)


@dataclass(slots=True)
class Merger:
    """Merges projects' documents into one version of the platform's; what it has joined once, it remembers."""

    platform: Written[Policy]
    tags: TagsByWorkspace | None = None
    _joined: dict[str, tuple[Written[ProjectPolicy], Joined]] = field(default_factory=dict)
    _bases: dict[Environment, Policy] = field(default_factory=dict)
    _grants: dict[str, list[ProjectGrant]] = field(default_factory=dict)
    _environments: dict[str, Environment | None] = field(default_factory=dict)

    def merged(self, projects: Sequence[Written[ProjectPolicy]]) -> Merged:
        """As `merge`."""
        own, views, findings = self._platform_s()
        joined = [self.join(project) for project in sorted(projects, key=lambda one: one.source)]
        for one in joined:
            views |= one.views
        targets = (*own, *(target for one in joined for target in one.targets))
        whole = gathered(self.bare, [one.added for one in joined])
        lists = {name: getattr(whole, name) for name in type(whole).model_fields if declared(Policy, name)}
        policy = self.platform.model.with_views(views, **lists, targets=targets)
        told = {self.platform.source: findings} | {project.source: self.join(project).findings for project in projects}
        return Merged(policy=policy, findings={source: found for source, found in told.items() if found})

    def problems_of(self, error: PolicyInvalid) -> tuple[Problem, ...]:
        """What is wrong with a project's document, with what the platform does not allow as far as it can be read."""
        written: Any = error.written
        if not (isinstance(written, Written) and isinstance(written.model, ProjectPolicy)):
            return error.problems
        told = {problem.path for problem in error.problems}
        more = [problem for problem in _Join(self, written).joined().findings if problem.path not in told]
        return PolicyInvalid(error.source, [*error.problems, *more]).problems

    def join(self, project: Written[ProjectPolicy]) -> Joined:
        """What the platform's document allows of this one; independent of all other projects' documents."""
        known = self._joined.get(project.source)
        if known is None or known[0] is not project:
            known = self._joined[project.source] = (project, _Join(self, project).joined())
        return known[1]

    # ---- what the platform's document says

    def base(self, environment: Environment) -> Policy:
        """What holds in an environment for whoever has no stricter rule, without targets."""
        if environment not in self._bases:
            rules = self.platform.model.environments.rules(environment)
            self._bases[environment], _ = tighten(self.bare, rules, Owner())
        return self._bases[environment]

    @property
    def bare(self) -> Policy:
        """What holds for all, without targets and rules of who owns what."""
        nothing = type(self.platform.model.environments)()
        return self.platform.model.with_views({}, targets=(), workspaces=(), projects=(), environments=nothing)

    def _platform_s(self) -> tuple[tuple[Target, ...], dict[tuple[str, Environment], Policy], tuple[Problem, ...]]:
        """The platform's own targets, what holds for them by environment, and what contradicts the environments."""
        model = self.platform.model
        views = {("", environment): self.base(environment) for environment in ENVIRONMENTS if self._has(environment)}
        found: list[Finding] = []
        for environment in ENVIRONMENTS:
            _, loosening = tighten(self.bare, model.environments.rules(environment), Owner())
            found += [Finding(("environments", environment, *f.path), f.reason, f.remedy) for f in loosening]
        if not any(self._has(environment) for environment in ENVIRONMENTS):
            return model.targets, views, tuple(self.platform.problem(finding) for finding in found)
        targets = []
        for index, target in enumerate(model.targets):
            environment = self.environment_of(target)
            layers = self.layers(index, environment)
            scaling, faults = held(layers, self.base(environment), self.platform.source, target)
            found += faults
            targets.append(target.model_copy(update={"environment": environment, "scaling": scaling}))
        return tuple(targets), views, tuple(self.platform.problem(finding) for finding in found)

    def _has(self, environment: Environment) -> bool:
        return self.platform.model.environments.rules(environment) != EnvironmentRules()

    def layers(self, index: int, environment: Environment) -> list[Layer]:
        """Where the platform's own target number `index` has its scaling from, what counts first."""
        document: Any = self.platform.document.value
        own = Scaling.model_validate(document["targets"][index].get("scaling", {}))
        return [Layer(self.platform.source, ("targets", index, "scaling"), own), *self.defaults_of(environment)]

    def defaults_of(self, environment: Environment) -> list[Layer]:
        """The platform's defaults for an environment, what counts first."""
        model, source = self.platform.model, self.platform.source
        return [
            Layer(source, ("environments", environment, "defaults"), model.environments.rules(environment).defaults),
            Layer(source, ("defaults",), model.defaults),
        ]

    def environment_of(self, target: Target) -> Environment:
        """What the platform's rules say of the target's workspace, else what the target says of itself."""
        return self.ruled_environment(target.deployment_id) or target.environment

    def ruled_environment(self, deployment: DeploymentId) -> Environment | None:
        """What the platform's rules say of a deployment's workspace; None if they say nothing."""
        workspace = deployment.workspace_id.lower()
        if workspace not in self._environments:
            tags = None if self.tags is None else self.tags.get(workspace)
            known = WorkspaceId.parse(deployment.workspace_id)
            self._environments[workspace] = self.platform.model.environments.of(known, tags)
        return self._environments[workspace]

    def grant_of(self, deployment: DeploymentId) -> ProjectGrant | None:
        """The first grant that gives this deployment to a project."""
        workspace = deployment.workspace_id.lower()
        if workspace not in self._grants:
            known = WorkspaceId.parse(deployment.workspace_id)
            self._grants[workspace] = [grant for grant in self.platform.model.projects if grant.covers(known)]
        return next((grant for grant in self._grants[workspace] if grant.has_endpoint(deployment.endpoint)), None)


class _Join:
    """One project's document against one version of the platform's."""

    def __init__(self, merger: Merger, project: Written[ProjectPolicy]) -> None:
        self._merger, self._project, self._model = merger, project, project.model
        self._found: list[Finding] = []
        self._owner = Owner(
            project=self._model.project,
            names=frozenset(target.name for target in self._model.targets),
            deployments=frozenset(target.deployment_id.key for target in self._model.targets),
        )
        platform = merger.platform.model
        self._taken = {target.deployment_id.key: target.name for target in platform.targets}
        self._grant = next((grant for grant in platform.projects if grant.name == self._model.project), None)

    def joined(self) -> Joined:
        bare = self._merger.bare
        if self._grant is None:
            reason = f"is '{self._model.project}', which the platform's document does not know"
            self._blame(("project",), reason, "Ask the platform team for an entry in its `projects`.")
            return Joined(targets=(), views={}, findings=self._problems(), added=bare)
        self._model = self._with_granted_dead_letters(self._grant, self._with_granted_channels(self._grant))
        added, loosening = tighten(bare, self._model, self._owner)
        self._found += loosening
        added = self._with_possible_floors(added, len(bare.floors))
        views: dict[tuple[str, Environment], Policy] = {}
        for environment in ENVIRONMENTS:
            base = self._merger.base(environment)
            view, _ = tighten(base, self._model, self._owner)
            views[(self._model.project, environment)] = view.with_views({}, floors=added.floors)
        targets = [self._target(index, target, views) for index, target in enumerate(self._model.targets)]
        return Joined(
            targets=tuple(target for target in targets if target is not None),
            views=views,
            findings=self._problems(),
            added=added,
        )

    def _problems(self) -> tuple[Problem, ...]:
        problems = [self._project.problem(finding) for finding in self._found]
        return tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.path)))

    def _with_granted_channels(self, grant: ProjectGrant) -> ProjectPolicy:
        """The document without the channels whose secret is not the project's: nobody borrows another one's webhook."""
        notices = self._model.notices
        granted = []
        for index, channel in enumerate(notices.channels):
            if channel.secret is None or grant.may_use(channel.secret):
                granted.append(channel)
                continue
            reason = f"is '{channel.secret}', which the platform does not grant to this project"
            remedy = "Ask the platform team to add it to the project's `secrets`, or correct the name."
            self._blame(("notices", "channels", index, "secret"), reason, remedy)
        if len(granted) == len(notices.channels):
            return self._model
        kept = notices.model_copy(update={"channels": tuple(granted)})
        return self._model.model_copy(update={"notices": kept})

    def _with_granted_dead_letters(self, grant: ProjectGrant, model: ProjectPolicy) -> ProjectPolicy:
        """The document without the dead letters of what is not the project's."""
        granted = []
        for index, entry in enumerate(model.dead_letters):
            if grant.may_look_after(entry.namespace or "", entry.queue or entry.topic or ""):
                granted.append(entry)
                continue
            reason = "is a queue or topic that the platform does not grant to this project"
            remedy = "Ask the platform team to add it to the project's `queues` by namespace and name, or correct it."
            self._blame(("dead_letters", index), reason, remedy)
        return model.model_copy(update={"dead_letters": tuple(granted)})

    def _with_possible_floors(self, added: Policy, first: int) -> Policy:
        """A floor of the project cannot ask for more than any deployment may have."""
        limit = added.limits.max_instances
        floors: list[Floor] = list(added.floors)
        for index, floor in enumerate(floors[first:]):
            if floor.min_instances > limit:
                reason = f"is {floor.min_instances}, more than limits.max_instances allows, which is {limit}"
                self._blame(("floors", index, "min_instances"), reason, "Lower it, or ask the platform team.")
                floors[first + index] = floor.model_copy(update={"min_instances": limit})
        return added.with_views({}, floors=tuple(floors))

    def _target(self, index: int, target: Target, views: Views) -> Target | None:
        if not self._is_granted(index, target):
            return None
        project = self._model.project
        if target.project not in (None, project):
            self._blame(("targets", index, "project"), f"is another project than '{project}'", "Remove it.")
        environment = self._environment(index, target)
        layers = self.layers(index, target, environment)
        scaling, faults = held(layers, views[(project, environment)], self._project.source, target)
        self._found += faults
        fixed = {"name": self._owner.qualified(target.name), "project": project, "environment": environment}
        grant_owner = self._grant.owner if self._grant is not None else None
        owner = target.owner or self._model.owner or grant_owner
        return target.model_copy(update=fixed | {"owner": owner, "scaling": scaling})

    def _environment(self, index: int, target: Target) -> Environment:
        """By the platform's rules alone: a project that called prod dev would be free of what holds for prod."""
        ruled, at = self._merger.ruled_environment(target.deployment_id), ("targets", index, "environment")
        environment = ruled or UNRULED
        if environment == target.environment or "environment" not in target.model_fields_set:
            return environment
        if ruled is not None:
            reason = f"is {target.environment}, but by the platform's rules its workspace is {ruled}"
            self._blame(at, reason, "Remove it: the platform's rules count.")
        else:
            reason = f"is {target.environment}, but no rule of the platform says so of its workspace: it is {UNRULED}"
            remedy = f"Remove it, or ask the platform to name the workspace in environments.{target.environment}."
            self._blame(at, reason, remedy)
        return environment

    def layers(self, index: int, target: Target, environment: Environment) -> list[Layer]:
        source = self._project.source
        return [
            Layer(source, ("targets", index, "scaling"), target.scaling),
            Layer(source, ("defaults",), self._model.defaults),
            *self._merger.defaults_of(environment),
        ]

    def _is_granted(self, index: int, target: Target) -> bool:
        grant = self._merger.grant_of(target.deployment_id)
        at = ("targets", index, "deployment")
        if grant is None:
            reason = "is in no workspace that the platform grants to this project"
            self._blame(at, reason, "Ask the platform team to grant it in its `projects`, or correct the id.")
        elif grant.name != self._model.project:
            reason = f"belongs to the project '{grant.name}' by the platform's document"
            self._blame(at, reason, "Remove the target, or ask the platform team.")
        elif target.deployment_id.key in self._taken:
            name = self._taken[target.deployment_id.key]
            self._blame(at, f"is already watched as the platform's own target '{name}'", "Keep one of the two.")
        elif target.queue_id is not None and not grant.may_read(target.queue_id):
            reason = "is a queue that the platform does not grant to this project"
            remedy = "Ask the platform team to add it to the project's `queues`, or correct the id."
            self._blame(("targets", index, "queue"), reason, remedy)
        else:
            return True
        return False

    def _blame(self, path: Path, reason: str, remedy: str) -> None:
        self._found.append(Finding(path, reason, remedy))


def held(layers: Sequence[Layer], view: Policy, source: str, target: Target) -> tuple[Scaling, list[Finding]]:
    """The scaling that `layers` make (the first counts) for `target`, within the limits of `view` and what can be
    promised to it; what `source` asked beyond them.

    What a default of the other document brings beyond a limit is no fault of `source`: it is held to it without a word.
    """
    scaling = layers[-1].scaling
    for layer in reversed(layers[:-1]):
        scaling = inherit(scaling, layer.scaling)
    found: list[Finding] = []
    limit = view.limits.max_instances
    if scaling.max > limit:
        reason = f"is {scaling.max}, more than limits.max_instances allows, which is {limit}"
        found += _blamed(layers, source, ("max",), reason, "Lower it, or have the limit raised.")
        scaling = scaling.model_copy(update={"max": limit})
    if scaling.min > scaling.max:
        reason = f"min is {scaling.min}, more than max, which is {scaling.max}"
        found += _blamed(layers, source, ("min", "max"), reason, "Raise max or lower min.") if not found else []
        scaling = scaling.model_copy(update={"min": scaling.max})
    if target.load is not None and scaling.drain_within_s > LONGEST_REQUEST_S:
        reason, remedy = too_long(f"{scaling.drain_within_s:g}")
        own = list(_blamed(layers, source, ("drain_within_s",), reason, remedy))
        found += own or [Finding(layers[0].path, reason, remedy)]  # not said for this target is its author's fault too
        scaling = scaling.model_copy(update={"drain_within_s": LONGEST_REQUEST_S})
    found += _beyond(layers, source, scaling, view)
    return within_budget(scaling, view.limits.budget_usd_per_hour), found


def _beyond(layers: Sequence[Layer], source: str, scaling: Scaling, view: Policy) -> Iterator[Finding]:
    """What else of `scaling` asks for more than it may have: a budget, a scheduled load. Neither is ever given it."""
    limit, own = view.limits.budget_usd_per_hour, scaling.budget_usd_per_hour
    if limit is not None and own is not None and own > limit:
        reason = f"is {own:g}, more than limits.budget_usd_per_hour allows, which is {limit:g}"
        yield from _blamed(layers, source, ("budget_usd_per_hour",), reason, "Lower it, or have the limit raised.")
    for load in scaling.schedule:
        if load.min > scaling.max:
            reason = f"'{load.name}' has min {load.min}, more than max, which is {scaling.max}"
            yield from _blamed(layers, source, ("schedule", "max"), reason, "Raise max or lower the load's min.")


def _blamed(
    layers: Sequence[Layer], source: str, names: tuple[str, ...], reason: str, remedy: str
) -> Iterator[Finding]:
    """The finding at the first of these fields that `source` sets, if it sets one that counts."""
    for name in names:
        layer = next((layer for layer in layers if name in layer.scaling.model_fields_set), None)
        if layer is not None and layer.source == source:
            yield Finding((*layer.path, name), reason, remedy)
            return


def gathered[P: Part](base: P, views: Sequence[P]) -> P:
    """`base` with what each of `views`, made of it by `tighten`, has added to its lists; all else stays."""
    changed: dict[str, Any] = {}
    for name in type(base).model_fields:
        how, value = declared(type(base), name), getattr(base, name)
        if how == "add":
            changed[name] = (*value, *(item for view in views for item in getattr(view, name)[len(value) :]))
        elif how == "within" and isinstance(value, Part):
            changed[name] = gathered(value, [getattr(view, name) for view in views])
    return base.model_copy(update=changed)
