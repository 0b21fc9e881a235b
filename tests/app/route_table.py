"""The table of routes in docs/operators.md, from the handlers; `python -m tests.app.route_table` writes it."""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operators.md"
BEGIN, END = "<!-- routes: python -m tests.app.route_table -->\n", "<!-- end of routes -->\n"


@dataclass(frozen=True, slots=True, order=True)
class Documented:
    """One HTTP function: its route, methods, parameters of the URL, and what its docstring says."""

    route: str
    methods: tuple[str, ...]
    parameters: tuple[str, ...]
    says: str


def documented() -> list[Documented]:
    """Every HTTP function of the app, by route."""
    modules = sorted((ROOT / "handlers").glob("*.py"))
    return sorted(one for module in modules for one in _of_module(ast.parse(module.read_text(encoding="utf-8"))))


def _of_module(module: ast.Module) -> Iterator[Documented]:
    for function in ast.walk(module):
        if not isinstance(function, ast.AsyncFunctionDef):
            continue
        calls = {ast.unparse(one.func): one for one in function.decorator_list if isinstance(one, ast.Call)}
        route = calls.get("blueprint.route")
        if route is None:
            continue
        given = {
            keyword.arg: ast.literal_eval(keyword.value) for keyword in route.keywords if keyword.arg != "auth_level"
        }
        asks = calls.get("answering_to")
        parameters = () if asks is None else tuple(ast.literal_eval(argument) for argument in asks.args)
        says = " ".join((ast.get_docstring(function) or "").split())
        yield Documented(str(given["route"]), tuple(given["methods"]), parameters, says)


def table() -> str:
    """Markdown, one row a function."""
    rows = ["| route | answers |\n", "|---|---|\n"]
    for one in documented():
        path = re.sub(r"\{(\w+)(:[^}]*)?\}", lambda found: found[1].upper(), one.route)
        query = "?" + "&".join(f"{name}=" for name in one.parameters) if one.parameters else ""
        says = one.says.replace("|", "\\|")
        rows.append(f"| `{', '.join(one.methods)} /api/{path}{query}` | {says} |\n")
    return "".join(rows)


def written(page: str) -> str:
    """The page with the table as it must be."""
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
