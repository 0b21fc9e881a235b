"""`docs/policy.md`: the reference of every field, made from the models so that it cannot be out of date."""

import inspect
import json
from typing import Any

from pydantic import BaseModel

from shared.policy.models import Floor, KnownRate, LearnedRate, Limits, Loops, LoopSettings, Policy, Scaling, Target
from shared.policy.schema import Node, range_of, resolved, schema, type_of

_INTRODUCTION = """\
# The policy

Generated from `shared/policy/models.py` by `python -m shared.policy docs`; do not edit.

The policy is one YAML document. It says which queue is served by which deployment, what is promised to the queue, and
how far Watchkeeper may go. [`infra/policies/sample.yaml`](../infra/policies/sample.yaml) is one to start from; by its
first line, editors check and complete against
[`infra/policies/policy.schema.json`](../infra/policies/policy.schema.json).

```
python -m shared.policy check policy.yaml      # every problem at once; exit code 1 if there is one
```

* **Where it lives.** In Azure a blob, in development a file: the app settings `WATCHKEEPER_POLICY_BLOB` and
  `WATCHKEEPER_POLICY_FILE`. A new version is picked up within `WATCHKEEPER_POLICY_MAX_AGE_S`, without a restart.
* **A bad version is never in force.** It is refused as a whole, the last good one stays, and the refusal is shown with
  its reasons until the document is mended. If there has never been a good one, nothing is decided.
* **Warnings** point at what is allowed but odd. They refuse nothing.
* **What counts.** A field of a target's `scaling` goes before the same field of `defaults`, and that before the default
  below. The more cautious of a target's and its loop's `mode` counts. The highest floor counts, and goes before `max`.
* **Its version** is a hash of what is in force. Every decision carries it as `policy_version`. Comments, the order of
  keys, and a default that is spelt out do not change it.
* **YAML** is read as version 1.2: `off` is the word off, not false. Keys written twice, aliases and tags are refused.
"""

_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("The document", Policy),
    ("targets[]", Target),
    ("defaults, targets[].scaling", Scaling),
    ("service_rate, learned", LearnedRate),
    ("service_rate, known", KnownRate),
    ("floors[]", Floor),
    ("limits", Limits),
    ("loops", Loops),
    ("loops.scaling", LoopSettings),
)


def markdown() -> str:
    """The reference as the page `docs/policy.md`."""
    return "\n".join([_INTRODUCTION, *(_section(title, model) for title, model in _SECTIONS)])


def _section(title: str, model: type[BaseModel]) -> str:
    definitions = schema()["$defs"]
    node: Node = definitions.get(model.__name__, schema())
    rows = [_row(name, field, name in node.get("required", ())) for name, field in node["properties"].items()]
    head = ["| field | what to write | default | meaning |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", inspect.cleandoc(model.__doc__ or ""), "", *head, *rows, ""])


def _row(name: str, field: Node, is_required: bool) -> str:
    node = resolved(field)
    default = "required" if is_required else _default(node)
    meaning = str(node.get("description", "")).replace("\n", " ").replace("|", "\\|")
    return f"| `{name}` | {type_of(node)}{range_of(node)} | {default} | {meaning} |"


def _default(node: Node) -> str:
    value: Any = node.get("default")
    if value is None:
        return "none"
    if isinstance(value, dict | list):
        return "see there" if value and node.get("properties") else f"`{json.dumps(value)}`"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
