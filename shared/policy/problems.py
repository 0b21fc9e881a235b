"""What can be wrong with a policy, said so that a person on call can mend it: where, what, and what to do."""

from dataclasses import dataclass
from datetime import datetime

type Path = tuple[str | int, ...]

_LONGEST_KEY = 60


def spell(path: Path) -> str:
    """`("targets", 2, "scaling", "max")` as `targets[2].scaling.max`."""
    words = ""
    for part in path:
        words += f"[{part}]" if isinstance(part, int) else f".{part[:_LONGEST_KEY]}"
    return words.removeprefix(".") or "document"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong or odd at `path` of a document, before it is known on which line that is."""

    path: Path
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing to mend. `path` is the place in the document, `line` and `column` count from 1 in the YAML text.

    `line` is None where there is no text to point at (the document could not be read at all).
    """

    path: str
    reason: str
    remedy: str
    line: int | None = None
    column: int | None = None

    def at(self, source: str) -> str:
        """One line of text: `policy.yaml:12: targets[2].scaling.max: is 60, but must be at most 50. Remedy.`"""
        place = source if self.line is None else f"{source}:{self.line}"
        place = place if self.column is None else f"{place}:{self.column}"
        return f"{place}: {self.path}: {self.reason}. {self.remedy}"


class PolicyInvalid(Exception):
    """The text is no valid policy. `problems` has all of them, in the order of the text.

    `written` is what can be read of it all the same (a `loading.Written`), so that it can be judged further; else None.
    """

    def __init__(self, source: str, problems: list[Problem], written: object = None) -> None:
        self.source, self.written = source, written
        self.problems = tuple(sorted(problems, key=lambda problem: (problem.line or 0, problem.column or 0)))
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        lines = [f"{source} is not a valid policy ({count}):", *(f"  {p.at(source)}" for p in self.problems)]
        super().__init__("\n".join(lines))


class PolicyUnreadable(Exception):
    """The source did not hand over a text: nothing there, no right, no network."""

    def __init__(self, source: str, reason: str, remedy: str) -> None:
        self.source = source
        self.problems = (Problem(path="document", reason=reason, remedy=remedy),)
        super().__init__(self.problems[0].at(source))


class PolicyUnavailable(Exception):
    """No version of the policy was ever good, so nothing may be decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRefusal:
    """Why the newest version is not in force, and since when; `etag` is None when the source could not be read."""

    etag: str | None
    at: datetime
    problems: tuple[Problem, ...]
