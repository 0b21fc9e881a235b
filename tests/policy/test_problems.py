"""What a wrong document is answered with: the place, the reason, and what to do."""

from typing import Any

import pytest

from shared.policy import PolicyInvalid, load_policy
from tests.policy.documents import as_yaml, deployment_id, document, problems_in, problems_of, queue_id, target

CASES: list[tuple[dict[str, Any], str, str]] = [
    (
        {"max": 60},
        "targets[0].scaling.max",
        "is 60, which is too large. Write a whole number from 1 to 50 (instances).",
    ),
    ({"min": 0}, "targets[0].scaling.min", "is 0, which is too small. Write a whole number from 1 to 50 (instances)."),
    (
        {"cold_start_s": "15m"},
        "targets[0].scaling.cold_start_s",
        "but must be a number. Write a number from 0 to 2,592,000 (seconds), without quotes or a unit.",
    ),
    ({"max_step_in": 2.5}, "targets[0].scaling.max_step_in", "is 2.5, but must be a whole number."),
    ({"headroom_pct": True}, "targets[0].scaling.headroom_pct", "is true, but must be a number."),
    ({"stale_after_s": None}, "targets[0].scaling.stale_after_s", "is empty. Write a number"),
    (
        {"drain_within": 30},
        "targets[0].scaling.drain_within",
        "is not a field of the policy here. Did you mean `drain_within_s`?",
    ),
    ({"mode": "off"}, "targets[0].scaling.mode", "is not a field of the policy here. Did you mean"),
    (
        {"service_rate": 2.5},
        "targets[0].scaling.service_rate",
        "is 2.5, but must be a mapping. Write its fields below it",
    ),
    (
        {"service_rate": {"per_instance_per_s": 0}},
        "targets[0].scaling.service_rate.per_instance_per_s",
        "is 0, which is too small. Write a number from 0.000001 to 1,000,000 (messages per second and instance).",
    ),
    (
        {"service_rate": {"learn": False}},
        "targets[0].scaling.service_rate.learn",
        "can only be true. Write `learn: true`, or for a known rate `per_instance_per_s` alone.",
    ),
    (
        {"service_rate": {"learn": True, "per_instance_per_s": 2}},
        "targets[0].scaling.service_rate.per_instance_per_s",
        "Remove it, or the fields beside it: they exclude each other.",
    ),
    (
        {"service_rate": {}},
        "targets[0].scaling.service_rate.per_instance_per_s",
        "is missing. Add `per_instance_per_s`",
    ),
    ({"min": 4, "max": 3}, "targets[0].scaling.min", "min is 4, more than max, which is 3. Raise max or lower min."),
    ({"min": 7}, "targets[0].scaling.min", "min is 7, more than max, which is 6 (from defaults)."),
]


@pytest.mark.parametrize(("scaling", "path", "words"), CASES)
def test_wrong_scaling(scaling: dict[str, Any], path: str, words: str) -> None:
    problems = problems_in(target(scaling=scaling))

    assert list(problems) == [path]
    assert words in problems[path]


TARGET_CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"name": None}, "targets[0].name", "is missing. Add `name`: Short, unique name"),
    ({"name": "Chat GPT!"}, "targets[0].name", "lower case letters, digits and inner hyphens. Write 'chat-gpt'."),
    ({"name": "x" * 33}, "targets[0].name", f"Write '{'x' * 32}'."),
    ({"name": "-"}, "targets[0].name", "Write something like 'chat'."),
    ({"name": 7}, "targets[0].name", "is 7, but must be text. Put it in quotes if it is meant as text."),
    ({"mode": "enforced"}, "targets[0].mode", "but must be one of off, observe, enforce. Did you mean `enforce`?"),
    ({"mode": False}, "targets[0].mode", "is false, but must be one of off, observe, enforce. Write one of off"),
    ({"owner": "the chat team"}, "targets[0].owner", "is no e-mail address. Write one address, like team@example.com."),
    ({"scaling": [1]}, "targets[0].scaling", "is a list, but must be a mapping. Write its fields below it, indented"),
    ({"max": 5}, "targets[0].max", "Did you mean `defaults.max` or `targets[].scaling.max`?"),
    (
        {"colour": 5},
        "targets[0].colour",
        "known here: name, deployment, queue, load, dead_letters, mode, owner, environment, project, scaling.",
    ),
    ({"queue": None}, "targets[0].queue", "is missing. Write the full resource id of the Service Bus queue"),
    ({"load": {"by": "requests"}}, "targets[0].load", "stands beside `queue`, but a target has either a queue or"),
    ({"queue": None, "load": {"by": "depth"}}, "targets[0].load.by", "must be one of requests, cpu_utilization"),
    ({"queue": None, "load": {"full_at_pct": 70}}, "targets[0].load.by", "is missing. Add `by`"),
    (
        {"queue": None, "load": {"by": "requests", "full_at_pct": 70}, "scaling": {"drain_within_s": 5}},
        "targets[0].load",
        "has full_at_pct, which says nothing of requests. Remove `full_at_pct`",
    ),
    (
        {"queue": None, "load": {"by": "requests"}},
        "targets[0].scaling",
        "drain_within_s is 1800 (its default), but Azure ML ends a request after 180 seconds",
    ),
    (
        {"queue": None, "load": {"by": "requests"}, "scaling": {"drain_within_s": 181}},
        "targets[0].scaling.drain_within_s",
        "drain_within_s is 181, but Azure ML ends a request after 180 seconds: without a queue, it is the time within",
    ),
    (
        {
            "queue": None,
            "load": {"by": "gpu_utilization"},
            "scaling": {"drain_within_s": 5, "service_rate": {"per_instance_per_s": 2}},
        },
        "targets[0].scaling.service_rate",
        "is a rate of messages or requests, but this target's load is counted in busy instances",
    ),
]


@pytest.mark.parametrize(("fields", "path", "words"), TARGET_CASES)
def test_wrong_target(fields: dict[str, Any], path: str, words: str) -> None:
    right = {"deployment": deployment_id("chat"), "queue": queue_id("chat")}
    problems = problems_in(target(**right | fields))

    assert list(problems) == [path]
    assert words in problems[path]


DOCUMENT_CASES: list[tuple[dict[str, Any], str, str]] = [
    ({"version": 2}, "version", "is not a version that this Watchkeeper reads. Write `version: 1`."),
    ({"version": True}, "version", "Write `version: 1`."),
    ({"defaults": None}, "defaults", "is empty. Write its fields below it, indented, one a line, or remove it."),
    (
        {"targets": {"name": "a"}},
        "targets",
        "is a mapping, but must be a list. Write its items below it, each after a hyphen",
    ),
    ({"target": []}, "target", "Did you mean `targets`?"),
    ({"limits": {"quota_reserve_pct": -1}}, "limits.quota_reserve_pct", "Write a number from 0 to 100 (percent)."),
    ({"limits": {"max_instances": 5}}, "defaults.max", "is 6, more than limits.max_instances, which is 5."),
    ({"defaults": {"min": 9, "max": 6}}, "defaults.min", "min is 9, more than max, which is 6."),
    (
        {"defaults": {"min": 2}},
        "defaults.min",
        "min is 2, more than max, which is 1 (its default). Raise max or lower min.",
    ),
    (
        {"floors": [{"match": "a b", "min_instances": 1, "reason": "r"}]},
        "floors[0].match",
        "is neither a pattern for target names nor the id of a deployment",
    ),
    (
        {"floors": [{"match": queue_id("chat"), "min_instances": 1, "reason": "r"}]},
        "floors[0].match",
        "is not the id of an Azure ML online deployment: segment 6 is 'Microsoft.ServiceBus'",
    ),
    (
        {"floors": [{"match": "*", "min_instances": 1, "reason": ""}]},
        "floors[0].reason",
        "is the text '', which is too short",
    ),
    (
        {"floors": [{"match": "*", "min_instances": 9, "reason": "r"}], "limits": {"max_instances": 8}},
        "floors[0].min_instances",
        "is 9, more than limits.max_instances, which is 8.",
    ),
]


@pytest.mark.parametrize(("fields", "path", "words"), DOCUMENT_CASES)
def test_wrong_document(fields: dict[str, Any], path: str, words: str) -> None:
    problems = problems_in(**fields)

    assert list(problems) == [path]
    assert words in problems[path]


def test_an_inherited_contradiction_is_told_once() -> None:
    problems = problems_in(target("a"), target("b"), defaults={"min": 9, "max": 6})

    assert list(problems) == ["defaults.min"]


def test_two_targets_of_one_name_or_one_deployment() -> None:
    problems = problems_in(target("a"), target("b"), target("a", deployment=deployment_id("b").upper()))

    assert problems["targets[2].name"].startswith("is also the name of targets[0].")
    assert problems["targets[2].deployment"].startswith("is also scaled by targets[1]: two targets would fight")


def test_a_wrong_field_hides_no_contradiction_elsewhere_and_causes_none() -> None:
    problems = problems_in(
        target("a", scaling={"min": 9, "max": "many"}),
        target("a", deployment=7, scaling={"min": 9, "max": 8, "colour": "red"}),
    )

    assert set(problems) == {
        "targets[0].scaling.max",
        "targets[1].name",
        "targets[1].deployment",
        "targets[1].scaling.colour",
        "targets[1].scaling.min",
    }


def test_every_problem_has_its_line_and_the_message_lists_them_in_order() -> None:
    text = (
        "version: 1\n"
        "targets:\n"
        "  - name: chat\n"
        f"    deployment: {deployment_id('chat')}\n"
        "    scaling:\n"
        "      # a comment moves lines\n"
        "      max: 60\n"
        "\n"
        "      min: [1,\n"
        "        2]\n"
        "    mode: enforced\n"
    )
    with pytest.raises(PolicyInvalid) as refused:
        load_policy(text, "prod/policy.yaml")

    assert [(problem.line, problem.path) for problem in refused.value.problems] == [
        (3, "targets[0].queue ('chat')"),
        (7, "targets[0].scaling.max ('chat')"),
        (9, "targets[0].scaling.min ('chat')"),
        (11, "targets[0].mode ('chat')"),
    ]
    lines = str(refused.value).splitlines()
    assert lines[0] == "prod/policy.yaml is not a valid policy (4 problems):"
    assert lines[2] == (
        "  prod/policy.yaml:7: targets[0].scaling.max ('chat'): is 60, which is too large. "
        "Write a whole number from 1 to 50 (instances)."
    )
    assert len(lines) == 5


def test_a_document_that_is_no_mapping() -> None:
    for text in ("", "# only a comment\n", "---\n", "[]", "3", "just words"):
        assert list(problems_of(text)) == ["document"]
        assert "Begin with `version: 1`" in problems_of(text)["document"]


def test_a_long_value_is_cut_in_the_message() -> None:
    problems = problems_of(as_yaml(document(target(mode="x" * 5000, owner="y" * 5000, deployment="/" + "z" * 5000))))

    assert len(problems) == 3
    assert all(len(words) < 500 for words in problems.values())
