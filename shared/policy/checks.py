"""What no field can tell alone: contradictions, which are refused, and oddities, which are warned of.

The checks read the document as it was written, in which wrong fields are marked, so that one wrong field does not hide
what is wrong between the others.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain import DeploymentId, most_cautious
from shared.policy.document import Value
from shared.policy.models import Policy, Scaling
from shared.policy.problems import Path

_METRICS_LATE_S = 240  # a minute of metrics, and up to three until it appears


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or odd at `path`."""

    path: Path
    reason: str
    remedy: str


class _Wrong:
    """Stands where a value was refused: nothing may be concluded from it."""


_WRONG = _Wrong()


def without(value: Value, wrong: set[Path], path: Path = ()) -> Any:
    """A copy of `value` in which the values at the paths `wrong` are marked, and so left out of every check."""
    if path in wrong:
        return _WRONG
    if isinstance(value, dict):
        return {key: without(item, wrong, (*path, key)) for key, item in value.items()}
    if isinstance(value, list):
        return [without(item, wrong, (*path, index)) for index, item in enumerate(value)]
    return value


@dataclass(frozen=True, slots=True)
class _Rule:
    """A relation between fields of `scaling`; `reason` names their values."""

    fields: tuple[str, ...]
    is_broken: Callable[[Mapping[str, Any]], bool]
    reason: str
    remedy: str


_CONTRADICTIONS = (
    _Rule(
        ("min", "max"),
        lambda s: s["min"] > s["max"],
        "min is {min}, more than max, which is {max}",
        "Raise max or lower min.",
    ),
)
_ODDITIES = (
    _Rule(
        ("min", "max"),
        lambda s: s["min"] == s["max"],
        "min and max are both {max}: there is nothing to scale",
        "Raise max, or set the target's mode to off.",
    ),
    _Rule(
        ("drain_within_s", "cold_start_s"),
        lambda s: s["drain_within_s"] < s["cold_start_s"],
        "drain_within_s is {drain_within_s}, less than cold_start_s, which is {cold_start_s}: in a surge, new "
        "instances come too late for the promise, and only what already runs can keep it",
        "Raise drain_within_s, or keep enough instances with min.",
    ),
    _Rule(
        ("scale_in_cooldown_s", "cold_start_s"),
        lambda s: s["scale_in_cooldown_s"] < s["cold_start_s"],
        "scale_in_cooldown_s is {scale_in_cooldown_s}, less than cold_start_s, which is {cold_start_s}: instances may "
        "be given back before the ones just asked for serve",
        "Raise scale_in_cooldown_s to cold_start_s or more.",
    ),
    _Rule(
        ("stale_after_s",),
        lambda s: s["stale_after_s"] < _METRICS_LATE_S,
        "stale_after_s is {stale_after_s}, but Azure Monitor's rates are up to "
        + str(_METRICS_LATE_S)
        + " seconds old when they "
        "are new: they would often count as stale, and nothing is shrunk on stale rates",
        f"Raise stale_after_s to {_METRICS_LATE_S} or more.",
    ),
    _Rule(
        ("respect_manual_s",),
        lambda s: s["respect_manual_s"] == 0,
        "respect_manual_s is {respect_manual_s}: a change by a person is undone at once",
        "Give people time, 3600 for example.",
    ),
)


def contradictions(written: Any) -> list[Finding]:
    """What is wrong across the fields of `written`, a document with its wrong values marked by `without`."""
    return [*_broken_rules(written, _CONTRADICTIONS), *_duplicates(written), *_beyond_the_limit(written)]


def oddities(written: Any, policy: Policy) -> list[Finding]:
    """What a valid policy may say, but its author probably did not mean."""
    return [*_broken_rules(written, _ODDITIES), *_idle_modes(policy), *_odd_floors(policy), *_shared_queues(policy)]


def _mapping(value: Any, *path: str) -> dict[str, Any]:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def _items(written: Any, name: str) -> list[Any]:
    items = _mapping(written).get(name)
    return items if isinstance(items, list) else []


def _scalings(written: Any) -> Iterator[tuple[Path, dict[str, Any], dict[str, Any]]]:
    """Place, own fields and inherited fields of `defaults` and of each target's scaling."""
    defaults = _mapping(written, "defaults")
    yield ("defaults",), defaults, {}
    for index, target in enumerate(_items(written, "targets")):
        if _mapping(target).get("scaling") is not _WRONG:
            yield ("targets", index, "scaling"), _mapping(target, "scaling"), defaults


def _broken_rules(written: Any, rules: tuple[_Rule, ...]) -> Iterator[Finding]:
    for place, own, inherited in _scalings(written):
        for rule in rules:
            # What a target only inherits is said once, at `defaults`.
            if not any(field in own for field in rule.fields):
                continue
            values = {field: _effective(field, own, inherited) for field in rule.fields}
            if _WRONG not in values.values() and rule.is_broken(values):
                said = {field: _with_origin(field, values[field], own, inherited) for field in rule.fields}
                at = next(field for field in rule.fields if field in own)
                yield Finding((*place, at), rule.reason.format(**said), rule.remedy)


def _effective(field: str, own: dict[str, Any], inherited: dict[str, Any]) -> Any:
    return own.get(field, inherited.get(field, Scaling.model_fields[field].default))


def _with_origin(field: str, value: Any, own: dict[str, Any], inherited: dict[str, Any]) -> str:
    if field in own:
        return f"{value:g}"
    return f"{value:g} ({'from defaults' if field in inherited else 'its default'})"


def _duplicates(written: Any) -> Iterator[Finding]:
    names: dict[str, int] = {}
    deployments: dict[str, int] = {}
    for index, target in enumerate(_items(written, "targets")):
        name, deployment = _mapping(target).get("name"), _mapping(target).get("deployment")
        if isinstance(name, str) and names.setdefault(name, index) != index:
            yield Finding(
                ("targets", index, "name"),
                f"is also the name of targets[{names[name]}]",
                "Give each target its own name.",
            )
        if isinstance(deployment, str):
            first = deployments.setdefault(DeploymentId.parse(deployment).key, index)
            if first != index:
                yield Finding(
                    ("targets", index, "deployment"),
                    f"is also scaled by targets[{first}]: two targets would fight over one capacity",
                    "Keep one target per deployment.",
                )


def _beyond_the_limit(written: Any) -> Iterator[Finding]:
    limit = _mapping(written, "limits").get("max_instances")
    sizes = [((*place, "max"), own.get("max")) for place, own, _ in _scalings(written)]
    sizes += [
        (("floors", index, "min_instances"), _mapping(floor).get("min_instances"))
        for index, floor in enumerate(_items(written, "floors"))
    ]
    for path, size in sizes:
        if isinstance(limit, int) and isinstance(size, int) and size > limit:
            yield Finding(
                path,
                f"is {size}, more than limits.max_instances, which is {limit}",
                "Lower it, or have the platform's limit raised.",
            )


def _idle_modes(policy: Policy) -> Iterator[Finding]:
    loop = policy.loops.scaling.mode
    held = [target.name for target in policy.targets if most_cautious(loop, target.mode) != target.mode]
    if held:
        names = f"{', '.join(held[:3])}{f' and {len(held) - 3} more' if len(held) > 3 else ''}"
        yield Finding(
            ("loops", "scaling", "mode"),
            f"is {loop}, more cautious than the mode of {names}, and the most cautious one counts",
            "Change it if those targets are meant to go further.",
        )


def _odd_floors(policy: Policy) -> Iterator[Finding]:
    for index, floor in enumerate(policy.floors):
        protected = [target for target in policy.targets if floor.protects(target)]
        if not protected:
            yield Finding(
                ("floors", index, "match"), f"is '{floor.match}', which matches no target", "Correct or remove it."
            )
        for target in protected:
            if floor.min_instances > target.scaling.max:
                most = f"max of target '{target.name}', which is {target.scaling.max}"
                yield Finding(
                    ("floors", index, "min_instances"),
                    f"is {floor.min_instances}, more than {most}: the floor wins",
                    "Raise the target's max, or lower the floor.",
                )


def _shared_queues(policy: Policy) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, target in enumerate(policy.targets):
        other = first.setdefault(target.queue_id.key, target.name)
        if other != target.name:
            yield Finding(
                ("targets", index, "queue"),
                f"is also the queue of target '{other}': each of the two is scaled as if it did all the work",
                "Give each deployment its own queue, or keep one of the two.",
            )
