"""What the documents for operators promise is what the code does: routes, codes, requests, runbooks, links."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handlers.answers import TITLES
from shared.people.templates import TEMPLATES
from tests.app.route_table import PAGE, ROOT, documented, written
from tests.app.test_index import EXPECTED

DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
CODES = DOCS / "codes.md"
WORD = re.compile(r"[a-z]+(_[a-z]+)+$")
# Where decisions, refusals and ends get their codes.
SPEAKING = ("decisions/scaling/decide.py", "decisions/arbitration", "changes", "safety", "loops/standing.py")


def served() -> set[tuple[str, str]]:
    """(method, route with X for each parameter) of the app's index."""
    bindings = [one for function in EXPECTED.values() for one in function if one["type"] == "httpTrigger"]
    return {(method, _shape(one["route"])) for one in bindings for method in one["methods"]}


def _shape(route: str) -> str:
    return re.sub(r"\{[^}]*\}", "X", route)


def test_the_table_of_routes_is_the_apps() -> None:
    assert {(method, _shape(one.route)) for one in documented() for method in one.methods} == served()
    page = PAGE.read_text(encoding="utf-8")
    assert page == written(page), "run python -m tests.app.route_table"
    assert all(one.says for one in documented())


def requests_in(text: str) -> Iterator[tuple[str, str]]:
    """(method, route) of every request that a text names; parts in capitals or in brackets are parameters."""
    for methods, path in re.findall(
        r"\b((?:GET|POST|PUT|DELETE)(?:, (?:GET|POST|PUT|DELETE))*)\s+/api/([\w{}./-]+)", text
    ):
        parts = ["X" if part.isupper() or "{" in part else part for part in path.rstrip(".").split("/")]
        yield from ((method, "/".join(parts)) for method in methods.split(", "))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_request_that_a_document_names_is_a_route(page: Path) -> None:
    named = set(requests_in(page.read_text(encoding="utf-8")))
    assert named <= served(), named - served()


def test_every_request_that_the_code_names_is_a_route() -> None:
    sources = [*(ROOT / "shared").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")]
    named = {one for source in sources for one in requests_in(source.read_text(encoding="utf-8"))}
    assert len(named) > 5
    assert named <= served(), named - served()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(#[^)\s]*)?\)", page.read_text(encoding="utf-8")):
        there = (page.parent / target).resolve() if target else page
        assert there.exists(), target
        if anchor:
            assert anchor[1:] in anchors(there), f"{target}{anchor}"


def anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def codes_of(section: str) -> set[str]:
    """The codes in the first column of the tables under a heading that contains `section`; "" for all."""
    found = set()
    for part in CODES.read_text(encoding="utf-8").split("\n## "):
        if section in part.partition("\n")[0]:
            rows = re.findall(r"^\| (`[^|]*) \|", part, re.MULTILINE)
            found |= {code for row in rows for code in re.findall(r"`(\w+)`", row)}
    return found


def test_every_code_of_an_error_is_documented() -> None:
    assert codes_of("Errors") == set(TITLES)


def test_every_rule_and_code_is_documented() -> None:
    spoken = {code for source in _speaking() for code in _codes(ast.parse(source.read_text(encoding="utf-8")))}
    assert {"verified", "frozen", "below_min", "lease_over", "carries_traffic", "expired", "paused"} <= spoken
    known = codes_of("Rules") | codes_of("Ends") | codes_of("Refusals")
    assert spoken <= known, spoken - known


def test_every_documented_code_is_one_of_the_code() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "shared").rglob("*.py"))
    built = ("promise_at_risk_limited_by_", "limited_by_", "mode_", "approval_")
    for code in codes_of("Rules") | codes_of("Ends") | codes_of("Refusals"):
        assert f'"{code}"' in text or code.startswith(built), code


def _speaking() -> list[Path]:
    places = [ROOT / "shared" / place for place in SPEAKING]
    return [path for place in places for path in ([place] if place.suffix else sorted(place.rglob("*.py")))]


def _codes(module: ast.Module) -> Iterator[str]:
    """Codes as they are written: by keyword, in a constant CODE, as an argument of what ends or refuses an act, and in
    what is returned together with a sentence.
    """
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            named = [k.value for k in node.keywords if k.arg == "rule" or (k.arg == "code" and _refuses(node))]
            ends = _name(node) in ("ActRefused", "_end", "_intent", "Guarded")
            at = {"ActRefused": slice(0, 1), "_end": slice(4, 5), "_intent": slice(4, 5), "Guarded": slice(1, 2)}
            given = node.args[at[_name(node)]] if ends else []
            yield from _texts([*named, *given])
        elif isinstance(node, ast.Assign) and any(
            isinstance(one, ast.Name) and one.id == "CODE" for one in node.targets
        ):
            yield from _texts([node.value])
        elif isinstance(node, ast.Return) and isinstance(node.value, ast.Tuple):
            yield from (word for word in _texts(node.value.elts[:3]) if WORD.match(word))


def _refuses(call: ast.Call) -> bool:
    return _name(call) in ("Refusal", "Wait", "Shut")


def _name(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _texts(nodes: list[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.IfExp):
            yield from _texts([node.body, node.orelse])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


ALARMS = sorted(kind for kind, template in TEMPLATES.items() if template.alarm)


@pytest.mark.parametrize("kind", ALARMS)
def test_every_alarm_has_a_runbook_with_requests(kind: str) -> None:
    text = (DOCS / "runbooks" / f"{kind}.md").read_text(encoding="utf-8")
    assert f"Alarm `{kind}`." in text
    parts = {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}
    assert list(parts) == ["What it means", "How to check", "What to do", "How to know that it is over"]
    assert "/api/" in parts["How to check"], "the exact request to look"
