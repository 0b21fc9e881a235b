"""What no field can tell alone: contradictions, which are refused, and oddities, which are warned of.

The checks read the document as it was written, in which wrong fields are marked, so that one wrong field does not hide
what is wrong between the others.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from shared.domain import DeploymentId, most_cautious
from shared.policy.document import Value
from shared.policy.models import Policy
from shared.policy.parts import TARGET_NAME
from shared.policy.problems import Finding, Path
from shared.policy.scaling import LONGEST_REQUEST_S, Scaling, too_long
from shared.policy.targets import LoadKind

_METRICS_LATE_S = 240  # a minute of metrics, and up to three until it appears


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


def _costs_more(scaling: Mapping[str, Any], instances: str) -> bool:
    """Whether so many instances cost more in an hour than the budget; False where budget or price is not known."""
    budget, price = scaling["budget_usd_per_hour"], scaling["price_usd_per_hour"]
    return budget is not None and price is not None and scaling[instances] * price > budget * (1 + 1e-9)


_CONTRADICTIONS = (
    _Rule(
        ("min", "max"),
        lambda s: s["min"] > s["max"],
        "min is {min}, more than max, which is {max}",
        "Raise max or lower min.",
    ),
    _Rule(
        ("budget_usd_per_hour", "price_usd_per_hour", "min"),
        lambda s: _costs_more(s, "min"),
        "budget_usd_per_hour is {budget_usd_per_hour}, but min is {min}, at price_usd_per_hour {price_usd_per_hour}",
        "Raise the budget, or lower min.",
    ),
)
_ODDITIES = (
    _Rule(
        ("budget_usd_per_hour", "price_usd_per_hour", "max"),
        lambda s: _costs_more(s, "max"),
        "budget_usd_per_hour is {budget_usd_per_hour}, but max is {max}, at price_usd_per_hour {price_usd_per_hour}: "
        "max is never reached",
        "Raise the budget, or lower max.",
    ),
    _Rule(
        ("budget_usd_per_hour", "price_usd_per_hour"),
        lambda s: s["budget_usd_per_hour"] is not None and s["price_usd_per_hour"] is None,
        "budget_usd_per_hour is {budget_usd_per_hour}, and no price is written: Azure's list price counts, and while "
        "that is not known nothing grows beyond min",
        "Write price_usd_per_hour.",
    ),
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


def contradictions(written: Any, *, is_whole: bool = True) -> list[Finding]:
    """What is wrong across the fields of `written`, a document with its wrong values marked by `without`.

    A project's document is not whole: what it leaves out comes from the platform's, so nothing follows from it here.
    """
    return [
        *_broken_rules(written, _CONTRADICTIONS, is_whole=is_whole),
        *_not_one_load(written),
        *_of_loads(written, is_whole=is_whole),
        *_duplicates(written),
        *_qualified_names(written),
        *_granted_twice(written),
        *_beyond_the_limit(written),
        *_impossible_schedules(written, is_whole=is_whole),
    ]


def oddities(written: Any, policy: Policy) -> list[Finding]:
    """What a valid policy may say, but its author probably did not mean."""
    return [
        *_broken_rules(written, _ODDITIES),
        *_idle_modes(policy),
        *_floors_above_max(policy),
        *_shared_queues(policy),
        *_unreachable_people(policy),
    ]


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
    for environment in _mapping(written, "environments"):
        yield (
            ("environments", environment, "defaults"),
            _mapping(written, "environments", environment, "defaults"),
            defaults,
        )
    for index, target in enumerate(_items(written, "targets")):
        if _mapping(target).get("scaling") is not _WRONG:
            yield ("targets", index, "scaling"), _mapping(target, "scaling"), defaults


def _broken_rules(written: Any, rules: tuple[_Rule, ...], *, is_whole: bool = True) -> Iterator[Finding]:
    for place, own, inherited in _scalings(written):
        for rule in rules:
            # What a target only inherits is said once, at `defaults`.
            if not any(field in own for field in rule.fields):
                continue
            if not is_whole and any(field not in own and field not in inherited for field in rule.fields):
                continue
            values = {field: _effective(field, own, inherited) for field in rule.fields}
            if _WRONG not in values.values() and rule.is_broken(values):
                said = {field: _with_origin(field, values[field], own, inherited) for field in rule.fields}
                at = next(field for field in rule.fields if field in own)
                yield Finding((*place, at), rule.reason.format(**said), rule.remedy)


def _effective(field: str, own: dict[str, Any], inherited: dict[str, Any]) -> Any:
    return own.get(field, inherited.get(field, Scaling.model_fields[field].default))


def _with_origin(field: str, value: Any, own: dict[str, Any], inherited: dict[str, Any]) -> str:
    if field in own or value is None:
        return "none" if value is None else f"{value:g}"
    return f"{value:g} ({'from defaults' if field in inherited else 'its default'})"


def _not_one_load(written: Any) -> Iterator[Finding]:
    """Every target has a queue or a load, and not both; said here, so that no wrong field beside it hides it."""
    for index, target in enumerate(_items(written, "targets")):
        if not isinstance(target, dict):
            continue
        queue, load = (target.get(name) is not None for name in ("queue", "load"))
        if queue and load:
            reason = "stands beside `queue`, but a target has either a queue or a load"
            yield Finding(("targets", index, "load"), reason, "Keep one of them.")
        elif not queue and not load:
            yield Finding(
                ("targets", index, "queue"),
                "is missing",
                "Write the full resource id of the Service Bus queue that the deployment serves, or, if it is called "
                "directly, `load: {by: requests}`.",
            )


def _of_loads(written: Any, *, is_whole: bool) -> Iterator[Finding]:
    """What a target without a queue may not promise or say."""
    for index, target in enumerate(_items(written, "targets")):
        by = _mapping(target, "load").get("by")
        if by not in get_args(LoadKind.__value__) or _mapping(target).get("queue") is not None:
            continue
        place: Path = ("targets", index, "scaling")
        own, inherited = _mapping(target, "scaling"), _mapping(written, "defaults")
        if by != "requests" and "service_rate" in own:
            yield Finding(
                (*place, "service_rate"),
                "is a rate of messages or requests, but this target's load is counted in busy instances",
                "Remove it, or write `load: {by: requests}`.",
            )
        if not is_whole and "drain_within_s" not in own and "drain_within_s" not in inherited:
            continue  # the platform's document says it, and the merge looks at what it says
        promise = _effective("drain_within_s", own, inherited)
        if isinstance(promise, int | float) and promise > LONGEST_REQUEST_S:
            said = _with_origin("drain_within_s", promise, own, inherited)
            yield Finding((*place, "drain_within_s") if "drain_within_s" in own else place, *too_long(said))


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


def _qualified_names(written: Any) -> Iterator[Finding]:
    for index, target in enumerate(_items(written, "targets")):
        name = _mapping(target).get("name")
        if isinstance(name, str) and "." in name and re.fullmatch(TARGET_NAME, name):
            yield Finding(
                ("targets", index, "name"),
                f"is '{name}', but a name in a document has no dot: the project's name is put before it",
                f"Write '{name.partition('.')[2]}' in the project's own document.",
            )


def _granted_twice(written: Any) -> Iterator[Finding]:
    seen: dict[str, int] = {}
    for index, grant in enumerate(_items(written, "projects")):
        name = _mapping(grant).get("name")
        if isinstance(name, str) and seen.setdefault(name, index) != index:
            yield Finding(
                ("projects", index, "name"), f"is also the name of projects[{seen[name]}]", "Make one entry of the two."
            )


def _beyond_the_limit(written: Any) -> Iterator[Finding]:
    limits = _mapping(written, "limits")
    asked = [
        ((*place, name), own.get(name), limit)
        for place, own, _ in _scalings(written)
        for name, limit in (("max", "max_instances"), ("budget_usd_per_hour", "budget_usd_per_hour"))
    ]
    asked += [
        (("floors", index, "min_instances"), _mapping(floor).get("min_instances"), "max_instances")
        for index, floor in enumerate(_items(written, "floors"))
    ]
    for path, value, name in asked:
        limit = limits.get(name)
        if isinstance(limit, int | float) and isinstance(value, int | float) and value > limit:
            yield Finding(
                path,
                f"is {value:g}, more than limits.{name}, which is {limit:g}",
                "Lower it, or have the platform's limit raised.",
            )


def _impossible_schedules(written: Any, *, is_whole: bool) -> Iterator[Finding]:
    """Scheduled loads above max, and two of one name."""
    for place, own, inherited in _scalings(written):
        most = own.get("max", inherited.get("max", Scaling.model_fields["max"].default if is_whole else None))
        names: dict[str, int] = {}
        for index, load in enumerate(_items(own, "schedule")):
            at, name, fewest = (*place, "schedule", index), _mapping(load).get("name"), _mapping(load).get("min")
            if isinstance(name, str) and names.setdefault(name, index) != index:
                yield Finding((*at, "name"), f"is also the name of schedule[{names[name]}]", "Give each its own name.")
            if isinstance(most, int) and isinstance(fewest, int) and fewest > most:
                yield Finding((*at, "min"), f"is {fewest}, more than max, which is {most}", "Raise max or lower it.")


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


def _floors_above_max(policy: Policy) -> Iterator[Finding]:
    for index, floor in enumerate(policy.floors):
        for target in policy.targets:
            if floor.protects(target) and floor.min_instances > target.scaling.max:
                most = f"max of target '{target.name}', which is {target.scaling.max}"
                yield Finding(
                    ("floors", index, "min_instances"),
                    f"is {floor.min_instances}, more than {most}: the floor wins",
                    "Raise the target's max, or lower the floor.",
                )


def _unreachable_people(policy: Policy) -> Iterator[Finding]:
    channels = policy.notices.channels
    if any(channel.kind == "mail" for channel in channels):
        return
    alone = {channel.recipients[0].lower() for channel in channels if len(channel.recipients) == 1}
    for index, rule in enumerate(policy.approvals):
        reached = alone.intersection(address.lower() for address in rule.who)
        if len(reached) < rule.needed:
            yield Finding(
                ("approvals", index, "who"),
                f"names people of whom {len(reached)} can be asked, and {rule.needed} must say yes: no channel is "
                "of kind mail, nor one of their own, so what it gates is never done",
                "Add `{name: mail, kind: mail}` to `notices.channels`, or a webhook with one of them as its recipient.",
            )


def _shared_queues(policy: Policy) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for index, target in enumerate(policy.targets):
        queue = target.queue_id
        other = target.name if queue is None else first.setdefault(queue.key, target.name)
        if other != target.name:
            yield Finding(
                ("targets", index, "queue"),
                f"is also the queue of target '{other}': each of the two is scaled as if it did all the work",
                "Give each deployment its own queue, or keep one of the two.",
            )
