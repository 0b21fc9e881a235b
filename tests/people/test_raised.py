"""Every kind of notice is raised somewhere: a kind that nobody raises is a promise that nobody keeps."""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import pytest

from shared.domain import NoticeKind

ROOT = Path(__file__).parents[2]
KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)

RAISED: Mapping[NoticeKind, tuple[str, ...]] = {
    "approval_requested": ("shared/safety/approvals/words.py",),
    "approval_ended": ("shared/safety/approvals/words.py",),
    "loop_blind": ("shared/loops/telling.py",),
    "promise_unkept": ("shared/loops/telling.py",),
    "manual_change": ("shared/loops/telling.py",),
    "action_failed": ("shared/people/occasions.py",),
    "action_stuck": ("shared/upkeep/stuck_actions.py",),
    "hold_below_floor": ("shared/loops/telling.py",),
    "exemption_expired": ("shared/safety/telling.py",),
    "breaker_tripped": ("shared/safety/telling.py",),
    "limit_reached": ("shared/safety/telling.py",),
    "quarantine_aged": ("shared/upkeep/quarantine.py",),
    "dead_letters_aged": ("shared/upkeep/dead_letters.py",),
    "sweep_stopped": ("shared/records/heartbeats.py",),
    "policy_refused": ("shared/upkeep/policy_documents.py",),
    "unwatched": ("shared/policy/unwatched.py",),
    "secret_near_expiry": ("shared/loops/secret_expiry.py",),
    "ledger_broken": ("shared/upkeep/ledger_archive.py",),
    # The second is a person's test of the ways, told as what it is.
    "control_switched": ("shared/people/occasions.py", "handlers/admin_notices.py"),
    "digest": ("shared/people/digest.py",),
}
"""Written by hand: whoever adds a kind adds where it is raised, and a test in which it is."""

PAST_THE_DOOR = {
    "shared/people/door.py": "it is the door",
    "shared/upkeep/notices.py": "the ledger has them: a crash kept them from the outbox",
    "shared/people/lanes.py": "a digest tells what was told by the door, and has its receipt",
    "shared/safety/approvals/desk.py": "each event of a question has an entry of its own, and each person a notice",
    "handlers/admin_notices.py": "a test of a way; the control that asked for it is recorded",
}
"""Who puts notices into the outbox directly, and why."""

# What the words of a kind need, and what chooses among kinds, raises nothing.
_WORDS = ("shared/domain/notices.py", "shared/people/templates.py", "shared/policy/notices.py")
_TELLS = re.compile(r"(.*\.)?_?(door\.(tell|record)|outbox\.put)|(self\.)?_tell")


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One function of a module: what it calls (by the last name), and whether it tells people."""

    path: str
    name: str
    is_method: bool
    calls: tuple[tuple[str, ast.Call], ...]
    names: frozenset[str]
    tells: bool


@cache
def trees() -> Mapping[str, ast.Module]:
    found = {}
    for folder in ("shared", "handlers"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            found[path.relative_to(ROOT).as_posix()] = ast.parse(path.read_text(encoding="utf-8"))
    return found


def calls(tree: ast.AST) -> Iterator[tuple[str, ast.Call]]:
    """Every call, by the last name of what is called."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func
            name = called.id if isinstance(called, ast.Name) else getattr(called, "attr", "")
            yield name, node


@cache
def functions(path: str) -> tuple[Function, ...]:
    tree = trees()[path]
    methods = {item for node in ast.walk(tree) if isinstance(node, ast.ClassDef) for item in node.body}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            called = tuple(calls(node))
            tells = any(_TELLS.fullmatch(ast.unparse(call.func)) for _, call in called)
            names = frozenset(name for name, _ in called)
            found.append(Function(path, node.name, node in methods, called, names, tells))
    return tuple(found)


@cache
def imports(path: str) -> frozenset[str]:
    """The modules that a module imports, and with a dot the names from them."""
    found = set()
    for node in ast.walk(trees()[path]):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
    return frozenset(found)


def makers(path: str, kind: str) -> list[Function]:
    """The functions of a module that make a notice of this kind, or tell it by a table of kinds."""
    tables = {
        node.target.id
        for node in trees()[path].body
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
        if any(_is(kind, part) for part in ast.walk(node))
    }

    def is_made_by(name: str, call: ast.Call) -> bool:
        parts = list(ast.walk(call))
        by_table = name == "_tell" and any(isinstance(part, ast.Name) and part.id in tables for part in parts)
        return by_table or (name in ("Notice", "_tell") and any(_is(kind, part) for part in parts))

    return [function for function in functions(path) if any(is_made_by(*called) for called in function.calls)]


def _is(kind: str, node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and node.value == kind


def users(function: Function) -> list[Function]:
    """The functions that call this one: of its module, and of those that import it; a method's wherever they are."""
    module = function.path.removesuffix(".py").replace("/", ".")
    knowing = [
        path
        for path in trees()
        if path == function.path
        or (not function.name.startswith("_") and (function.is_method or module in imports(path)))
    ]
    return [
        user for path in knowing for user in functions(path) if user is not function and function.name in user.names
    ]


def is_chore(function: Function) -> bool:
    """Whether the upkeep runs it."""
    made = [call for name, call in calls(trees()[function.path]) if name == "Chore"]
    runs = [keyword.value for call in made for keyword in call.keywords if keyword.arg == "run"]
    return any(isinstance(value, ast.Name) and value.id == function.name for value in runs)


def is_told(function: Function, depth: int = 2) -> bool:
    """Whether what a function makes is told, by itself or by who calls it, and whether anybody calls it at all."""
    if is_chore(function):
        return function.tells
    users_of = users(function)
    if function.tells:
        return bool(users_of) or function.path.startswith("handlers/")
    return depth > 0 and any(is_told(user, depth - 1) for user in users_of)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_raised_and_told(kind: NoticeKind) -> None:
    for path in RAISED[kind]:
        made = makers(path, kind)
        assert made, f"{path} makes no {kind}"
        unheard = [function.name for function in made if not is_told(function)]
        assert unheard == [], f"what {path} makes of {kind} reaches nobody"


def test_people_are_told_by_the_door() -> None:
    puts = {
        path
        for path, tree in trees().items()
        for _, call in calls(tree)
        if re.fullmatch(r"(.*\.)?_?outbox\.put", ast.unparse(call.func))
    }
    assert puts == PAST_THE_DOOR.keys()


def test_nothing_else_raises_a_notice() -> None:
    """A place that is not in the table has not been thought about."""
    for path, tree in trees().items():
        if path in _WORDS:
            continue
        for name, call in calls(tree):
            if name != "Notice":
                continue
            kinds = [keyword.value for keyword in call.keywords if keyword.arg == "kind"]
            named = [str(kind.value) for kind in kinds if isinstance(kind, ast.Constant)]
            for kind in named:
                assert path in RAISED[kind], f"{path} makes a {kind}"  # type: ignore[index]  # mypy sees a text
