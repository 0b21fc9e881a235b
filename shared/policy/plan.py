"""What a change of the documents would do to the targets that there are: before against after, field by field.

A change is `looser` if Watchkeeper may then do more, or protects less: whoever reviews it should look at those first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import JsonValue

from shared.domain import Mode, most_cautious
from shared.policy.effective import Field, effective
from shared.policy.loading import Written
from shared.policy.merge import Merged, Merger
from shared.policy.models import Policy, ProjectPolicy, Sections
from shared.policy.problems import Problem
from shared.policy.targets import Target
from shared.policy.tighten import How, declared

type What = Literal["added", "removed", "changed"]

_MODES: tuple[Mode, ...] = ("off", "observe", "enforce")
# Fields of a target that no section bounds: which way is looser.
_LOOSER: Mapping[str, Literal["more", "less"]] = {
    "scaling.max": "more",
    "scaling.min": "less",
    "scaling.max_step_out": "more",
    "scaling.max_step_in": "more",
    "scaling.scale_in_cooldown_s": "less",
    "scaling.scale_in_hold_s": "less",
    "scaling.respect_manual_s": "less",
    "scaling.stale_after_s": "more",
}
_ENVIRONMENTS = ("dev", "stage", "prod")


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """All documents, merged."""

    merger: Merger
    projects: Sequence[Written[ProjectPolicy]]
    merged: Merged

    @classmethod
    def of(cls, platform: Written[Policy], projects: Sequence[Written[ProjectPolicy]]) -> "State":
        merger = Merger(platform)
        return cls(merger=merger, projects=projects, merged=merger.merged(projects))

    @property
    def policy(self) -> Policy:
        return self.merged.policy

    def fields(self, target: Target) -> Mapping[str, Field]:
        """The target's effective fields by name; entries of lists by what they say: their order is no change."""
        found: dict[str, Field] = {}
        for field in effective(self.merger, self.projects, self.policy, target):
            is_entry = field.name.endswith("]")
            name = f"{field.name.rpartition('[')[0]}[{_entry(field.value)}]" if is_entry else field.name
            found[name] = field
        mode = self.policy.scaling_mode(target)
        found["effective mode"] = Field(name="effective mode", value=mode, layer="default")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One effective field that changes: its values (None: it is not there), and `where`, the line that sets it then."""

    name: str
    before: JsonValue
    after: JsonValue
    where: str
    is_looser: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetPlan:
    """What happens to one target. Of one that comes or goes, `changes` says only what it may do."""

    target: str
    what: What
    project: str
    owner: str
    changes: tuple[Change, ...]

    @property
    def is_looser(self) -> bool:
        return any(change.is_looser for change in self.changes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every target that changes, by name; and by document what of it would be held to stricter values then."""

    targets: tuple[TargetPlan, ...]
    unchanged: int
    held: Mapping[str, tuple[Problem, ...]]

    @property
    def is_looser(self) -> bool:
        return any(target.is_looser for target in self.targets)


def plan(before: State, after: State) -> Plan:
    """What going from `before` to `after` does. A target is the same if its name and deployment are."""
    old = {(one.name, one.deployment_id.key): one for one in before.policy.targets}
    new = {(one.name, one.deployment_id.key): one for one in after.policy.targets}
    found: list[TargetPlan] = []
    for key in sorted(old.keys() | new.keys()):
        if key not in new:
            found.append(_gone(before, old[key]))
        elif key not in old:
            found.append(_come(after, new[key]))
        elif changes := tuple(_changes(before.fields(old[key]), after.fields(new[key]))):
            found.append(_planned(new[key], "changed", changes))
    unchanged = len(new) - sum(one.what != "removed" for one in found)
    return Plan(targets=tuple(found), unchanged=unchanged, held=after.merged.findings)


def _planned(target: Target, what: What, changes: tuple[Change, ...]) -> TargetPlan:
    return TargetPlan(
        target=target.name, what=what, project=target.project or "", owner=target.owner or "", changes=changes
    )


def _gone(before: State, target: Target) -> TargetPlan:
    mode = before.policy.scaling_mode(target)
    change = Change(name="effective mode", before=mode, after=None, where="", is_looser=False)
    return _planned(target, "removed", (change,))


def _come(after: State, target: Target) -> TargetPlan:
    """A target that comes is looser if it will be acted on."""
    fields = after.fields(target)
    mode = after.policy.scaling_mode(target)
    changes = [Change(name="effective mode", before=None, after=mode, where="", is_looser=mode == "enforce")]
    for name in ("scaling.min", "scaling.max"):
        field = fields[name]
        changes.append(Change(name=name, before=None, after=field.value, where=_where(field), is_looser=False))
    return _planned(target, "added", tuple(changes))


def _changes(old: Mapping[str, Field], new: Mapping[str, Field]) -> Iterator[Change]:
    for name in sorted(old.keys() | new.keys()):
        before, after = old.get(name), new.get(name)
        was, will_be = before.value if before else None, after.value if after else None
        if was == will_be and (before is None) == (after is None):
            continue
        yield Change(
            name=name,
            before=was,
            after=will_be,
            where=_where(after) if after else "",
            is_looser=_is_looser(name, was, will_be, came=before is None),
        )


def _is_looser(name: str, was: Any, will_be: Any, *, came: bool) -> bool:
    if name.endswith("]"):
        return not came  # an entry of a list that tightens is gone
    if name in ("mode", "effective mode"):
        return was != will_be and bool(most_cautious(was, will_be) == was)
    if name == "environment":
        return _ENVIRONMENTS.index(will_be) < _ENVIRONMENTS.index(was)
    if name in _LOOSER:
        return _is_further(was, will_be, more=_LOOSER[name] == "more")
    return _loosens(_how(name), was, will_be)


def _loosens(how: How | None, was: Any, will_be: Any) -> bool:
    match how:
        case "lower" | "higher":
            return _is_further(was, will_be, more=how == "lower")
        case "on":
            return bool(was) and not will_be
        case "cautious":
            return _MODES.index(will_be) > _MODES.index(was)
        case "subset":
            return bool(was) and (not will_be or not set(will_be) <= set(was))
    return False


def _is_further(was: float | None, will_be: float | None, *, more: bool) -> bool:
    """Whether a number allows more than before; None is no limit."""
    if was is None or will_be is None:
        return will_be is None
    return will_be > was if more else will_be < was


def _how(name: str) -> How | None:
    """How a project might tighten this field of a section, which tells what is looser."""
    model: Any = Sections
    how: How | None = None
    for part in name.split("."):
        if not hasattr(model, "model_fields") or part not in model.model_fields:
            return None
        how, model = declared(model, part), model.model_fields[part].annotation
    return how


def _entry(value: Any) -> str:
    """What names an entry of a list: its name, or what it matches."""
    said = value if isinstance(value, dict) else {}
    return str(said.get("name") or ", ".join(f"{key}={item}" for key, item in said.items()))


def _where(field: Field) -> str:
    return f"{field.document}:{field.line}" if field.document else ""
