"""`python -m shared.policy check` and `plan`: the documents as files, for CI."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from shared.policy.effective import plain
from shared.policy.loading import (
    Written,
    is_project,
    read_platform,
    read_project,
    review_policy,
    warnings_of,
)
from shared.policy.merge import Merger
from shared.policy.models import Policy, ProjectPolicy
from shared.policy.plan import Change, Plan, State, TargetPlan, plan
from shared.policy.problems import PolicyInvalid, PolicyUnreadable
from shared.policy.sources import FilePolicySource, FolderProjects, misnamed
from shared.policy.targets import Target

VALID, INVALID, LOOSER = 0, 1, 3
"""Exit codes; 2 is argparse's own, for a command that makes no sense."""


def check(files: Sequence[Path], projects: Path | None) -> int:
    """Print every problem of the files; with `projects`, of that folder's documents against the one platform's too."""
    if projects is None:
        return max(_check_alone(file) for file in files)
    try:
        state, is_valid = _state(files[0], projects)
    except _Told:
        return INVALID
    for written in (state.merger.platform, *state.projects):
        _warn(written, state.policy)
    told = sum(len(problems) for problems in state.merged.findings.values())
    for source, problems in state.merged.findings.items():
        for problem in problems:
            print(problem.at(source))
    if told or not is_valid:
        return INVALID
    what = f"{files[0]} and {_counted(len(state.projects), 'project')}"
    targets = _counted(len(state.policy.targets), "target")
    print(f"{what}: valid, {targets}, version {state.policy.version_hash}")
    return VALID


def show_plan(before: Path, before_projects: Path | None, after: Path, projects: Path | None, *, as_json: bool) -> int:
    """Print what going from `before` to `after` would do; LOOSER if Watchkeeper may then do more, or protects less."""
    try:
        old, was_valid = _state(before, before_projects or projects)
        new, is_valid = _state(after, projects)
    except _Told:
        return INVALID
    found = plan(old, new)
    if as_json:
        print(json.dumps(_as_json(found), indent=2))
    else:
        for line in _lines(found):
            print(line)
    if not (was_valid and is_valid):
        return INVALID
    return LOOSER if found.is_looser else VALID


def target_of(platform: Path, projects: Path | None, name: str) -> Target | None:
    """The target of this name as the documents describe it together; None, with everything that is wrong printed."""
    try:
        state, is_valid = _state(platform, projects)
    except _Told:
        return None
    for source, problems in state.merged.findings.items():
        for problem in problems:
            print(problem.at(source))
    target = state.policy.target(name)
    if not is_valid or any(state.merged.findings.values()):
        return None
    if target is None:
        names = ", ".join(one.name for one in state.policy.targets)
        print(f"{platform}: no target is named {name!r}; there are: {names or 'none'}.")
    return target


class _Told(Exception):
    """What is wrong has been printed."""


def _check_alone(file: Path) -> int:
    try:
        text, source = _text(file)
        if is_project(text):
            return _check_project(file, text, source)
        reviewed = review_policy(text, source)
    except _Told:
        return INVALID
    except PolicyInvalid as error:
        _tell(error)
        return INVALID
    for warning in reviewed.warnings:
        print(f"warning: {warning.at(source)}")
    targets = _counted(len(reviewed.policy.targets), "target")
    print(f"{source}: valid, {targets}, version {reviewed.policy.version_hash}")
    return VALID


def _check_project(file: Path, text: str, source: str) -> int:
    written = read_project(text, source)
    if (wrong := misnamed(file.name, written.model.project)) is not None:
        print(written.problem(wrong).at(source))
        return INVALID
    _warn(written)
    print(f"{source}: valid in itself, {_counted(len(written.model.targets), 'target')} of {written.model.project}")
    return VALID


def _state(platform: Path, projects: Path | None) -> tuple[State, bool]:
    """The documents merged, and whether all could be read; those that could not are told of and left out.

    Raises:
        _Told: there is no platform's document to merge into.
    """
    merger = _merger(platform)
    files = _documents(projects)
    read = [project for file in files if (project := _read(file, merger)) is not None]
    if merger is None:
        raise _Told
    return State.of(merger.platform, read), len(read) == len(files)


def _merger(platform: Path) -> Merger | None:
    """What merges into the platform's document; None if that is wrong, which is told."""
    try:
        text, source = _text(platform)
        return Merger(read_platform(text, source))
    except PolicyInvalid as error:
        _tell(error)
    except _Told:
        pass
    return None


def _documents(folder: Path | None) -> list[Path]:
    if folder is None:
        return []
    try:
        return [folder / name for name in asyncio.run(FolderProjects(folder).listed())]
    except PolicyUnreadable as error:
        _tell(error)
        raise _Told from error


def _read(file: Path, merger: Merger | None) -> Written[ProjectPolicy] | None:
    """A project's document; None if it is wrong, which is told, with what the platform says of it if that is known."""
    try:
        text, source = _text(file)
        written = read_project(text, source)
        if (wrong := misnamed(file.name, written.model.project)) is not None:
            raise PolicyInvalid(source, [written.problem(wrong)], written)
    except PolicyInvalid as error:
        for problem in error.problems if merger is None else merger.problems_of(error):
            print(problem.at(error.source))
    except _Told:
        pass
    else:
        return written
    return None


def _text(file: Path) -> tuple[str, str]:
    source = FilePolicySource(file)
    try:
        document = asyncio.run(source.read(known_etag=None))
    except PolicyUnreadable as error:
        _tell(error)
        raise _Told from error
    assert document is not None  # nothing was known that it could be unchanged from
    return document.text, source.name


def _warn(written: Written[Any], merged: Policy | None = None) -> None:
    for warning in warnings_of(written, merged):
        print(f"warning: {warning.at(written.source)}")


def _tell(error: PolicyInvalid | PolicyUnreadable) -> None:
    for problem in error.problems:
        print(problem.at(error.source))


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


# ---- the plan in words


def _lines(found: Plan) -> list[str]:
    lines = [line for target in found.targets for line in _target_lines(target)]
    for source, problems in found.held.items():
        lines += [f"held to what is allowed: {problem.at(source)}" for problem in problems]
    return [*lines, _summary(found)]


def _target_lines(target: TargetPlan) -> list[str]:
    signs = {"added": "+", "removed": "-", "changed": "~"}
    owner = f" ({target.owner})" if target.owner else ""
    head = f"{signs[target.what]} {target.target}{owner}: {target.what}"
    return [head, *(_change_line(change) for change in target.changes)]


def _change_line(change: Change) -> str:
    where = f"  [{change.where}]" if change.where else ""
    mark = "!" if change.is_looser else " "
    return f"  {mark} {change.name}: {_said(change.before)} -> {_said(change.after)}{where}"


def _said(value: Any) -> str:
    return "none" if value is None else value if isinstance(value, str) else json.dumps(value)


def _summary(found: Plan) -> str:
    counts = {what: sum(one.what == what for one in found.targets) for what in ("added", "removed", "changed")}
    words = ", ".join(f"{count} {what}" for what, count in counts.items())
    looser = [one.target for one in found.targets if one.is_looser]
    owners = sorted({one.owner for one in found.targets if one.owner})
    said = f"{words}, {found.unchanged} unchanged."
    said += f" Looser (!): {', '.join(looser)}." if looser else " Nothing becomes looser."
    return f"{said} To be told: {', '.join(owners)}." if owners else said


def _as_json(found: Plan) -> dict[str, Any]:
    targets = [{"is_looser": one.is_looser, **asdict(one)} for one in found.targets]
    held = {source: [plain(problem) for problem in problems] for source, problems in found.held.items()}
    summary = _summary(found)
    return {
        "targets": targets,
        "unchanged": found.unchanged,
        "held": held,
        "is_looser": found.is_looser,
        "summary": summary,
    }
