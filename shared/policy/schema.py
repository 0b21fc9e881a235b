"""The JSON Schemas of the documents, made from the models, and what messages and reference read from them."""

from functools import cache, cached_property
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from shared.policy.models import Policy, ProjectPolicy, Sections
from shared.policy.problems import Path

type Node = dict[str, Any]


class Format[M: Sections]:
    """One kind of document: its model, and its schema (draft 2020-12) with docstrings, defaults, units (`x-unit`), and
    how a project may change a field (`x-tighten`).
    """

    def __init__(self, model: type[M]) -> None:
        self.model = model

    @cached_property
    def schema(self) -> Node:
        return {"$schema": GenerateJsonSchema.schema_dialect, **self.model.model_json_schema()}

    def resolved(self, node: Node) -> Node:
        """`node` with what it refers to; its own words (description, default) win."""
        reference = node.get("$ref")
        if reference is None:
            return node
        definition = self.schema["$defs"][reference.rpartition("/")[2]]
        return self.resolved(definition) | {key: value for key, value in node.items() if key != "$ref"}

    def alternatives(self, node: Node) -> list[Node]:
        """The forms that a value may take, `null` left out; the node itself when there is just one."""
        node = self.resolved(node)
        forms = node.get("anyOf") or node.get("oneOf") or [node]
        return [self.resolved(form) for form in forms if form.get("type") != "null"]

    def properties_at(self, path: Path) -> dict[str, Node]:
        """The fields that may stand in the mapping at `path`; empty where no mapping belongs."""
        fields: dict[str, Node] = {}
        for form in self.alternatives(self.field_at(path)):
            fields |= form.get("properties", {})
        return fields

    def field_at(self, path: Path) -> Node:
        """What belongs at `path`; empty for a place that the format does not have."""
        if not path:
            return self.schema
        parent, name = path[:-1], path[-1]
        if isinstance(name, int):
            lists = (form["items"] for form in self.alternatives(self.field_at(parent)) if "items" in form)
            return self.resolved(next(lists, {}))
        return self.resolved(self.properties_at(parent).get(name, {}))

    @cached_property
    def places(self) -> dict[str, list[str]]:
        """Where each field of the format belongs, for people: `max` at `defaults.max`, `targets[].scaling.max`."""
        found: dict[str, list[str]] = {}

        def walk(node: Node, place: str) -> None:
            for form in self.alternatives(node):
                for name, child in form.get("properties", {}).items():
                    here = f"{place}.{name}".removeprefix(".")
                    found.setdefault(name, []).append(here)
                    walk(child, here)
                if "items" in form:
                    walk(form["items"], f"{place}[]")

        walk(self.schema, "")
        return found

    def type_of(self, node: Node) -> str:
        """What to write, for people: `a whole number`, `one of off, observe, enforce`, `text`."""
        return " or ".join(dict.fromkeys(_type_of_form(form) for form in self.alternatives(node)))

    def range_of(self, node: Node) -> str:
        """Bounds and unit, for people: ` from 1 to 50 (instances)`; empty where there are none."""
        form = self.alternatives(node)[0]
        if "minimum" not in form:
            return ""
        unit = f" ({form['x-unit']})" if "x-unit" in form else ""
        least = f"{form['minimum']:,.6f}".rstrip("0").rstrip(".")
        return f" from {least} to {form['maximum']:,.0f}{unit}"


@cache
def platform_format() -> Format[Policy]:
    """The platform's document."""
    return Format(Policy)


@cache
def project_format() -> Format[ProjectPolicy]:
    """A project's document."""
    return Format(ProjectPolicy)


def schema() -> Node:
    """The JSON Schema of the platform's document."""
    return platform_format().schema


_TYPES = {
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "boolean": "true or false",
    "array": "a list",
    "object": "a mapping",
}


def _type_of_form(form: Node) -> str:
    if "enum" in form:
        return f"one of {', '.join(form['enum'])}"
    if "const" in form:
        return str(form["const"]).lower()
    return _TYPES.get(str(form.get("type")), "a value")
