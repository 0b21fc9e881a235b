"""The small part of the query language that the local Resource Graph understands; everything else is refused by name.

`resources | where type =~ 'x' and region == 'y' | where id in~ ('a', 'b') | project id, capacity = sku.capacity |
order by id asc`
Source: learn.microsoft.com, resource-graph/concepts/query-language; the supported part is what this project's queries
need.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Predicate = Callable[[Row], bool]

_TEXT = r"'([^']*)'"
_COLUMN = r"[A-Za-z_][\w.]*"
_COMPARE = re.compile(rf"({_COLUMN})\s*(==|=~|!=|!~)\s*{_TEXT}")
_IN = re.compile(rf"({_COLUMN})\s+(in~|in)\s*\(\s*({_TEXT}(?:\s*,\s*{_TEXT})*)\s*\)")
_PROJECTED = re.compile(rf"(?:(\w+)\s*=\s*)?({_COLUMN})")
_ORDER = re.compile(rf"order\s+by\s+({_COLUMN})(?:\s+(asc|desc))?")


class UnsupportedQueryError(ValueError):
    """The query has a part that the local Resource Graph does not understand."""


@dataclass(slots=True)
class Query:
    """A parsed query: conditions (all must hold), projection by output name (empty: all columns), order."""

    conditions: list[Predicate] = field(default_factory=list)
    projection: dict[str, str] = field(default_factory=dict)
    order_by: str = ""
    descending: bool = False

    def run(self, rows: Sequence[Row]) -> list[dict[str, Any]]:
        found = [self._projected(row) for row in rows if all(holds(row) for holds in self.conditions)]
        if self.order_by:
            found.sort(key=lambda row: str(value_at(row, self.order_by) or "").lower(), reverse=self.descending)
        return found

    def _projected(self, row: Row) -> dict[str, Any]:
        if not self.projection:
            return dict(row)
        return {name: value_at(row, path) for name, path in self.projection.items()}


def parse(text: str) -> Query:
    """Raises: UnsupportedQueryError naming the part that is not understood."""
    table, *stages = [part.strip() for part in text.strip().split("|")]
    if table.lower() != "resources":
        raise UnsupportedQueryError(f"only the table 'resources' is simulated, not {table!r}")
    query = Query()
    for stage in stages:
        _add_stage(query, stage)
    return query


def value_at(row: Row, path: str) -> Any:
    """The value at a dotted path; None where there is none."""
    value: Any = row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _add_stage(query: Query, stage: str) -> None:
    operator, _, rest = stage.partition(" ")
    if operator == "where":
        query.conditions += [_condition(part.strip()) for part in re.split(r"\s+and\s+", rest.strip())]
    elif operator == "project":
        query.projection = dict(_projected(part.strip()) for part in rest.split(","))
    elif match := _ORDER.fullmatch(stage):
        query.order_by = match[1]
        # Without a direction the query language sorts descending.
        query.descending = match[2] != "asc"
    else:
        raise UnsupportedQueryError(f"not understood: {stage!r}")


def _condition(text: str) -> Predicate:
    if match := _COMPARE.fullmatch(text):
        column, operator, wanted = match[1], match[2], match[3]
        fold = operator in ("=~", "!~")
        negated = operator.startswith("!")
        values = {wanted.lower() if fold else wanted}
    elif match := _IN.fullmatch(text):
        column, negated, fold = match[1], False, match[2] == "in~"
        values = {value.lower() if fold else value for value in re.findall(_TEXT, match[3])}
    else:
        raise UnsupportedQueryError(f"not understood: where {text!r}")

    def holds(row: Row) -> bool:
        found = value_at(row, column)
        value = "" if found is None else str(found)
        return ((value.lower() if fold else value) in values) != negated

    return holds


def _projected(text: str) -> tuple[str, str]:
    match = _PROJECTED.fullmatch(text)
    if match is None:
        raise UnsupportedQueryError(f"not understood: project {text!r}")
    return match[1] or match[2].replace(".", "_"), match[2]
