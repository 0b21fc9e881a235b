"""pydantic's errors in words for the person who mends the document: what is there, what belongs there, what to do."""

from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from shared.policy.document import Document
from shared.policy.models import Sections
from shared.policy.parts import REFUSED_VALUE
from shared.policy.problems import Path, Problem, spell
from shared.policy.scaling import RATE_FORMS
from shared.policy.schema import Format, Node

_LONGEST_SHOWN = 60
_PLACES_SHOWN = 2


def validate[M: Sections](document: Document, kind: Format[M]) -> tuple[M | None, list[tuple[Path, Problem]]]:
    """The document as its model, or what is wrong with each field, beside its path."""
    try:
        return kind.model.model_validate(document.value), []
    except ValidationError as error:
        words = _Words(kind)
        return None, [words.problem(details, document) for details in error.errors(include_url=False)]


def located(document: Document, path: Path, reason: str, remedy: str) -> Problem:
    """A problem at `path`, with its line and, inside a target, the target's name beside the index."""
    return Problem(path=_spell_with_name(document, path), line=document.line_of(path), reason=reason, remedy=remedy)


def _spell_with_name(document: Document, path: Path) -> str:
    match path:
        case ("targets", int(index), *_):
            name = _value_at(document.value, ("targets", index, "name"))
            return f"{spell(path)} ('{name[:_LONGEST_SHOWN]}')" if isinstance(name, str) else spell(path)
    return spell(path)


_FAULTS = {
    "less_than_equal": "which is too large",
    "greater_than_equal": "which is too small",
    "string_too_short": "which is too short",
}


class _Words[M: Sections]:
    """pydantic's errors about one kind of document."""

    def __init__(self, kind: Format[M]) -> None:
        self._kind = kind

    def problem(self, details: ErrorDetails, document: Document) -> tuple[Path, Problem]:
        path = tuple(part for part in details["loc"] if part not in RATE_FORMS)
        reason, remedy = self._explain(details, path)
        return path, located(document, path, reason, remedy)

    def _explain(self, details: ErrorDetails, path: Path) -> tuple[str, str]:
        kind, context, found = details["type"], details.get("ctx", {}), details["input"]
        node = self._kind.field_at(path)
        if kind == REFUSED_VALUE:
            return context["reason"], context["remedy"]
        if kind == "missing":
            return "is missing", f"Add `{path[-1]}`: {_first_sentence(node)}"
        if kind == "extra_forbidden":
            return "is not a field of the policy here", self._where_it_belongs(path)
        if found is None:
            return "is empty", self._how_to_correct(found, node, path)
        fault = _FAULTS.get(kind, f"but must be {self._kind.type_of(node)}")
        return f"is {_shown(found)}, {fault}", self._how_to_correct(found, node, path)

    def _where_it_belongs(self, path: Path) -> str:
        name = str(path[-1])
        known = list(self._kind.properties_at(path[:-1]))
        if name in known:  # a field of one form of the value beside a field of another
            return "Remove it, or the fields beside it: they exclude each other."
        if near := get_close_matches(name, known, n=1):
            return f"Did you mean `{near[0]}`?"
        if near := get_close_matches(name, self._kind.places, n=1, cutoff=0.8):
            return f"Did you mean `{'` or `'.join(self._kind.places[near[0]][:_PLACES_SHOWN])}`?"
        return f"Remove it; known here: {', '.join(known)}." if known else "Remove it."

    def _how_to_correct(self, found: Any, node: Node, path: Path) -> str:
        wanted = self._kind.type_of(node)
        if isinstance(found, str) and (near := get_close_matches(found.lower(), node.get("enum", []), n=1)):
            return f"Did you mean `{near[0]}`?"
        if not path:
            return "Begin with `version: 1`, and write the other fields below it."
        if wanted == "a mapping":
            return "Write its fields below it, indented, one a line, or remove it."
        if wanted == "a list":
            return "Write its items below it, each after a hyphen, or remove it."
        if wanted == "text":
            return "Put it in quotes if it is meant as text."
        bare = ", without quotes or a unit" if isinstance(found, str) else ""
        return f"Write {wanted}{self._kind.range_of(node)}{bare}."


def _shown(value: Any) -> str:
    """A value as it was written, cut short."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return f"the text '{value[:_LONGEST_SHOWN]}'"
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return str(value)


def _first_sentence(node: Node) -> str:
    return str(node.get("description", "")).split("\n\n")[0].replace("\n", " ")


def _value_at(value: Any, path: Path) -> Any:
    for part in path:
        try:
            value = value[part]
        except (KeyError, IndexError, TypeError):
            return None
    return value
