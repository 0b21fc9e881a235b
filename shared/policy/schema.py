"""The policy's JSON Schema, made from the models, and what messages and reference read from it."""

from functools import cache
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from shared.policy.models import Policy
from shared.policy.problems import Path

type Node = dict[str, Any]


def schema() -> Node:
    """JSON Schema (draft 2020-12) of the policy document, with docstrings, defaults and, as `x-unit`, units."""
    return {"$schema": GenerateJsonSchema.schema_dialect, **Policy.model_json_schema()}


@cache
def _root() -> Node:
    return schema()


def resolved(node: Node) -> Node:
    """`node` with what it refers to; its own words (description, default) win."""
    reference = node.get("$ref")
    if reference is None:
        return node
    definition = _root()["$defs"][reference.rpartition("/")[2]]
    return resolved(definition) | {key: value for key, value in node.items() if key != "$ref"}


def alternatives(node: Node) -> list[Node]:
    """The forms that a value may take, `null` left out; the node itself when there is just one."""
    node = resolved(node)
    forms = node.get("anyOf") or node.get("oneOf") or [node]
    return [resolved(form) for form in forms if form.get("type") != "null"]


def properties_at(path: Path) -> dict[str, Node]:
    """The fields that may stand in the mapping at `path`; empty where no mapping belongs."""
    fields: dict[str, Node] = {}
    for form in alternatives(field_at(path)):
        fields |= form.get("properties", {})
    return fields


def field_at(path: Path) -> Node:
    """What belongs at `path`; empty for a place that the format does not have."""
    if not path:
        return _root()
    parent, name = path[:-1], path[-1]
    if isinstance(name, int):
        return resolved(resolved(field_at(parent)).get("items", {}))
    return resolved(properties_at(parent).get(name, {}))


@cache
def places() -> dict[str, list[str]]:
    """Where each field of the format belongs, for people: `max` at `defaults.max`, `targets[].scaling.max`."""
    found: dict[str, list[str]] = {}

    def walk(node: Node, place: str) -> None:
        for form in alternatives(node):
            for name, child in form.get("properties", {}).items():
                here = f"{place}.{name}".removeprefix(".")
                found.setdefault(name, []).append(here)
                walk(child, here)
            if "items" in form:
                walk(form["items"], f"{place}[]")

    walk(_root(), "")
    return found


def type_of(node: Node) -> str:
    """What to write, for people: `a whole number`, `one of off, observe, enforce`, `text`."""
    return " or ".join(dict.fromkeys(_type_of_form(form) for form in alternatives(node)))


def range_of(node: Node) -> str:
    """Bounds and unit, for people: ` from 1 to 50 (instances)`; empty where there are none."""
    form = alternatives(node)[0]
    if "minimum" not in form:
        return ""
    unit = f" ({form['x-unit']})" if "x-unit" in form else ""
    return f" from {form['minimum']:,g} to {form['maximum']:,.0f}{unit}"


_TYPES = {"integer": "a whole number", "number": "a number", "string": "text", "array": "a list", "object": "a mapping"}


def _type_of_form(form: Node) -> str:
    if "enum" in form:
        return f"one of {', '.join(form['enum'])}"
    if "const" in form:
        return str(form["const"]).lower()
    return _TYPES.get(str(form.get("type")), "a value")
