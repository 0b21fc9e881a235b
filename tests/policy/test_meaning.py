"""What a valid document means: inheritance, modes, floors, and the version that decisions carry."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from shared.domain import Mode
from shared.policy import KnownRate, LearnedRate, Policy, Target, load_policy
from tests.policy.documents import as_yaml, deployment_id, document, queue_id, target

REPOSITORY = Path(__file__).parents[2]


def load(*targets: dict[str, Any], **fields: Any) -> Policy:
    return load_policy(as_yaml(document(*targets, **fields)), "policy.yaml")


def only_target(policy: Policy) -> Target:
    assert len(policy.targets) == 1
    return policy.targets[0]


def test_a_target_takes_from_defaults_what_it_does_not_say() -> None:
    policy = load(target(scaling={"min": 3, "max": 9}), defaults={"max": 5, "drain_within_s": 77, "max_step_in": 2})

    scaling = only_target(policy).scaling
    assert (scaling.min, scaling.max, scaling.drain_within_s, scaling.max_step_in) == (3, 9, 77.0, 2)
    assert scaling.cold_start_s == 900.0


def test_a_target_can_take_back_an_optional_default() -> None:
    policy = load(target(scaling={"max_step_in": None}), defaults={"max": 5, "max_step_in": 2})

    assert only_target(policy).scaling.max_step_in is None


@pytest.mark.parametrize(("cold_start_s", "patience_s"), [(30, 60), (180, 60), (600, 200), (900, 300), (3600, 300)])
def test_what_comes_back_quickly_may_go_soon(cold_start_s: int, patience_s: float) -> None:
    """How long a lower need is watched follows the target's own cold start, unless somebody says it."""
    defaults = {"max": 6, "cold_start_s": 900}
    scaling = only_target(load(target(scaling={"cold_start_s": cold_start_s}), defaults=defaults)).scaling
    assert (scaling.hold_s, scaling.cooldown_s) == (patience_s, patience_s)
    said = only_target(load(target(scaling={"cold_start_s": cold_start_s}), defaults=defaults | {"scale_in_hold_s": 7}))
    assert (said.scaling.hold_s, said.scaling.cooldown_s) == (7, patience_s)


def test_nothing_grows_and_nothing_acts_unless_the_document_says_so() -> None:
    policy = load_policy(as_yaml({"version": 1, "targets": [target()]}), "policy.yaml")

    assert only_target(policy).scaling.max == 1
    assert policy.scaling_mode(only_target(policy)) == "observe"


@pytest.mark.parametrize(
    ("loop", "own", "effective"),
    [
        ("enforce", "enforce", "enforce"),
        ("enforce", "observe", "observe"),
        ("observe", "enforce", "observe"),
        ("off", "enforce", "off"),
        ("enforce", "off", "off"),
    ],
)
def test_the_more_cautious_mode_counts(loop: Mode, own: Mode, effective: Mode) -> None:
    policy = load(target(mode=own), loops={"scaling": {"mode": loop}})

    assert policy.scaling_mode(only_target(policy)) == effective


@pytest.mark.parametrize("written", ["mode: off", 'mode: "off"', "mode: 'off'"])
def test_off_is_a_word(written: str) -> None:
    text = as_yaml(document()) + f"loops:\n  scaling:\n    {written}\n"

    assert load_policy(text, "policy.yaml").loops.scaling.mode == "off"


def test_both_forms_of_the_service_rate() -> None:
    known = load(target(scaling={"service_rate": {"per_instance_per_s": 2}}))
    learned = load(target(scaling={"service_rate": {"learn": True, "prior_per_instance_per_s": 0.25}}))

    assert only_target(known).scaling.service_rate == KnownRate(per_instance_per_s=2.0)
    assert only_target(learned).scaling.service_rate == LearnedRate(learn=True, prior_per_instance_per_s=0.25)


def test_the_service_rate_is_inherited_as_a_whole() -> None:
    policy = load(
        target(scaling={"service_rate": {"learn": True}}),
        defaults={"max": 5, "service_rate": {"learn": True, "prior_per_instance_per_s": 9}},
    )

    assert only_target(policy).scaling.service_rate == LearnedRate(learn=True, prior_per_instance_per_s=1.0)


@pytest.mark.parametrize(
    ("match", "is_protected"),
    [
        ("chat", True),
        ("ch*", True),
        ("*", True),
        ("cha", False),
        ("chat-*", False),
        (deployment_id("chat"), True),
        (deployment_id("chat").upper(), True),
        (deployment_id("other"), False),
    ],
)
def test_whom_a_floor_protects(match: str, is_protected: bool) -> None:
    policy = load(floors=[{"match": match, "min_instances": 2, "reason": "promised"}])

    assert [floor.min_instances for floor in policy.floors_of(only_target(policy))] == [2] * is_protected


def test_ids_come_apart_and_are_spelt_as_azure_spells_them() -> None:
    policy = load(target(deployment=deployment_id("chat").lower(), queue=queue_id("Jobs").replace("queues", "QUEUES")))

    found = only_target(policy)
    assert (found.deployment_id.endpoint, found.deployment_id.deployment) == ("chat", "chat")
    assert found.queue_id is not None
    assert (found.queue_id.namespace, found.queue_id.queue) == ("lab-bus", "Jobs")
    assert "/resourceGroups/models/providers/Microsoft.MachineLearningServices/" in found.deployment
    assert found.queue == queue_id("Jobs")


def test_targets_are_found_by_name() -> None:
    policy = load(target("a"), target("b"))

    found = policy.target("b")
    assert found is not None
    assert found.deployment == deployment_id("b")
    assert policy.target("c") is None


def test_small_numbers_for_a_demo_are_allowed() -> None:
    numbers = {
        "drain_within_s": 5,
        "cold_start_s": 0,
        "scale_out_cooldown_s": 0,
        "scale_in_cooldown_s": 0.5,
        "scale_in_hold_s": 0,
        "respect_manual_s": 0,
        "stale_after_s": 0.5,
        "not_capacity_bound_after_s": 1,
    }

    assert only_target(load(target(scaling=numbers))).scaling.cold_start_s == 0


def test_a_policy_cannot_be_changed() -> None:
    policy = load()

    with pytest.raises(ValidationError, match="frozen"):
        setattr(policy.targets[0].scaling, "max", 50)  # noqa: B010 - mypy refuses the plain assignment, as it should


def test_the_version_is_that_of_the_content() -> None:
    plain = "version: 1\ndefaults: {max: 6, min: 2}\n"
    version = load_policy(plain, "a").version_hash

    assert len(version) == 16
    for same in (
        "# a comment\ndefaults:\n  min: 2 # two\n  max: 6\nversion: 1\n",
        '{"version": 1, "defaults": {"min": 2, "max": 6}}',
        "version: 1\ndefaults: {max: 6, min: 2, cold_start_s: 900}\nloops: {scaling: {mode: observe}}\n",
    ):
        assert load_policy(same, "elsewhere").version_hash == version
    for other in ("version: 1\ndefaults: {max: 7, min: 2}\n", plain + "loops: {scaling: {mode: enforce}}\n"):
        assert load_policy(other, "a").version_hash != version


def test_the_version_is_the_same_in_every_process() -> None:
    program = "from shared.policy import load_policy; print(load_policy('version: 1', 'a').version_hash)"
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed},
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }

    assert printed == {load_policy("version: 1", "a").version_hash}
