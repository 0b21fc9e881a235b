"""The platform's document and the projects' as one policy: what is granted, what is tightened, what is left out."""

from typing import Annotated, Any

import pytest

from shared.policy import Policy, Target
from shared.policy.models import Limits, Loops, Sections
from shared.policy.parts import Part
from shared.policy.problems import spell
from shared.policy.tighten import Owner, declared, tighten, tightens
from tests.policy.documents import deployment_id, queue_id, target
from tests.policy.two_layers import deployment_in, findings, grant, merged, platform, project


def found(policy: Policy, name: str) -> Target:
    one = policy.target(name)
    assert one is not None, [known.name for known in policy.targets]
    return one


def test_a_project_s_target_is_known_by_both_names_and_has_project_and_owner() -> None:
    policy = merged(platform(), project("red", owner="red@example.com"), project("green")).policy

    assert [one.name for one in policy.targets] == ["green.chat", "red.chat"]
    red = found(policy, "red.chat")
    assert (red.project, red.owner, red.environment) == ("red", "red@example.com", "prod")
    assert "project:red" in red.place("scaling").scopes
    assert Target.model_validate(red.model_dump(mode="json")) == red, "the ledger holds it, and replays it"


def test_scaling_comes_from_the_nearest_that_says_it() -> None:
    whole = platform(
        defaults={"max": 6, "drain_within_s": 1, "cold_start_s": 1, "scale_in_hold_s": 1, "headroom_pct": 1},
        environments={
            "dev": {
                "workspaces": [{"name": "red"}],
                "defaults": {"drain_within_s": 2, "cold_start_s": 2, "scale_in_hold_s": 2},
            }
        },
    )
    one = project(
        "red",
        target(deployment=deployment_in("red"), scaling={"drain_within_s": 4}),
        defaults={"drain_within_s": 3, "cold_start_s": 3},
    )
    scaling = found(merged(whole, one).policy, "red.chat").scaling

    assert (scaling.drain_within_s, scaling.cold_start_s, scaling.scale_in_hold_s, scaling.headroom_pct) == (4, 3, 2, 1)
    assert scaling.respect_manual_s == 14_400


LOOSENING: list[tuple[dict[str, Any], str, str]] = [
    ({"limits": {"max_instances": 9}}, "limits.max_instances", "is 9, more than the platform's 8"),
    ({"limits": {"quota_reserve_pct": 10}}, "limits.quota_reserve_pct", "is 10, less than the platform's 20"),
    ({"defaults": {"max": 9}}, "defaults.max", "is 9, more than limits.max_instances allows, which is 8"),
    ({"defaults": {"min": 7}}, "defaults.min", "min is 7, more than max, which is 6"),
    (
        {"floors": [{"match": "chat", "min_instances": 9, "reason": "r"}]},
        "floors[0].min_instances",
        "is 9, more than limits.max_instances allows, which is 8",
    ),
    (
        {"floors": [{"match": deployment_id("other"), "min_instances": 1, "reason": "r"}]},
        "floors[0].match",
        "is the id of a deployment that this project does not watch",
    ),
]


@pytest.mark.parametrize(("fields", "path", "words"), LOOSENING)
def test_what_would_loosen_is_named_and_takes_no_effect(fields: dict[str, Any], path: str, words: str) -> None:
    whole = platform(limits={"max_instances": 8})

    problems = findings(whole, project("red", **fields))["red.yaml"]
    assert list(problems) == [path]
    assert words in problems[path]
    policy = merged(whole, project("red", **fields)).policy
    red = found(policy, "red.chat")
    assert policy.limits_of(red) == Limits(max_instances=8)
    assert red.scaling.max <= 8
    assert red.scaling.min <= red.scaling.max
    assert all(floor.min_instances <= 8 for floor in policy.floors)


def test_what_tightens_holds_for_the_project_alone() -> None:
    own = {"max_instances": 4, "quota_reserve_pct": 50}
    policy = merged(
        platform(limits={"max_instances": 8}, loops={"scaling": {"mode": "enforce"}}),
        project("red", limits=own, loops={"scaling": {"mode": "observe"}}),
        project("green", target(deployment=deployment_in("green"), mode="enforce")),
    ).policy
    red, green = found(policy, "red.chat"), found(policy, "green.chat")

    assert policy.limits_of(red) == Limits(**own)
    assert policy.limits_of(green) == policy.limits == Limits(max_instances=8)
    assert (red.scaling.max, green.scaling.max) == (4, 6), "what the platform's default brings is held without a word"
    assert (policy.scaling_mode(red), policy.scaling_mode(green)) == ("observe", "enforce")


def test_a_floor_of_a_project_protects_its_own_targets_only() -> None:
    whole = platform(targets=[target("chat")], floors=[{"match": "*", "min_instances": 1, "reason": "all"}])
    one = project("red", floors=[{"match": "*", "min_instances": 3, "reason": "red"}])
    policy = merged(whole, one, project("green")).policy

    said = {one.name: [floor.reason for floor in policy.floors_of(one)] for one in policy.targets}
    assert said == {"chat": ["all"], "green.chat": ["all"], "red.chat": ["all", "red"]}
    assert [floor.match for floor in policy.floors] == ["*", "red.*"]


REFUSED_TARGETS: list[tuple[dict[str, Any], str, str]] = [
    ({"deployment": deployment_in("blue")}, "deployment", "is in no workspace that the platform grants"),
    ({"deployment": deployment_in("green")}, "deployment", "belongs to the project 'green'"),
    ({"deployment": deployment_in("red", "own").upper()}, "deployment", "is already watched as the platform's own"),
    ({"queue": queue_id("x").replace("lab-bus", "hr-bus")}, "queue", "is a queue that the platform does not grant"),
]


@pytest.mark.parametrize(("fields", "field", "words"), REFUSED_TARGETS)
def test_what_is_not_granted_is_refused(fields: dict[str, Any], field: str, words: str) -> None:
    whole = platform(targets=[target("own", deployment=deployment_in("red", "own"))])
    right, wrong = target("a", deployment=deployment_in("red", "a")), target("b", deployment=deployment_in("red", "b"))
    one = project("red", right, wrong | fields)

    problems = findings(whole, one, project("green"))
    assert list(problems) == ["red.yaml"]
    assert list(problems["red.yaml"]) == [f"targets[1].{field}"]
    assert words in problems["red.yaml"][f"targets[1].{field}"]
    assert [one.name for one in merged(whole, one, project("green")).policy.targets] == ["own", "green.chat", "red.a"]


@pytest.mark.parametrize(
    ("defaults", "own", "path"),
    [
        ({}, {}, "targets[0].scaling"),
        ({"drain_within_s": 600}, {}, "targets[0].scaling"),
        ({"drain_within_s": 60}, {}, None),
        ({"drain_within_s": 600}, {"drain_within_s": 5}, None),
    ],
)
def test_a_promise_to_requests_is_one_that_can_be_broken(
    defaults: dict[str, Any], own: dict[str, Any], path: str | None
) -> None:
    """Without a queue no grant of one is needed; what the platform's defaults promise to queues may be too long."""
    called = target("a", deployment=deployment_in("red"), queue=None, load={"by": "requests"}, scaling=own)
    whole = platform(defaults={"max": 6} | defaults)
    result = merged(whole, project("red", called))

    assert list(findings(whole, project("red", called)).get("red.yaml", {})) == ([path] if path else [])
    (found,) = result.policy.targets
    assert found.scaling.drain_within_s == (180 if path else own.get("drain_within_s", 60))


def test_a_project_without_a_grant_has_nothing() -> None:
    stranger = project("stranger", target(deployment=deployment_in("red")), limits={"max_instances": 1})
    result = merged(platform(), stranger, project("red"))

    assert "which the platform's document does not know" in result.findings["stranger.yaml"][0].reason
    assert [one.name for one in result.policy.targets] == ["red.chat"]
    assert result.policy.limits == Limits()


def test_the_first_grant_that_fits_owns_a_deployment() -> None:
    shared = {"workspaces": [{"resource_group": "models"}]}
    whole = platform(projects=[grant("red", **shared, endpoints=["chat*"]), grant("green", **shared)])
    mine = project("red", target("a", deployment=deployment_in("lab", endpoint="chat-eu")))
    theirs = project(
        "green",
        target("a", deployment=deployment_in("lab", endpoint="chat-eu")),
        target("b", deployment=deployment_in("lab", endpoint="search")),
    )

    assert list(findings(whole, mine, theirs)) == ["green.yaml"]
    assert [one.name for one in merged(whole, mine, theirs).policy.targets] == ["green.b", "red.a"]


def test_the_platform_s_rules_say_what_is_prod() -> None:
    whole = platform(
        environments={
            "dev": {"workspaces": [{"name": "*"}]},
            "prod": {"workspaces": [{"name": "red"}], "limits": {"max_instances": 3}},
        }
    )
    one = project("red", target(deployment=deployment_in("red"), environment="dev"))
    policy = merged(whole, one, project("green")).policy

    assert found(policy, "red.chat").environment == "prod", "the more careful of two that claim a workspace"
    assert found(policy, "green.chat").environment == "dev"
    assert "by the platform's rules" in findings(whole, one)["red.yaml"]["targets[0].environment"]
    assert [found(policy, name).scaling.max for name in ("red.chat", "green.chat")] == [3, 6]


@pytest.mark.parametrize("word", ["dev", "stage"])
def test_a_project_cannot_call_its_own_less_than_prod(word: str) -> None:
    """It would be free of what the platform asks of prod: limits, approvals."""
    whole = platform(environments={"prod": {"limits": {"max_instances": 3}}}, defaults={"max": 2})
    one = project("red", target(deployment=deployment_in("red"), environment=word, scaling={"max": 20}))

    red = found(merged(whole, one).policy, "red.chat")
    assert (red.environment, red.scaling.max) == ("prod", 3)
    told = findings(whole, one)["red.yaml"]
    assert (
        f"no rule of the platform says so of its workspace: it is prod. Remove it, or ask the platform to name the "
        f"workspace in environments.{word}." in told["targets[0].environment"]
    )
    assert "max" in " ".join(told)
    assert findings(whole, project("red", target(deployment=deployment_in("red"), environment="prod"))) == {}


def test_tags_tell_the_environment_and_unknown_ones_the_most_careful() -> None:
    whole = platform(environments={"dev": {"workspaces": [{"tags": {"env": "dev*"}}]}, "prod": {"workspaces": [
        {"tags": {"env": "prod"}}]}})  # fmt: skip
    key = deployment_in("red").split("/onlineEndpoints")[0].lower()

    def environment(tags: Any) -> str:
        return found(merged(whole, project("red"), tags=tags).policy, "red.chat").environment

    assert environment({key: {"Env": "development"}}) == "dev"
    assert environment(None) == environment({}) == "prod"
    assert environment({key: {}}) == "prod", "no rule claims it"


def test_an_environment_may_only_tighten() -> None:
    whole = platform(
        limits={"max_instances": 8},
        environments={"prod": {"limits": {"max_instances": 9}, "loops": {"scaling": {"mode": "enforce"}}}},
    )

    assert list(findings(whole)["platform.yaml"]) == ["environments.prod.limits.max_instances"]


def test_every_list_that_is_added_to_can_be_held_to_a_project() -> None:
    def lists(model: type[Part]) -> list[tuple[str, Any]]:
        own = [(name, info.annotation) for name, info in model.model_fields.items() if declared(model, name) == "add"]
        inner = [info.annotation for name, info in model.model_fields.items() if declared(model, name) == "within"]
        nested = [part for part in inner if isinstance(part, type) and issubclass(part, Part)]
        return own + [found for part in nested for found in lists(part)]

    added = lists(Sections)
    assert added
    for name, annotation in added:
        (item, *_) = annotation.__args__
        assert {"scope", "scopes", "match", "projects"} & item.model_fields.keys(), name
    assert declared(Loops, "scaling") == "within"


def test_a_channel_with_somebody_else_s_secret_is_left_out() -> None:
    channels = [
        {"name": "ours", "kind": "slack", "secret": "red-slack"},
        {"name": "theirs", "kind": "slack", "secret": "green-slack"},
    ]
    whole = platform(projects=[grant("red", secrets=["red-*"])])
    one = project("red", notices={"channels": channels})

    assert list(findings(whole, one)["red.yaml"]) == ["notices.channels[1].secret"]
    channels_in_force = merged(whole, one).policy.notices.channels
    assert [(channel.name, channel.projects) for channel in channels_in_force] == [("red.ours", ("red",))]


@pytest.mark.parametrize(
    ("allowed", "own", "effective", "problem"),
    [
        (["westeurope", "northeurope"], ["westeurope"], ("westeurope",), ""),
        (["westeurope"], [], ("westeurope",), ""),
        ([], ["westeurope"], ("westeurope",), ""),
        (["westeurope"], ["westeurope", "eastus"], ("westeurope",), "limits.allowed_regions[1]"),
        (["westeurope"], ["eastus"], ("westeurope",), "limits.allowed_regions[0]"),
    ],
)
def test_what_is_allowed_can_be_narrowed_and_never_becomes_everything(
    allowed: list[str], own: list[str], effective: tuple[str, ...], problem: str
) -> None:
    whole, one = platform(limits={"allowed_regions": allowed}), project("red", limits={"allowed_regions": own})

    policy = merged(whole, one).policy
    assert policy.limits_of(found(policy, "red.chat")).allowed_regions == effective
    assert list(findings(whole, one).get("red.yaml", {})) == ([problem] if problem else [])


class Switches(Part):
    """Kinds of fields that no section has yet."""

    is_careful: Annotated[bool, tightens("on")] = False
    ceiling: Annotated[int | None, tightens("lower")] = None
    fixed: int = 1


class Whole(Part):
    """What such a section is in."""

    switches: Annotated[Switches | None, tightens("within")] = None


@pytest.mark.parametrize(
    ("base", "own", "effective", "problems"),
    [
        ({"is_careful": True}, {"is_careful": False}, {"is_careful": True}, ["switches.is_careful"]),
        ({}, {"is_careful": True}, {"is_careful": True}, []),
        ({"ceiling": 3}, {"ceiling": None}, {"ceiling": 3}, ["switches.ceiling"]),
        ({"ceiling": None}, {"ceiling": 3}, {"ceiling": 3}, []),
        ({}, {"fixed": 2}, {}, ["switches.fixed"]),
        ({"ceiling": 3}, None, {"ceiling": 3}, ["switches"]),
        (None, {"ceiling": 3}, {"ceiling": 3}, []),
    ],
)
def test_every_direction_of_tightening(base: Any, own: Any, effective: Any, problems: list[str]) -> None:
    first, second = Whole.model_validate({"switches": base}), Whole.model_validate({"switches": own})
    tightened, told = tighten(first, second, Owner(project="red"))

    assert tightened == Whole.model_validate({"switches": effective})
    assert [spell(finding.path) for finding in told] == problems
    assert all(finding.reason and finding.remedy for finding in told)
