"""What a change would do to the targets that there are, and how the command line says it."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.policy.__main__ import main
from shared.policy.plan import Plan, State, plan
from tests.policy.documents import as_yaml, target
from tests.policy.two_layers import deployment_in, platform, project, read, read_one

ENFORCE = {"scaling": {"mode": "enforce"}}


def state(whole: dict[str, Any], *projects: dict[str, Any]) -> State:
    return State.of(read(whole), [read_one(one) for one in projects])


def looser(found: Plan) -> dict[str, list[str]]:
    """By target, the fields that become looser."""
    return {one.target: [change.name for change in one.changes if change.is_looser] for one in found.targets}


def test_nothing_changes() -> None:
    before, after = (state(platform(), project("red"), project("green")) for _ in range(2))
    assert plan(before, after) == Plan(targets=(), unchanged=2, held={})


def test_targets_that_come_and_go() -> None:
    enforced = target(deployment=deployment_in("green"), mode="enforce")
    before = state(platform(loops=ENFORCE), project("red"))
    found = plan(before, state(platform(loops=ENFORCE), project("green", enforced)))

    assert [(one.target, one.what) for one in found.targets] == [("green.chat", "added"), ("red.chat", "removed")]
    assert looser(found) == {"green.chat": ["effective mode"], "red.chat": []}


CHANGES: list[tuple[dict[str, Any], dict[str, Any], str, bool]] = [
    ({"defaults": {"max": 6}}, {"defaults": {"max": 8}}, "scaling.max", True),
    ({"defaults": {"max": 8}}, {"defaults": {"max": 6}}, "scaling.max", False),
    ({"defaults": {"max": 6, "min": 2}}, {"defaults": {"max": 6}}, "scaling.min", True),
    ({"defaults": {"max": 6, "max_step_in": 2}}, {"defaults": {"max": 6}}, "scaling.max_step_in", True),
    ({"limits": {"max_instances": 9}}, {}, "limits.max_instances", True),
    ({"limits": {"quota_reserve_pct": 9}}, {}, "limits.quota_reserve_pct", False),
    ({}, {"limits": {"breaker": {"reversals": 3}}}, "limits.breaker.reversals", False),
    ({"defaults": {"max": 6, "scale_in_hold_s": 7200}}, {"defaults": {"max": 6}}, "limits.breaker.reversals", True),
    ({"floors": [{"match": "*", "min_instances": 2, "reason": "r"}]}, {}, "floors[match=*", True),
    ({}, {"floors": [{"match": "*", "min_instances": 2, "reason": "r"}]}, "floors[match=*", False),
    ({"loops": ENFORCE}, {"loops": {"scaling": {"mode": "off"}}}, "loops.scaling.mode", False),
    ({}, {"loops": ENFORCE}, "loops.scaling.mode", True),
    (
        {},
        {"environments": {"dev": {"workspaces": [{"name": "red"}]}}},
        "environment",
        True,
    ),
]


@pytest.mark.parametrize(("before", "after", "name", "is_looser"), CHANGES)
def test_which_way_a_change_goes(before: dict[str, Any], after: dict[str, Any], name: str, is_looser: bool) -> None:
    found = plan(state(platform(**before), project("red")), state(platform(**after), project("red")))

    (red,) = found.targets
    (change,) = (change for change in red.changes if change.name.startswith(name))
    assert change.is_looser is is_looser


GATE = {"name": "shrinking", "who": ["ada@example.com"]}
IN_PROD = GATE | {"environments": ["prod"]}


@pytest.mark.parametrize(
    ("before", "after", "loosened"),
    [(GATE, IN_PROD, ["approvals[shrinking]"]), (IN_PROD, GATE, []), (IN_PROD, IN_PROD, None)],
)
def test_a_gate_of_another_environment_is_none(
    before: dict[str, Any], after: dict[str, Any], loosened: list[str] | None
) -> None:
    dev = {"environments": {"dev": {"workspaces": [{"name": "red"}]}}}
    old, new = (state(platform(**dev, approvals=[gate]), project("red")) for gate in (before, after))
    assert looser(plan(old, new)) == ({} if loosened is None else {"red.chat": loosened})


def test_a_target_that_moves_out_of_a_gate_s_environment_loses_the_gate() -> None:
    stage = {"environments": {"stage": {"workspaces": [{"name": "red"}]}}}
    found = plan(
        state(platform(approvals=[IN_PROD]), project("red")),
        state(platform(**stage, approvals=[IN_PROD]), project("red")),
    )
    assert "approvals[shrinking]" in looser(found)["red.chat"]


@pytest.mark.parametrize("own", [{}, {"reversals": 150}, {"reversals": 5}])
@pytest.mark.parametrize("platform_s", [{}, {"reversals": 5}, {"reversals": 150}, {"reversal_window_s": 3600}])
def test_a_longer_window_for_reversals_loosens_nothing(platform_s: dict[str, Any], own: dict[str, Any]) -> None:
    whole = platform(limits={"breaker": platform_s})
    longer = project("red", limits={"breaker": own | {"reversal_window_s": 86_400}})
    assert not plan(state(whole, project("red")), state(whole, longer)).is_looser


def test_the_environment_s_longer_window_loosens_nothing() -> None:
    rules = {"workspaces": [{"name": "red"}], "limits": {"breaker": {"reversal_window_s": 86_400}}}
    before = platform(environments={"prod": {"workspaces": rules["workspaces"]}})
    found = plan(state(before, project("red")), state(platform(environments={"prod": rules}), project("red")))
    assert not found.is_looser


def test_a_change_names_the_line_that_sets_it_then() -> None:
    one = project("red", defaults={"max": 3})
    (red,) = plan(state(platform(), project("red")), state(platform(), one)).targets

    (change,) = (change for change in red.changes if change.name == "scaling.max")
    assert (change.before, change.after, change.where) == (6, 3, "red.yaml:8")


class Folder:
    """Documents as files."""

    def __init__(self, path: Path) -> None:
        self.path, self.projects = path, path / "projects"
        self.projects.mkdir()

    def platform(self, name: str, whole: dict[str, Any]) -> str:
        (self.path / name).write_text(as_yaml(whole))
        return str(self.path / name)

    def project(self, whole: dict[str, Any], name: str = "") -> None:
        (self.projects / (name or f"{whole['project']}.yaml")).write_text(as_yaml(whole))


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_the_plan_in_words_and_as_json(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    old = folder.platform("old.yaml", platform(limits={"max_instances": 9}))
    new = folder.platform("new.yaml", platform(limits={"max_instances": 5}, defaults={"max": 4, "min": 2}))
    folder.project(project("red", defaults={"max": 8}, owner="red@example.com"))
    folder.project(project("green"))
    arguments = ["plan", "--before", old, "--after", new, "--projects", str(folder.projects)]

    assert main(arguments) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "~ red.chat (red@example.com): changed" in lines
    assert f"    limits.max_instances: 9 -> 5  [{new}:21]" in lines
    held = f"held to what is allowed: {folder.projects}/red.yaml:8: defaults.max: is 8, more than"
    assert any(line.startswith(held) for line in lines)
    assert lines[-1] == (
        "0 added, 0 removed, 2 changed, 0 unchanged. Nothing becomes looser. To be told: red@example.com."
    )

    back = ["plan", "--before", new, "--after", old, "--projects", str(folder.projects), "--json"]
    assert main(back) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["is_looser"]
    assert [one["target"] for one in told["targets"]] == ["green.chat", "red.chat"]
    assert {"name": "limits.max_instances", "before": 5, "after": 9}.items() <= told["targets"][0]["changes"][0].items()


def test_check_judges_the_folder_against_the_platform(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.platform("platform.yaml", platform(limits={"max_instances": 6}))
    folder.project(project("red"))
    assert main(["check", file, "--projects", str(folder.projects)]) == 0
    assert f"{file} and 1 project: valid, 1 target, version " in capsys.readouterr().out

    folder.project(project("green", limits={"max_instances": 7}, defaults={"max": 9}))
    folder.project(project("blue"), "wrong-name.yaml")
    folder.project(project("stranger", colour="red"))
    folder.project({"version": 1, "project": "red", "colour": 1}, "syntax.yaml")
    assert main(["check", file, "--projects", str(folder.projects)]) == 1
    told = capsys.readouterr().out
    for words in (
        "green.yaml:8: limits.max_instances: is 7, more than the platform's 6",
        "green.yaml:10: defaults.max: is 9, more than",
        "wrong-name.yaml:2: project: is 'blue', but the document is named",
        "stranger.yaml:2: project: is 'stranger', which the platform's document does not know",
        "stranger.yaml:7: colour: is not a field",
        "syntax.yaml:3: colour: is not a field",
    ):
        assert f"{folder.projects}/{words}" in told


@pytest.mark.parametrize("text", ["version: 2", "{", None])
def test_a_wrong_platform_s_document_hides_no_error_of_a_project_s(
    folder: Folder, capsys: pytest.CaptureFixture[str], text: str | None
) -> None:
    file = folder.path / "platform.yaml"
    if text is not None:
        file.write_text(text)
    folder.project(project("red", colour="red"))
    folder.project(project("green"), "misnamed.yaml")

    assert main(["check", str(file), "--projects", str(folder.projects)]) == 1
    told = capsys.readouterr().out
    assert f"{file}:" in told
    assert f"{folder.projects}/red.yaml:7: colour: is not a field" in told
    assert "Name the document green.yaml" in told


def test_check_of_single_documents_of_both_kinds(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.platform("platform.yaml", platform())
    folder.project(project("red"))
    folder.project(project("green"), "red2.yaml")
    red, wrong = folder.projects / "red.yaml", folder.projects / "red2.yaml"

    assert main(["check", file, str(red)]) == 0
    assert f"{red}: valid in itself, 1 target of red" in capsys.readouterr().out
    assert main(["check", str(wrong)]) == 1
    assert "Name the document green.yaml" in capsys.readouterr().out


def test_commands_that_make_no_sense_or_find_nothing(folder: Folder, capsys: pytest.CaptureFixture[str]) -> None:
    file = folder.platform("platform.yaml", platform())
    assert main(["check", file, file, "--projects", str(folder.projects)]) == 2
    assert main(["check", file, "--projects", str(folder.path / "none")]) == 1
    assert main(["plan", "--before", str(folder.path / "none.yaml"), "--after", file]) == 1
    assert "could not be read: No such file" in capsys.readouterr().out
    with pytest.raises(SystemExit) as stopped:
        main(["plan", "--after", file])
    assert stopped.value.code == 2
