"""Entries of lists that speak of nothing: valid, and warned of."""

from pathlib import Path
from typing import Any

import pytest

from shared.loops.engine import discover_loops
from shared.policy.__main__ import main
from shared.policy.loading import warnings_of
from shared.policy.models import Loops
from tests.policy.documents import as_yaml, deployment_id, document, target, warnings_in
from tests.policy.two_layers import deployment_in, merged, platform, project, read, read_one

GATE = {"name": "gate", "who": ["ada@example.com"]}
QUIET = {"name": "quiet", "reason": "r", "zone": "UTC", "dates": ["2026-12-24"]}
FLOOR = {"min_instances": 2, "reason": "r"}
MAIL = {"name": "mail", "kind": "mail"}
LETTERS = {"name": "letters", "queue": "orders"}


def entry(of: str, **fields: Any) -> dict[str, Any]:
    """A document's field with one entry of this list."""
    match of:
        case "approvals":
            return {"approvals": [GATE | fields], "notices": {"channels": [MAIL]}}
        case "freezes":
            return {"freezes": [QUIET | fields]}
        case "floors":
            return {"floors": [FLOOR | fields]}
        case "channels":
            return {"notices": {"channels": [MAIL | fields]}}
    return {"dead_letters": [LETTERS | fields]}


MISTYPED: list[tuple[dict[str, Any], str, str]] = [
    (entry("approvals", loop="scalign"), "approvals[0].loop", "names no loop. Did you mean `scaling`?"),
    (entry("approvals", loop="x"), "approvals[0].loop", "names no loop. Correct or remove it; there is: scaling."),
    (entry("approvals", scopes=["target:caht"]), "approvals[0].scopes[0]", "Did you mean `target:chat`?"),
    (entry("approvals", scopes=["all", "target:red.caht"]), "approvals[0].scopes[1]", "names no target."),
    (entry("freezes", scopes=["loop:Scaling"]), "freezes[0].scopes[0]", "Did you mean `loop:scaling`?"),
    (entry("freezes", scopes=["workspace:lav"]), "freezes[0].scopes[0]", "Did you mean `workspace:lab`?"),
    (entry("freezes", scopes=["project:talks"]), "freezes[0].scopes[0]", "Did you mean `project:talk`?"),
    (entry("floors", match="caht"), "floors[0].match", "matches no target. Did you mean `chat`?"),
    (entry("floors", match="b*"), "floors[0].match", "matches no target. Correct or remove it; there is: chat."),
    (entry("floors", match=deployment_id("green")), "floors[0].match", "matches no target"),
    (entry("channels", projects=["tlak"]), "notices.channels[0].projects[0]", "Did you mean `talk`?"),
    (entry("dead_letters", projects=["tlak"]), "dead_letters[0].projects[0]", "Did you mean `talk`?"),
]


@pytest.mark.parametrize(("fields", "path", "words"), MISTYPED)
def test_what_names_nothing_is_warned_of(fields: dict[str, Any], path: str, words: str) -> None:
    warnings = warnings_in(target(project="talk"), **fields)
    assert list(warnings) == [path]
    assert words in warnings[path]


def test_what_names_something_is_not() -> None:
    workspace = deployment_id("chat").partition("/onlineEndpoints")[0]
    scopes = ["all", "loop:scaling", "target:chat", "project:talk", "workspace:LAB", f"workspace:{workspace}"]
    floors = [FLOOR | {"match": match} for match in ("chat", "ch*", deployment_id("chat"))]
    fields = entry("approvals", scopes=scopes, loop="scaling") | entry("freezes", scopes=scopes) | {"floors": floors}
    assert warnings_in(target(project="talk"), **fields) == {}


def platform_s(*scopes: str, match: str = "*") -> dict[str, Any]:
    """A platform's document that grants projects their workspaces of the same names."""
    return platform(freezes=[QUIET | {"scopes": ["all", *scopes]}], floors=[FLOOR | {"match": match}])


@pytest.mark.parametrize(
    ("whole", "alone", "together"),
    [
        (platform_s("project:red", "target:red.chat", "workspace:red", match="red.*"), [], []),
        (platform_s(match=deployment_in("red")), [], []),
        (platform_s(match="r*"), [], []),
        (platform_s("target:red.caht"), [], ["Did you mean `target:red.chat`?"]),
        (platform_s(match="red.c?"), [], ["Did you mean `red.chat`?"]),
        (platform_s("target:chat"), ["Correct or remove it."], ["Did you mean `target:red.chat`?"]),
        (platform_s("target:read.chat"), ["Correct or remove it."], ["Did you mean `target:red.chat`?"]),
        (platform_s("project:read"), ["Did you mean `project:red`?"], ["Did you mean `project:red`?"]),
        (platform_s("workspace:rad"), ["Correct or remove it."], ["Did you mean `workspace:red`?"]),
        (platform_s(match="chat"), ["Correct or remove it."], ["Did you mean `red.chat`?"]),
    ],
)
def test_of_a_project_s_targets_is_judged_what_is_known(
    whole: dict[str, Any], alone: list[str], together: list[str]
) -> None:
    """By itself, the platform's document says which projects there are, and not their targets."""
    whole = whole | {"projects": whole["projects"][:1]}
    written, one = read(whole), merged(whole, project("red"))
    assert [warning.remedy for warning in warnings_of(written)] == alone
    assert [warning.remedy for warning in warnings_of(written, one.policy)] == together


def test_a_rule_by_tags_may_mean_any_workspace_until_all_targets_are_known() -> None:
    whole = platform_s("workspace:somewhere") | {"workspaces": [{"tags": {"watch": "on"}}]}
    assert warnings_of(read(whole)) == ()
    (warning,) = warnings_of(read(whole), merged(whole, project("red"), project("green")).policy)
    assert "names no workspace of a target or a rule" in warning.reason


def test_a_project_s_document_is_looked_at_too() -> None:
    own = project("red", approvals=[GATE | {"loop": "scalign"}], floors=[FLOOR | {"match": "caht"}])
    assert {warning.path: warning.remedy for warning in warnings_of(read_one(own))} == {
        "approvals[0].loop": "Did you mean `scaling`?",
        "floors[0].match": "Did you mean `chat`?",
    }


def test_check_warns_of_both_kinds_of_documents(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "platform.yaml").write_text(as_yaml(platform_s("target:red.caht", "target:green.chat")))
    (tmp_path / "projects").mkdir()
    own = tmp_path / "projects" / "red.yaml"
    own.write_text(as_yaml(project("red", approvals=[GATE | {"loop": "scalign"}])))
    alone = tmp_path / "alone.yaml"
    alone.write_text(as_yaml(document(**entry("approvals", loop="scalign"))))

    assert main(["check", str(tmp_path / "platform.yaml"), "--projects", str(own.parent)]) == 0
    of_platform, of_project, _ = capsys.readouterr().out.splitlines()
    assert of_platform.startswith(f"warning: {tmp_path}/platform.yaml:")
    assert "Did you mean `target:red.chat`?" in of_platform
    assert of_project.startswith(f"warning: {own}:")

    assert main(["check", str(alone), str(own)]) == 0
    assert capsys.readouterr().out.count("approvals[0].loop: is 'scalign', which names no loop.") == 2


def test_every_loop_has_its_switches_so_that_its_name_is_known() -> None:
    nothing_is_read: Any = None
    loops = discover_loops(nothing_is_read)
    assert {loop.name for loop in loops} <= set(Loops.model_fields)
