"""`docs/policy.md`: the reference of every field, made from the models so that it cannot be out of date."""

import inspect
import json
from typing import Any

from shared.policy.approvals import ApprovalRule, ApprovalWhen
from shared.policy.belts import BlastRadius, Breaker, Growths, Reductions
from shared.policy.dead_letters import WatchedDeadLetters
from shared.policy.freezes import Freeze
from shared.policy.introduction import INTRODUCTION
from shared.policy.models import (
    EnvironmentRules,
    Environments,
    Limits,
    Loops,
    LoopSettings,
    Policy,
    ProjectPolicy,
    Sections,
)
from shared.policy.notices import Channel, Digest, Notices
from shared.policy.parts import Part
from shared.policy.platform import ProjectGrant, QueueRule, WorkspaceRule
from shared.policy.retention import Retention
from shared.policy.scaling import KnownRate, LearnedRate, Scaling
from shared.policy.schedule import ScheduledLoad
from shared.policy.schema import Format, Node, platform_format, project_format
from shared.policy.targets import Floor, Target, TargetLoad
from shared.policy.tighten import MEANING, declared
from shared.policy.windows import Once, PublicHolidays, Weekly
from shared.policy.zero import Zero

_SECTIONS: tuple[tuple[str, type[Part]], ...] = (
    ("The platform's document", Policy),
    ("A project's document", ProjectPolicy),
    ("targets[]", Target),
    ("targets[].load", TargetLoad),
    ("defaults, targets[].scaling", Scaling),
    ("service_rate, learned", LearnedRate),
    ("service_rate, known", KnownRate),
    ("schedule[]", ScheduledLoad),
    ("zero", Zero),
    ("floors[]", Floor),
    ("limits", Limits),
    ("limits.blast_radius", BlastRadius),
    ("limits.blast_radius.reductions", Reductions),
    ("limits.blast_radius.growths", Growths),
    ("limits.breaker", Breaker),
    ("notices", Notices),
    ("notices.channels[]", Channel),
    ("notices.digest", Digest),
    ("freezes[]", Freeze),
    ("freezes[].once, schedule[].once", Once),
    ("freezes[].weekly, schedule[].weekly", Weekly),
    ("freezes[].holidays, schedule[].holidays", PublicHolidays),
    ("loops", Loops),
    ("loops.scaling", LoopSettings),
    ("retention", Retention),
    ("dead_letters[]", WatchedDeadLetters),
    ("approvals[]", ApprovalRule),
    ("approvals[].when", ApprovalWhen),
    ("workspaces[]", WorkspaceRule),
    ("environments", Environments),
    ("environments.dev, .stage, .prod", EnvironmentRules),
    ("projects[]", ProjectGrant),
    ("projects[].queues[]", QueueRule),
)


def markdown() -> str:
    """The reference as the page `docs/policy.md`."""
    return "\n".join([INTRODUCTION, *(_section(title, model) for title, model in _SECTIONS)])


def _section(title: str, model: type[Part]) -> str:
    """The fields of a model; with what a project may do with each, where some may be tightened."""
    kind = project_format() if model is ProjectPolicy else platform_format()
    node: Node = kind.schema["$defs"].get(model.__name__, kind.schema)
    layered = any(declared(model, name) for name in node["properties"])
    rows = [_row(kind, model, name, node, layered) for name in node["properties"]]
    last = " a project |" if layered else ""
    head = [f"| field | what to write | default | meaning |{last}", f"|---|---|---|---|{'---|' if layered else ''}"]
    return "\n".join([f"## {title}", "", inspect.cleandoc(model.__doc__ or ""), "", *head, *rows, ""])


def _row(kind: Format[Any], model: type[Part], name: str, section: Node, layered: bool) -> str:
    node = kind.resolved(section["properties"][name])
    default = "required" if name in section.get("required", ()) else _default(node)
    meaning = str(node.get("description", "")).replace("\n", " ").replace("|", "\\|")
    last = f" {_by_a_project(model, name)} |" if layered else ""
    return f"| `{name}` | {kind.type_of(node)}{kind.range_of(node)} | {default} | {meaning} |{last}"


def _by_a_project(model: type[Part], name: str) -> str:
    how = declared(model, name)
    if how is not None:
        return MEANING[how]
    is_its_own = issubclass(model, ProjectPolicy) or name in ("version", "defaults", "targets")
    return "its own" if is_its_own and issubclass(model, Sections) else "the platform's alone"


def _default(node: Node) -> str:
    value: Any = node.get("default")
    if value is None:
        return "none"
    if isinstance(value, dict | list):
        return "see there" if value and node.get("properties") else f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
