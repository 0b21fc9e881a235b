"""What holds for every text: it is a policy that survives writing and reading, or is refused with all its problems."""

import json
import random
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from shared.policy import Policy, PolicyInvalid, load_policy, schema
from shared.policy.schema import platform_format
from tests.policy.documents import as_yaml, deployment_id, document, queue_id, target

# The machine may be busy: a slow example is no defect.
patient = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])

seconds = st.one_of(st.integers(1, 100_000), st.floats(0.1, 100_000))
rates = st.floats(0.001, 1000)
service_rates = st.one_of(
    st.fixed_dictionaries({"per_instance_per_s": rates}),
    st.fixed_dictionaries({"learn": st.just(True)}, optional={"prior_per_instance_per_s": rates}),
)
scalings = st.fixed_dictionaries(
    {"max": st.integers(10, 50)},
    optional={
        "min": st.integers(1, 10),
        "drain_within_s": seconds,
        "service_rate": service_rates,
        "cold_start_s": seconds,
        "scale_in_hold_s": seconds,
        "max_step_out": st.none() | st.integers(1, 50),
        "headroom_pct": st.floats(0, 90),
        "price_usd_per_hour": st.none() | st.floats(0, 100),
    },
)
modes = st.sampled_from(["off", "observe", "enforce"])
names = st.from_regex(r"[a-z]([a-z0-9-]{0,30}[a-z0-9])?", fullmatch=True)  # digits alone would be a number in YAML


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    targets = [
        draw(
            st.fixed_dictionaries(
                {
                    "name": st.just(name),
                    "deployment": st.just(deployment_id(f"d{number}")),
                    "queue": st.just(queue_id(f"q{number}")),
                },
                optional={"mode": modes, "owner": st.just("team@example.com"), "scaling": scalings},
            )
        )
        for number, name in enumerate(draw(st.lists(names, unique=True, max_size=4)))
    ]
    floor = st.fixed_dictionaries(
        {
            "match": st.sampled_from(["*", "a*", deployment_id("d0")]),
            "min_instances": st.integers(1, 9),
            "reason": st.just("r"),
        }
    )
    return draw(
        st.fixed_dictionaries(
            {"version": st.just(1), "defaults": scalings, "targets": st.just(targets)},
            optional={"floors": st.lists(floor, max_size=2), "loops": st.just({"scaling": {"mode": "enforce"}})},
        )
    )


def shuffled(value: Any, chance: random.Random) -> Any:
    """`value` with the keys of every mapping in another order."""
    if isinstance(value, dict):
        items = list(value.items())
        chance.shuffle(items)
        return {key: shuffled(item, chance) for key, item in items}
    return [shuffled(item, chance) for item in value] if isinstance(value, list) else value


@patient
@given(documents())
def test_writing_and_reading_again_changes_nothing(values: dict[str, Any]) -> None:
    policy = load_policy(as_yaml(values), "first")
    again = load_policy(as_yaml(policy.model_dump(mode="json")), "second")

    assert again == policy
    assert again.version_hash == policy.version_hash
    assert Policy.model_validate_json(policy.model_dump_json()) == policy


@patient
@given(documents(), st.randoms(use_true_random=False))
def test_the_order_of_keys_is_not_content(values: dict[str, Any], chance: random.Random) -> None:
    mixed = shuffled(values, chance)

    assert load_policy(json.dumps(mixed), "mixed").version_hash == load_policy(as_yaml(values), "plain").version_hash


SCHEMA = Draft202012Validator(schema())


@patient
@given(documents())
def test_the_schema_accepts_what_the_loader_accepts(values: dict[str, Any]) -> None:
    policy = load_policy(as_yaml(values), "policy.yaml")

    assert list(SCHEMA.iter_errors(values)) == []
    assert list(SCHEMA.iter_errors(policy.model_dump(mode="json"))) == []


known_words = st.sampled_from(sorted(platform_format().places))
leaves = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.just(deployment_id("a"))
)
anything = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(known_words | st.text(max_size=8), inner, max_size=5),
    max_leaves=30,
)


def is_answered(text: str) -> None:
    """The text is a policy, or every problem has a place in it."""
    try:
        load_policy(text, "policy.yaml")
    except PolicyInvalid as error:
        assert error.problems
        lines = text.count("\n") + 1
        for problem in error.problems:
            assert problem.path
            assert problem.reason
            assert problem.remedy
            assert problem.line is not None
            # A carriage return or another exotic line end counts for YAML, and not for `count`.
            assert 1 <= problem.line <= max(lines, len(text.splitlines())) + 1


@patient
@given(anything)
def test_any_values_are_answered(values: Any) -> None:
    is_answered(json.dumps(values))


@patient
@given(documents(), st.data())
def test_a_policy_with_anything_anywhere_is_answered(values: dict[str, Any], data: st.DataObject) -> None:
    place: Any = values
    while True:
        keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
        if not keys:
            return
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], dict | list) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(anything)

    is_answered(json.dumps(values))


@patient
@given(st.text(max_size=80) | st.text(alphabet="ab:-[]{}&*!?#|>'\" \n\t01%@`,~", max_size=60))
def test_any_text_is_answered(text: str) -> None:
    is_answered(text)


@patient
@given(st.binary(max_size=60))
def test_any_bytes_are_answered(content: bytes) -> None:
    is_answered(content.decode("utf-8-sig", errors="surrogateescape"))


type Fault = tuple[str, Callable[[dict[str, Any]], None]]


def _put(place: str, path: tuple[str | int, ...], value: Any) -> Fault:
    def spoil(values: Any) -> None:
        for part in path[:-1]:
            values = values[part]
        values[path[-1]] = value

    return place, spoil


def _drop(place: str, path: tuple[str | int, ...]) -> Fault:
    def spoil(values: Any) -> None:
        for part in path[:-1]:
            values = values[part]
        del values[path[-1]]

    return place, spoil


# No two of these touch the same field, or a field that another one's check reads.
FAULTS: list[Fault] = [
    _put("version", ("version",), 3),
    _put("defaults.headroom_pct", ("defaults", "headroom_pct"), 120),
    _put("defaults.drain", ("defaults", "drain"), 5),
    _put("targets[0].scaling.max", ("targets", 0, "scaling", "max"), 0),
    _put("targets[0].mode", ("targets", 0, "mode"), "on"),
    _put("targets[0].scaling.service_rate.learn", ("targets", 0, "scaling", "service_rate"), {"learn": "yes"}),
    _drop("targets[0].queue", ("targets", 0, "queue")),
    _put("targets[1].name", ("targets", 1, "name"), "one"),
    _put("targets[1].owner", ("targets", 1, "owner"), "nobody"),
    _put("targets[1].scaling.min", ("targets", 1, "scaling", "min"), 9),
    _put("targets[2].deployment", ("targets", 2, "deployment"), deployment_id("two").upper()),
    _put("targets[2].scaling", ("targets", 2, "scaling"), "big"),
    _put("floors[0].match", ("floors", 0, "match"), "?? ??"),
    _drop("floors[0].reason", ("floors", 0, "reason")),
    _put("limits.max_instances", ("limits", "max_instances"), "all"),
    _put("loops.scalings", ("loops", "scalings"), {}),
]


def right_document() -> dict[str, Any]:
    return document(
        target("one", scaling={"max": 8}),
        target("two", scaling={"max": 8}),
        target("three"),
        floors=[{"match": "one", "min_instances": 1, "reason": "r"}],
        limits={"max_instances": 40},
        loops={"scaling": {"mode": "observe"}},
    )


@patient
@given(st.lists(st.sampled_from(FAULTS), min_size=1, unique_by=lambda fault: fault[0]))
def test_all_faults_are_told_at_once_and_no_others(faults: list[Fault]) -> None:
    values = right_document()
    load_policy(as_yaml(values), "right")
    for _, spoil in faults:
        spoil(values)

    try:
        load_policy(as_yaml(values), "wrong")
    except PolicyInvalid as error:
        found = [problem.path.split(" ")[0] for problem in error.problems]
    else:
        found = []

    assert sorted(found) == sorted(place for place, _ in faults)
