"""From the text of a document to what it says, or to everything that is wrong with the text."""

import copy
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Any

from shared.policy.checks import contradictions, oddities, without
from shared.policy.document import Document, parse
from shared.policy.models import Policy, ProjectPolicy, Sections
from shared.policy.problems import Finding, Path, PolicyInvalid, Problem
from shared.policy.schema import Format, platform_format, project_format
from shared.policy.validation import located, validate


@dataclass(frozen=True, slots=True, kw_only=True)
class Written[M: Sections]:
    """A document that is right in itself. `source` names it in messages, `model` is what it says, `document` knows what
    it spells out, and on which line.
    """

    source: str
    document: Document
    model: M

    def problem(self, finding: Finding) -> Problem:
        """The finding with its line."""
        return located(self.document, finding.path, finding.reason, finding.remedy)


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


def warnings_of(written: Written[Policy]) -> tuple[Problem, ...]:
    """What is allowed in the platform's document but odd, in the order of its lines."""
    found = [written.problem(odd) for odd in oddities(written.document.value, written.model)]
    return tuple(sorted(found, key=lambda problem: problem.line or 0))


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
        readable = model or _readable(document, kind, {path for path, _ in wrong})
        partly = None if readable is None else Written(source=source, document=document, model=readable)
        raise PolicyInvalid(source, problems, partly)
    return Written(source=source, document=document, model=model)


def _readable[M: Sections](document: Document, kind: Format[M], wrong: set[Path]) -> M | None:
    """What a document says without its wrong fields; None if it cannot do without one of them."""
    value: Any = copy.deepcopy(document.value)
    for path in wrong:
        place: Any = value
        for part in path[:-1]:
            place = place[part] if part in _keys(place) else None
        if not isinstance(place, dict) or path[-1] not in place:
            return None
        del place[path[-1]]
    return validate(replace(document, value=value), kind)[0]


def _keys(value: Any) -> Collection[Any]:
    if isinstance(value, list):
        return range(len(value))
    return value if isinstance(value, dict) else ()
