"""Entries of lists that speak of nothing: a scope, a loop, a pattern or a project that the policy does not have.

An approval or a freeze with a mistyped scope is valid, and protects nothing. This looks at every list that a project
may add to, by the fields that its items have, so that a new list needs nothing here.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import Literal, cast

from shared.policy.models import Loops, Policy, ProjectPolicy
from shared.policy.parts import Part
from shared.policy.platform import WorkspaceRule, fits
from shared.policy.problems import Finding, Path
from shared.policy.tighten import declared

type Kind = Literal["target", "project", "workspace", "loop", "match"]

_FIELDS: Mapping[str, Kind | Literal["scope"]] = {
    "scope": "scope",
    "scopes": "scope",
    "loop": "loop",
    "match": "match",
    "projects": "project",
}
_REASONS: Mapping[Kind, str] = {
    "target": "names no target",
    "project": "names no project",
    "workspace": "names no workspace of a target or a rule",
    "loop": "names no loop",
    "match": "matches no target",
}
_NAMES_SHOWN = 5


def idle_entries(model: Policy | ProjectPolicy, merged: Policy | None = None) -> Iterator[Finding]:
    """What names nothing in the lists of a document. `merged` is what it makes with all others; without it, what may
    be of a project whose document is not at hand is left alone.
    """
    known = _of_project(model) if isinstance(model, ProjectPolicy) else _of_platform(merged or model)
    for path, item in _entries(model):
        for at, kind, text, name in _said(item):
            if not known.has(kind, name):
                yield Finding((*path, *at), f"is '{text}', which {_REASONS[kind]}", known.remedy(kind, text, name))


def _entries(part: Part, path: Path = ()) -> Iterator[tuple[Path, Part]]:
    """Every item of every list that a project may add to."""
    for name in type(part).model_fields:
        how, value = declared(type(part), name), getattr(part, name)
        if how == "add":
            yield from (((*path, name, index), item) for index, item in enumerate(value))
        elif how == "within" and isinstance(value, Part):
            yield from _entries(value, (*path, name))


def _said(item: Part) -> Iterator[tuple[Path, Kind, str, str]]:
    """What an item speaks of: where in it, of which kind, as it is written, and the name alone."""
    for field, kind in _FIELDS.items():
        value: str | Sequence[str] = getattr(item, field, None) or ()
        texts = (
            [((field,), value)] if isinstance(value, str) else [((field, at), text) for at, text in enumerate(value)]
        )
        for place, text in texts:
            if kind != "scope":
                yield place, kind, text, text
            elif text != "all":
                of, _, name = text.partition(":")
                yield place, cast("Kind", of), text, name


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What there is. `unread` are the projects of whose targets nothing is known."""

    names: Mapping[Kind, Collection[str]]
    ids: Collection[str]
    rules: Sequence[WorkspaceRule] = ()
    unread: Sequence[str] = ()

    def has(self, kind: Kind, name: str) -> bool:
        if name in self.names[kind] or name.casefold() in self.ids:
            return True
        match kind:
            case "target":
                return self._may_be_unread(name)
            case "match" if name.startswith("/"):
                return bool(self.unread)
            case "match":
                return any(fnmatchcase(one, name) for one in self.names[kind]) or self._may_be_unread(name)
            case "workspace":
                return any(self._may_mean(rule, name.rpartition("/")[2]) for rule in self.rules)
        return False

    def _may_be_unread(self, pattern: str) -> bool:
        """Whether a target of a project whose document is not at hand may fit."""
        start = re.split(r"[*?\[]", pattern)[0]
        own = [f"{project}." for project in self.unread]
        return any(start.startswith(one) or (start != pattern and one.startswith(start)) for one in own)

    def _may_mean(self, rule: WorkspaceRule, name: str) -> bool:
        """Whether a workspace of this name is one of the rule's; one without a name may mean any, while targets of
        some project are not known.
        """
        return fits(rule.name, name) if rule.name is not None else rule.id is None and bool(self.unread)

    def remedy(self, kind: Kind, text: str, name: str) -> str:
        known = sorted(self.names[kind])
        same = [one for one in known if one.rpartition(".")[2] == name]  # a project's, without the project
        if near := same or get_close_matches(name.lower(), known, n=1):
            return f"Did you mean `{text.removesuffix(name)}{near[0]}`?"
        listed = f"; there is: {', '.join(known)}" if 0 < len(known) <= _NAMES_SHOWN else ""
        return f"Correct or remove it{listed}."


def _of_platform(policy: Policy) -> _Known:
    with_targets = {target.project for target in policy.targets if target.project}
    granted = [grant.name for grant in policy.projects]
    rules = [*policy.workspaces, *(rule for grant in policy.projects for rule in grant.workspaces)]
    for rules_of in (policy.environments.dev, policy.environments.stage, policy.environments.prod):
        rules += rules_of.workspaces
    return _known(
        policy,
        projects=with_targets.union(granted),
        rules=rules,
        unread=[name for name in granted if name not in with_targets],
    )


def _of_project(document: ProjectPolicy) -> _Known:
    return _known(document, projects=[document.project])


def _known(
    model: Policy | ProjectPolicy,
    *,
    projects: Collection[str],
    rules: Sequence[WorkspaceRule] = (),
    unread: Sequence[str] = (),
) -> _Known:
    targets = {target.name for target in model.targets}
    workspaces = {target.deployment_id.workspace_id.lower() for target in model.targets}
    workspaces |= {rule.id.lower() for rule in rules if rule.id is not None}
    names: dict[Kind, Collection[str]] = {
        "target": targets,
        "match": targets,
        "project": projects,
        "workspace": {one.rpartition("/")[2] for one in workspaces},
        "loop": tuple(Loops.model_fields),
    }
    deployments = {target.deployment.casefold() for target in model.targets}
    return _Known(names=names, ids=workspaces | deployments, rules=rules, unread=unread)
