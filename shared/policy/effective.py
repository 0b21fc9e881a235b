"""What holds for one target, field by field, and which line of which document says so.

The layers, what counts first: the target, its project's document, its environment, the platform's document, the default
of the format. In a section that is tightened the strictest counts, whoever says it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Literal

from pydantic import JsonValue, TypeAdapter

from shared.policy.loading import Written
from shared.policy.merge import Layer, Merger
from shared.policy.models import Policy, ProjectPolicy, Sections
from shared.policy.parts import Part
from shared.policy.problems import Path, spell
from shared.policy.scaling import Scaling
from shared.policy.targets import Target
from shared.policy.tighten import declared

type LayerName = Literal["target", "project", "environment", "platform", "default"]

_PLAIN: TypeAdapter[Any] = TypeAdapter(Any)
_OF_ITS_OWN = ("version", "defaults", "targets", "workspaces", "environments", "projects", "retention")
"""Fields of a document that hold for no single target, or are shown as its scaling."""
_REVERSALS = ("limits", "breaker", "reversals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One effective field: `layer` set it, at `path` and `line` of `document` ("", None for a default of the format).

    `note` says where the value comes from if not from that line alone.
    """

    name: str
    value: JsonValue
    layer: LayerName
    document: str = ""
    path: str = ""
    line: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Level:
    """A part of a document that may set fields of the sections: a document, or an environment in the platform's."""

    layer: LayerName
    written: Written[Any]
    path: Path
    part: Part


def effective(
    merger: Merger, projects: Sequence[Written[ProjectPolicy]], policy: Policy, target: Target
) -> tuple[Field, ...]:
    """Every field of `target`, a target of `policy`, which `merger` made of `projects`."""
    return tuple(_Tracing(merger, projects, policy, target).fields())


class _Tracing:
    def __init__(
        self, merger: Merger, projects: Sequence[Written[ProjectPolicy]], policy: Policy, target: Target
    ) -> None:
        self._merger, self._policy, self._target = merger, policy, target
        self._project = next((one for one in projects if one.model.project == target.project), None)
        home: Written[Any] = merger.platform
        if self._project is not None and "." in target.name:
            home = self._project
        self._home = home
        local = target.name.rpartition(".")[2]
        self._index = next(index for index, one in enumerate(home.model.targets) if one.name == local)

    def fields(self) -> Iterator[Field]:
        yield from self._own()
        yield from self._scaling()
        view = self._policy.of(self._target)
        for name in Sections.model_fields:
            if name not in _OF_ITS_OWN:
                yield from self._section(getattr(view, name), (name,), declared(Policy, name) == "add")

    # ---- the target itself

    def _own(self) -> Iterator[Field]:
        target, at = self._target, ("targets", self._index)
        yield self._set("name", target.name, "target", self._home, (*at, "name"))
        yield self._set("deployment", target.deployment, "target", self._home, (*at, "deployment"))
        source = "load" if target.load else "queue"
        yield self._set(source, plain(getattr(target, source)), "target", self._home, (*at, source))
        yield self._said("mode", target.mode, (*at, "mode"))
        yield self._environment()
        yield self._owner()
        if self._home is self._project:
            yield self._set("project", target.project, "project", self._home, ("project",))
        else:
            yield self._said("project", target.project, (*at, "project"))

    def _said(self, name: str, value: Any, path: Path) -> Field:
        """A field of the target, or the format's default."""
        if path in self._home.document.lines:
            return self._set(name, value, "target", self._home, path)
        return Field(name=name, value=value, layer="default")

    def _environment(self) -> Field:
        target, environment = self._target, self._target.environment
        if self._merger.ruled_environment(target.deployment_id) is None:
            return self._said("environment", environment, ("targets", self._index, "environment"))
        path = ("environments", environment, "workspaces")
        return self._set("environment", environment, "environment", self._merger.platform, path)

    def _owner(self) -> Field:
        at = ("targets", self._index, "owner")
        owner = self._target.owner
        if at in self._home.document.lines or self._project is None:
            return self._said("owner", owner, at)
        if self._project.model.owner is not None:
            return self._set("owner", owner, "project", self._project, ("owner",))
        grants = self._merger.platform.model.projects
        index = next((i for i, grant in enumerate(grants) if grant.name == self._target.project), 0)
        if owner is None:
            return Field(name="owner", value=None, layer="default")
        return self._set("owner", owner, "platform", self._merger.platform, ("projects", index, "owner"))

    # ---- scaling

    def _scaling(self) -> Iterator[Field]:
        layers, scaling = self._layers(), self._target.scaling
        left_out = {"scale_in_hold_s": scaling.hold_s, "scale_in_cooldown_s": scaling.cooldown_s}
        for name in Scaling.model_fields:
            value = plain(getattr(scaling, name))
            layer = next((one for one in layers if name in one.scaling.model_fields_set), None)
            if layer is None:
                field = Field(name=f"scaling.{name}", value=value, layer="default")
            else:
                written = self._home if layer.source == self._home.source else self._merger.platform
                field = self._set(f"scaling.{name}", value, _layer_of(layer, written), written, (*layer.path, name))
            default = Scaling.model_fields[name].default if layer is None else getattr(layer.scaling, name)
            if value is None and name in left_out:
                yield replace(field, value=left_out[name], note="by cold_start_s")
            elif plain(default) == value:
                yield field
            else:
                yield replace(field, note=f"{plain(default)} is held to the limits")

    def _layers(self) -> list[Layer]:
        environment = self._target.environment
        if self._home is self._merger.platform:
            return self._merger.layers(self._index, environment)
        model = self._home.model
        return [
            Layer(self._home.source, ("targets", self._index, "scaling"), model.targets[self._index].scaling),
            Layer(self._home.source, ("defaults",), model.defaults),
            *self._merger.defaults_of(environment),
        ]

    # ---- sections

    def _section(self, value: Any, path: Path, is_added: bool) -> Iterator[Field]:
        if is_added:
            yield from self._list(value, path)
        elif isinstance(value, Part):
            for name in type(value).model_fields:
                yield from self._section(getattr(value, name), (*path, name), declared(type(value), name) == "add")
        elif path == _REVERSALS:
            yield self._reversals(value, path)
        else:
            yield self._strictest(value, path)

    def _reversals(self, value: Any, path: Path) -> Field:
        number = self._policy.reversals_of(self._target)
        if number == value:
            return self._strictest(value, path)
        unheard = "" if value is None else f"; {value} would be looser"
        return Field(
            name=spell(path), value=number, layer="default", note=f"by cold start, hold and cool-downs{unheard}"
        )

    def _strictest(self, value: Any, path: Path) -> Field:
        """The first level that says the value that holds."""
        name = spell(path)
        for level in self._levels():
            found, is_set = _value_in(level.part, path)
            if is_set and found == value:
                return self._set(name, plain(value), level.layer, level.written, (*level.path, *path))
        return Field(name=name, value=plain(value), layer="default")

    def _list(self, items: Sequence[Part], path: Path) -> Iterator[Field]:
        platform = self._merger.platform
        of_platform = _value_in(platform.model, path)[0] or ()
        for index, item in enumerate(items):
            if not concerns(item, self._target):
                continue
            name = f"{spell(path)}[{index}]"
            if index < len(of_platform) or self._project is None:
                yield self._set(name, plain(item), "platform", platform, (*path, index))
            else:
                yield self._set(name, plain(item), "project", self._project, (*path, index - len(of_platform)))

    def _levels(self) -> Iterator[_Level]:
        platform, environment = self._merger.platform, self._target.environment
        if self._project is not None:
            yield _Level(layer="project", written=self._project, path=(), part=self._project.model)
        rules = platform.model.environments.rules(environment)
        yield _Level(layer="environment", written=platform, path=("environments", environment), part=rules)
        yield _Level(layer="platform", written=platform, path=(), part=platform.model)

    def _set(self, name: str, value: Any, layer: LayerName, written: Written[Any], path: Path) -> Field:
        line = written.document.line_of(path)
        return Field(name=name, value=value, layer=layer, document=written.source, path=spell(path), line=line)


def concerns(item: Part, target: Target) -> bool:
    """Whether an entry of a list is about `target`: by its environments, its scope, its pattern or its projects."""
    environments = getattr(item, "environments", ())
    if environments and target.environment not in environments:
        return False
    scopes = getattr(item, "scopes", None) or (getattr(item, "scope", "all"),)
    contained = target.place("").scopes
    if not any(scope in contained or scope.startswith("loop:") for scope in scopes):
        return False
    match = str(getattr(item, "match", "*"))
    if match.startswith("/"):
        return match.casefold() == target.deployment.casefold()
    projects = getattr(item, "projects", ())
    return fnmatchcase(target.name, match) and (not projects or target.project in projects)


def plain(value: Any) -> JsonValue:
    """A value of a policy as JSON."""
    shown: JsonValue = _PLAIN.dump_python(value, mode="json")
    return shown


def _layer_of(layer: Layer, written: Written[Any]) -> LayerName:
    if layer.path[0] == "targets":
        return "target"
    if layer.path[0] == "environments":
        return "environment"
    return "project" if isinstance(written.model, ProjectPolicy) else "platform"


def _value_in(part: Any, path: Path) -> tuple[Any, bool]:
    """The value at `path` of a part, and whether it is written there."""
    is_set = True
    for name in path:
        if not isinstance(part, Part) or not isinstance(name, str) or name not in type(part).model_fields:
            return None, False
        is_set = is_set and name in part.model_fields_set
        part = getattr(part, name)
    return part, is_set
