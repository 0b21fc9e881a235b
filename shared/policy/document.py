"""YAML text into plain values and the position of each, with every fault named instead of guessed around.

YAML as people write it has traps that a policy cannot afford: in YAML 1.1 `off` is the boolean false and `1e3` is
text, a key written twice silently wins, aliases make small texts huge. So this reads the parser's events itself and
understands the core schema of YAML 1.2: true and false, null, decimal numbers, text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NoReturn

from shared.policy.problems import Path, Problem, spell

if TYPE_CHECKING:
    import yaml

type Value = str | int | float | bool | list[Value] | dict[str, Value] | None

_DEEPEST = 20
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}\Z")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
}


@dataclass(frozen=True, slots=True)
class Document:
    """The values of a YAML text; `lines` has the line (from 1) of every path; `problems` what YAML itself got wrong."""

    value: Value
    lines: dict[Path, int]
    problems: list[Problem]
    is_complete: bool

    def line_of(self, path: Path) -> int:
        """The line of `path`, or of the nearest place around it that is written."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str) -> Document:
    """Read one YAML document. Never raises on any text: what is wrong is in `problems`.

    `is_complete` is False when a fault cut the reading short, so that `value` is not what was meant.
    """
    import yaml  # on first use: importing the policy's models must stay cheap

    if (fault := _undecodable(text)) is not None:
        return Document(None, {}, [fault], is_complete=False)
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml where it is built in: ten times faster
    reader = _Reader(yaml.parse(text, Loader=loader))
    try:
        value = reader.document()
    except _TooDeep:
        return Document(None, reader.lines, reader.problems, is_complete=False)
    except yaml.YAMLError as error:
        reader.problems.append(_syntax_problem(error, text))
        return Document(None, reader.lines, reader.problems, is_complete=False)
    return Document(value, reader.lines, reader.problems, is_complete=True)


def _undecodable(text: str) -> Problem | None:
    """A source decodes bytes that are not UTF-8 to lone surrogates, so that this can say where they are."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        before = text[: error.start]
        return Problem(
            path="document",
            line=before.count("\n") + 1,
            column=len(before) - before.rfind("\n"),
            reason="has a byte that is not UTF-8",
            remedy="Save the file as UTF-8.",
        )
    return None


def _syntax_problem(error: "yaml.YAMLError", text: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    if mark is not None:
        line, column, reason = mark.line + 1, mark.column + 1, str(getattr(error, "problem", error))
    else:  # a character that YAML does not allow: the reader knows its place in the text only
        before = text[: getattr(error, "position", 0)]
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        reason = str(getattr(error, "reason", error))
    written = [*text.splitlines(), ""][min(line - 1, len(text.splitlines()))]
    return Problem(
        path="document",
        line=line,
        column=column,
        reason=f"is not YAML: {reason}{f', near: {written.strip()[:80]}' if written.strip() else ''}",
        remedy=_syntax_remedy(reason, written),
    )


def _syntax_remedy(reason: str, written: str) -> str:
    if "\t" in written:
        return "Indent with spaces: YAML does not allow tabs there."
    if "cannot start any token" in reason:
        return "Put the value in quotes."
    if "mapping values" in reason:
        return "Check the indentation of this line and the one before, and put text that contains ': ' in quotes."
    if "end of stream" in reason:
        return "Close the quote that was opened above."
    return "Check the indentation, brackets and quotes here and on the line before."


class _TooDeep(Exception):
    """Reading on would take the parser a time that grows with the square of the depth."""


def _plain_value(text: str) -> Value:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text):
        return int(text)
    return float(text) if _NUMBER.match(text) else text


@dataclass
class _Reader:
    """Builds values from the parser's events, one method a kind of node."""

    events: Iterator[Any]
    lines: dict[Path, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def document(self) -> Value:
        next(self.events)  # the stream starts
        value = self._one_document(next(self.events))
        for event in self.events:
            if type(event).__name__ == "DocumentStartEvent":
                self._blame((), event, "has a second document after '---'", "Keep one document a file.")
        return value

    def _one_document(self, event: Any) -> Value:
        if type(event).__name__ == "StreamEndEvent":
            return None
        return self._node(next(self.events), ())

    def _node(self, event: Any, path: Path) -> Value:
        self.lines.setdefault(path, event.start_mark.line + 1)
        kind = type(event).__name__
        if kind == "AliasEvent":
            self._blame(
                path,
                event,
                f"is the alias *{event.anchor}",
                "Write the value out; what targets share goes under `defaults`.",
            )
            return None
        if event.tag not in (None, "!"):
            self._blame(path, event, f"has the YAML tag {event.tag[:80]}", "Remove the tag.")
        if kind == "ScalarEvent":
            return _plain_value(event.value) if event.implicit[0] else str(event.value)
        if len(path) >= _DEEPEST:
            self._refuse_depth(path, event)
        return self._list(path) if kind == "SequenceStartEvent" else self._mapping(path)

    def _list(self, path: Path) -> Value:
        items: list[Value] = []
        while type(event := next(self.events)).__name__ != "SequenceEndEvent":
            items.append(self._node(event, (*path, len(items))))
        return items

    def _mapping(self, path: Path) -> Value:
        entries: dict[str, Value] = {}
        while type(event := next(self.events)).__name__ != "MappingEndEvent":
            key = self._key(event, path)
            if key is None or self._is_duplicate(key, entries, event, path):
                self._skip(next(self.events), path)
                continue
            self.lines[(*path, key)] = event.start_mark.line + 1
            entries[key] = self._node(next(self.events), (*path, key))
        return entries

    def _key(self, event: Any, path: Path) -> str | None:
        if type(event).__name__ == "ScalarEvent":
            return str(event.value)
        self._blame(path, event, "has a key that is not plain text", "Write keys as names, like `min: 1`.")
        self._skip(event, path)
        return None

    def _is_duplicate(self, key: str, entries: dict[str, Value], event: Any, path: Path) -> bool:
        if key not in entries:
            return False
        first = self.lines[(*path, key)]
        self._blame((*path, key), event, f"is written twice, first on line {first}", "Remove one of the two.")
        return True

    def _skip(self, event: Any, path: Path) -> None:
        """Pass over the rest of the node that `event` begins."""
        depth = 0
        while True:
            kind = type(event).__name__
            depth += kind.endswith("StartEvent")
            depth -= kind.endswith("EndEvent")
            if depth == 0:
                return
            if depth > _DEEPEST:
                self._refuse_depth(path, event)
            event = next(self.events)

    def _refuse_depth(self, path: Path, event: Any) -> NoReturn:
        self._blame(path, event, "is nested too deeply", "Check the brackets and the indentation.")
        raise _TooDeep

    def _blame(self, path: Path, event: Any, reason: str, remedy: str) -> None:
        mark = event.start_mark
        self.problems.append(
            Problem(path=spell(path), line=mark.line + 1, column=mark.column + 1, reason=reason, remedy=remedy)
        )
