"""From the text of a document to what it says, or to everything that is wrong with the text."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from shared.policy.checks import contradictions, oddities, without
from shared.policy.document import Document, Value, parse
from shared.policy.idle import idle_entries
from shared.policy.models import Policy, ProjectPolicy, Sections
from shared.policy.problems import Finding, Path, PolicyInvalid, Problem
from shared.policy.schema import Format, platform_format, project_format
from shared.policy.tighten import declared
from shared.policy.validation import located, validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Written[M: Sections]:
    """A document that is right in itself. `source` names it in messages, `model` is what it says, `document` knows what
    it spells out, and on which line. `left_out` are the paths of what was wrong and is not in `model`, for a document
    that is right only in part.
    """

    source: str
    document: Document
    model: M
    left_out: frozenset[Path] = frozenset()

    def problem(self, finding: Finding) -> Problem:
        """The finding with its line."""
        return located(self.document, as_written(finding.path, self.left_out), finding.reason, finding.remedy)


@dataclass(frozen=True, slots=True)
class ReviewedPolicy:
    """A valid policy, and what its author should look at again."""

    policy: Policy
    warnings: tuple[Problem, ...]


def load_policy(text: str, source: str) -> Policy:
    """The policy that the YAML `text` of a platform's document describes; `source` names the text in messages.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    return review_policy(text, source).policy


def review_policy(text: str, source: str) -> ReviewedPolicy:
    """As `load_policy`, with the warnings.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    from shared.policy.merge import merge

    written = read_platform(text, source)
    merged = merge(written)
    if found := merged.findings.get(source):
        raise PolicyInvalid(source, list(found))
    return ReviewedPolicy(merged.policy, warnings_of(written))


def read_platform(text: str, source: str) -> Written[Policy]:
    """The platform's document.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    return _read(text, source, platform_format())


def read_project(text: str, source: str) -> Written[ProjectPolicy]:
    """A project's document, judged by itself: what the platform allows is for `shared.policy.merge`.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    return _read(text, source, project_format())


def is_project(text: str) -> bool:
    """Whether a text means to be a project's document: it says whose."""
    value: Any = parse(text).value
    return isinstance(value, dict) and "project" in value


def warnings_of(written: Written[Policy] | Written[ProjectPolicy], merged: Policy | None = None) -> tuple[Problem, ...]:
    """What is allowed in a document but odd, in the order of its lines; with `merged`, what all documents make, also
    what the platform's says of projects' targets.
    """
    found = list(idle_entries(written.model, merged))
    if isinstance(written.model, Policy):
        found += oddities(written.document.value, written.model)
    return tuple(sorted((written.problem(odd) for odd in found), key=lambda problem: problem.line or 0))


def _read[M: Sections](text: str, source: str, kind: Format[M]) -> Written[M]:
    document = parse(text)
    if not document.is_complete:
        raise PolicyInvalid(source, document.problems)
    model, wrong = validate(document, kind)
    written = without(document.value, {path for path, _ in wrong})
    found = contradictions(written, is_whole=kind.model is Policy)
    problems = [*document.problems, *(problem for _, problem in wrong)]
    problems += [located(document, finding.path, finding.reason, finding.remedy) for finding in found]
    if model is None or problems:
        raise PolicyInvalid(source, problems, _readable(document, kind, source))
    return Written(source=source, document=document, model=model)


def _readable[M: Sections](document: Document, kind: Format[M], source: str) -> Written[M] | None:
    """What a document says without its wrong fields, and without what cannot do without one of them, such as the item
    of a list; None if that is the whole document.
    """
    dropped: set[Path] = set()
    while True:
        model, faults = validate(replace(document, value=_leaving_out(dropped, document.value)), kind)
        if model is not None:
            return Written(source=source, document=document, model=model, left_out=frozenset(dropped))
        for path in {as_written(path, dropped) for path, _ in faults}:
            around = (path[:length] for length in range(len(path), 0, -1))
            nearest = next((one for one in around if one in document.lines and one not in dropped), None)
            if nearest is None:
                return None
            dropped.add(nearest)
        if any(path[0] == "targets" and len(path) <= len(("targets", 0)) for path in dropped):
            # What speaks of a target that could not be read would be blamed for naming a stranger.
            dropped |= {(name,) for name in kind.model.model_fields if declared(kind.model, name) == "add"}


def _leaving_out(dropped: Collection[Path], value: Value, path: Path = ()) -> Value:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if (*path, key) not in dropped}
        return {key: _leaving_out(dropped, item, (*path, key)) for key, item in kept.items()}
    if isinstance(value, list):
        places = [(index, item) for index, item in enumerate(value) if (*path, index) not in dropped]
        return [_leaving_out(dropped, item, (*path, index)) for index, item in places]
    return value


def as_written(path: Path, left_out: Collection[Path]) -> Path:
    """The path in the document of what is at `path` of a list from which items are left out."""
    found: Path = ()
    for part in path:
        found = (*found, part if isinstance(part, str) else _index_as_written(part, found, left_out))
    return found


def _index_as_written(index: int, items: Path, left_out: Collection[Path]) -> int:
    for gap in sorted(path[-1] for path in left_out if path[:-1] == items and isinstance(path[-1], int)):
        index += gap <= index
    return index
