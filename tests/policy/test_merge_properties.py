"""What holds for all documents: merged, no project is looser than the platform, and none touches another."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

from hypothesis import find, given
from hypothesis import strategies as st

from shared.domain import Mode, most_cautious
from shared.policy import Policy, Target
from shared.policy.freezes import Freeze
from shared.policy.merge import ENVIRONMENTS, merge
from shared.policy.parts import Part
from shared.policy.tighten import How, declared
from tests.policy.documents import queue_id
from tests.policy.test_properties import modes, patient
from tests.policy.two_layers import deployment_in, grant, read, read_one

NAMES = ("red", "green", "blue")

limits = st.fixed_dictionaries(
    {}, optional={"max_instances": st.integers(1, 50), "quota_reserve_pct": st.floats(0, 100)}
)
loops = st.fixed_dictionaries({"scaling": st.fixed_dictionaries({"mode": modes})})
sizes = st.fixed_dictionaries({}, optional={"max": st.integers(1, 50), "drain_within_s": st.integers(1, 9000)})
scopes = st.lists(st.sampled_from(["all", "project:red", "target:chat", "workspace:red", "loop:scaling"]), min_size=1)
floors = st.lists(
    st.fixed_dictionaries(
        {
            "match": st.sampled_from(["*", "chat", "c*", "red.*", deployment_in("red"), deployment_in("green")]),
            "min_instances": st.integers(1, 50),
            "reason": st.just("r"),
        }
    ),
    max_size=2,
)
freezes = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.just("quiet"),
            "reason": st.just("r"),
            "zone": st.just("UTC"),
            "scopes": scopes,
            "dates": st.just(["2026-12-24"]),
        }
    ),
    max_size=2,
)
channels = st.lists(
    st.fixed_dictionaries(
        {"name": st.just("post"), "kind": st.just("mail")}, optional={"projects": st.just(["green"])}
    ),
    max_size=1,
)
notices = st.fixed_dictionaries({}, optional={"channels": channels, "owner_tag": st.sampled_from(["owner", "team"])})
rules = st.fixed_dictionaries(
    {"workspaces": st.sampled_from([[], [{"name": "red"}], [{"name": "*"}]])},
    optional={"limits": limits, "loops": loops, "defaults": sizes},
)
sections: dict[str, Any] = {
    "limits": limits,
    "loops": loops,
    "floors": floors,
    "freezes": freezes,
    "notices": notices,
    "defaults": sizes,
}


@st.composite
def platforms(draw: st.DrawFn) -> dict[str, Any]:
    """Platforms' documents in the form that the loader accepts."""
    optional: dict[str, Any] = sections | {
        "environments": st.fixed_dictionaries({}, optional={"dev": rules, "prod": rules})
    }
    whole = draw(st.fixed_dictionaries({}, optional=optional))
    granted = draw(st.lists(st.sampled_from(NAMES), unique=True, min_size=2))
    whole |= {"version": 1, "projects": [grant(name) for name in granted]}
    limit = whole.get("limits", {}).get("max_instances", 50)
    for floor in whole.get("floors", []):
        floor["min_instances"] = min(floor["min_instances"], limit)
    defaults = [whole.get("defaults"), *(rule.get("defaults") for rule in whole.get("environments", {}).values())]
    for scaling in defaults:
        if scaling is not None and "max" in scaling:
            scaling["max"] = min(scaling["max"], limit)
    return dict(whole)


@st.composite
def projects(draw: st.DrawFn, name: str) -> dict[str, Any]:
    """Projects' documents of this name, of which some ask for what they must not have."""
    target = st.fixed_dictionaries(
        {
            "name": st.just("chat"),
            "deployment": st.sampled_from([deployment_in(workspace) for workspace in (name, name, *NAMES)]),
            "queue": st.sampled_from([queue_id("q"), queue_id("r"), queue_id("q").replace("lab-bus", "hr-bus")]),
        },
        optional={"mode": modes, "environment": st.sampled_from(["dev", "stage", "prod"]), "scaling": sizes},
    )
    whole = draw(st.fixed_dictionaries({}, optional=sections))
    whole |= {"version": 1, "project": name, "targets": draw(st.lists(target, min_size=1, max_size=1))}
    limit = whole.get("limits", {}).get(
        "max_instances", 50
    )  # contradictions inside of one document are refused at once
    sized = [whole.get("defaults", {}), *(one.get("scaling", {}) for one in whole["targets"])]
    for scaling in sized:
        if "max" in scaling:
            scaling["max"] = min(scaling["max"], limit)
    for floor in whole.get("floors", []):
        floor["min_instances"] = min(floor["min_instances"], limit)
    return dict(whole)


estates = st.tuples(platforms(), st.tuples(*(projects(name) for name in NAMES)))


def assert_as_strict(base: Part, own: Part) -> None:
    """`own` says nothing looser than `base`, by what the fields say of themselves."""
    for name in type(base).model_fields:
        how, theirs, ours = declared(type(base), name), getattr(base, name), getattr(own, name)
        assert is_as_strict(how, theirs, ours), (name, theirs, ours)
        if how == "within" and isinstance(theirs, Part):
            assert_as_strict(theirs, ours)


def is_as_strict(how: How | None, theirs: Any, ours: Any) -> bool:
    match how:
        case "lower":
            return theirs is None or (ours is not None and ours <= theirs)
        case "higher":
            return theirs is None or (ours is not None and ours >= theirs)
        case "on":
            return bool(ours or not theirs)
        case "cautious":
            mode: tuple[Mode, Mode] = (theirs, ours)
            return bool(most_cautious(*mode) == ours)
        case "add":
            return tuple(ours[: len(theirs)]) == tuple(theirs)
        case "subset":
            return not theirs or (bool(ours) and set(ours) <= set(theirs))
        case "within" | "own":
            return True
    return bool(theirs == ours)


@patient
@given(estates)
def test_no_project_is_ever_looser_than_the_platform(estate: tuple[dict[str, Any], tuple[dict[str, Any], ...]]) -> None:
    whole, documents = estate
    platform = read(strict(whole))
    policy = merge(platform, [read_one(one) for one in documents]).policy
    bare = platform.model

    for target in (*policy.targets, *anybody_s()):
        view = policy.of(target)
        for name in ("limits", "loops", "notices"):
            assert_as_strict(getattr(bare, name), getattr(view, name))
        assert view.floors[: len(bare.floors)] == bare.floors
        assert view.freezes[: len(bare.freezes)] == bare.freezes
        mode = policy.scaling_mode(target)
        assert all(most_cautious(mode, bound) == mode for bound in bounds(bare, target))
    for target in policy.targets:
        assert target.scaling.min <= target.scaling.max <= policy.limits_of(target).max_instances
        assert target.project in [one.name for one in bare.projects]
    assert_lists_stay_at_home(bare, policy)


def anybody_s() -> Iterator[Target]:
    """Targets that want all, of every project and environment."""
    for name, environment in product(NAMES, ENVIRONMENTS):
        yield Target(
            name=f"{name}.all",
            project=name,
            environment=environment,
            mode="enforce",
            deployment=deployment_in(name, "all"),
            queue=queue_id("all"),
        )


def bounds(bare: Policy, target: Target) -> list[Mode]:
    """The modes that the platform's document says for a target: in general, and for its environment."""
    rules = bare.environments.rules(target.environment)
    is_said = "loops" in rules.model_fields_set and "mode" in rules.loops.scaling.model_fields_set
    return [bare.loops.scaling.mode, *([rules.loops.scaling.mode] if is_said else [])]


def assert_lists_stay_at_home(bare: Policy, policy: Policy) -> None:
    """What projects have added to lists concerns themselves alone."""
    foreign = Target(name="other.chat", project="other", deployment=deployment_in("x"), queue=queue_id("x"))
    place = foreign.place("scaling")
    assert policy.floors[: len(bare.floors)] == bare.floors
    assert not any(floor.protects(foreign) for floor in policy.floors[len(bare.floors) :])
    for freeze in policy.freezes[len(bare.freezes) :]:
        assert not set(freeze.scopes) & set(place.scopes)
    for channel in policy.notices.channels[len(bare.notices.channels) :]:
        assert channel.projects not in ((), ("other",))
        assert len(channel.projects) == 1


def strict(whole: dict[str, Any]) -> dict[str, Any]:
    """The document with environments that only tighten (others are refused when the platform's document is read)."""
    base = whole.get("limits", {})
    for rule in whole.get("environments", {}).values():
        own = rule.get("limits", {})
        if "max_instances" in own:
            own["max_instances"] = min(own["max_instances"], base.get("max_instances", 50))
        if "quota_reserve_pct" in own:
            own["quota_reserve_pct"] = max(own["quota_reserve_pct"], base.get("quota_reserve_pct", 20))
    return whole


@patient
@given(estates, st.randoms(use_true_random=False))
def test_the_order_of_the_documents_changes_nothing(
    estate: tuple[dict[str, Any], tuple[dict[str, Any], ...]], chance: random.Random
) -> None:
    whole, documents = estate
    platform = read(whole)
    written = [read_one(one) for one in documents]
    mixed = list(written)
    chance.shuffle(mixed)
    first, second = merge(platform, written), merge(platform, mixed)

    assert first == second
    assert first.policy.version_hash == second.policy.version_hash


@patient
@given(estates, st.sampled_from(NAMES))
def test_one_document_changes_nothing_for_the_others(
    estate: tuple[dict[str, Any], tuple[dict[str, Any], ...]], name: str
) -> None:
    whole, documents = estate
    platform = read(whole)
    others = [read_one(one) for one in documents if one["project"] != name]
    without = merge(platform, others)
    policy = merge(platform, [read_one(one) for one in documents]).policy

    assert [one for one in policy.targets if one.project != name] == list(without.policy.targets)
    for target in without.policy.targets:
        assert policy.of(target) == without.policy.of(target)
        assert policy.floors_of(target) == without.policy.floors_of(target)
        concerned = [one for one in policy.freezes if set(one.scopes) & set(target.place("scaling").scopes)]
        assert concerned == [
            one for one in without.policy.freezes if set(one.scopes) & set(target.place("scaling").scopes)
        ]


def frozen_by(policy: Policy, target: Target) -> list[Freeze]:
    scopes = set(target.place("scaling").scopes)
    return [freeze for freeze in policy.freezes if scopes & set(freeze.scopes)]


def test_the_strategies_make_documents_that_are_in_force() -> None:
    """So that the properties above are not true of nothing."""
    found = find(estates, lambda estate: bool(in_force(estate).targets and in_force(estate).freezes), settings=patient)

    assert in_force(found).targets


def in_force(estate: tuple[dict[str, Any], tuple[dict[str, Any], ...]]) -> Policy:
    whole, documents = estate
    return merge(read(whole), [read_one(one) for one in documents]).policy
