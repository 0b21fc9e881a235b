"""How one document bounds another: the platform's document says what holds, a project's may only make it stricter.

Each field that a project may set says in the model in which direction: `Annotated[Instances, tightens("lower")]`. A
field that says nothing is the platform's alone. A section that is added to the models is merged by what its fields say;
there is no other place to teach.

What would loosen never takes effect: the stricter value does, and a finding says which field asked for more. Whether a
finding refuses a document is for the caller (`shared.policy.merge`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from pydantic import Field

from shared.domain import Mode, most_cautious
from shared.policy.parts import Part
from shared.policy.problems import Finding, Path

type How = Literal["lower", "higher", "on", "cautious", "add", "subset", "within", "own"]

MEANING: Mapping[How, str] = {
    "lower": "may be lowered",
    "higher": "may be raised",
    "on": "may be switched on",
    "cautious": "the more cautious counts",
    "add": "may be added to, for the project alone",
    "subset": "may be narrowed",
    "within": "field by field",
    "own": "the project's own counts, for its targets",
}
"""What a project's document may do with a field, for people."""

_PLATFORM_ONLY = "can only be set in the platform's document"


def tightens(how: How) -> Any:
    """Metadata of a field: how a project's document may change what the platform's says.

    * `lower`, `higher`: a number, or None for "no limit" (the loosest); `on`: a switch of which true is the stricter.
    * `cautious`: a mode; the more cautious counts, and asking for more is no mistake.
    * `add`: a list to which the project adds. Its items must have `scope`, `scopes`, `match` or `projects`, which is
      held to the project; a `name` gets the project's name before it.
    * `subset`: a list of what is allowed, of which an empty one (or None) allows everything.
    * `within`: a section whose fields say it themselves. `own`: the project's own value, as for `defaults`.
    """
    return Field(json_schema_extra={"x-tighten": how})


def declared(model: type[Part], name: str) -> How | None:
    """How a project may change this field; None if only the platform may."""
    known = model.model_fields.get(name)  # a field with another name in the document is declared by its own
    extra = known.json_schema_extra if known is not None else None
    return cast("How | None", extra.get("x-tighten")) if isinstance(extra, dict) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose document tightens: the project ("" for the platform's own rules per environment), and what it may speak of:
    its targets by their names in its document, and their deployments' keys.
    """

    project: str = ""
    names: frozenset[str] = frozenset()
    deployments: frozenset[str] = frozenset()

    def qualified(self, name: str) -> str:
        """A name of the project's document, unique among all projects."""
        return f"{self.project}.{name}" if self.project else name


def tighten[P: Part](base: P, own: Part, owner: Owner) -> tuple[P, list[Finding]]:
    """`base` made stricter by what `own` says, never looser; and what of `own` was left out because it would loosen.

    Fields that `own` does not set, or that `base` does not have, change nothing. Paths are those of `own`.
    """
    work = _Tightening(owner)
    return work.section(base, own, ()), work.findings


@dataclass(slots=True)
class _Tightening:
    owner: Owner
    findings: list[Finding] = field(default_factory=list)

    def section[P: Part](self, base: P, own: Part, path: Path) -> P:
        stricter: dict[str, Any] = {}
        model = type(base)
        for name in model.model_fields:
            if name not in own.model_fields_set:
                continue
            how = declared(model, name)
            if how is not None:
                stricter[name] = self._field(how, getattr(base, name), getattr(own, name), (*path, name))
            elif path and getattr(own, name) != getattr(base, name):
                self._blame((*path, name), _PLATFORM_ONLY, "Remove it, or ask the platform team.")
        return base.model_copy(update=stricter)

    def _field(self, how: How, base: Any, own: Any, path: Path) -> Any:
        match how:
            case "lower" | "higher":
                return self._number(base, own, path, lower=how == "lower")
            case "on":
                return self._switch(base, own, path)
            case "cautious":
                modes: tuple[Mode, Mode] = (base, own)
                return most_cautious(*modes)
            case "add":
                return self._added(base, own, path)
            case "subset":
                return self._subset(base, own, path)
            case "within":
                return self._within(base, own, path)
            case "own":
                return own

    def _number(self, base: float | None, own: float | None, path: Path, *, lower: bool) -> float | None:
        if base is None:
            return own
        if own is None or (own > base if lower else own < base):
            asked = "would have no limit" if own is None else f"is {own:g}"
            side, verb = ("more", "Lower") if lower else ("less", "Raise")
            self._blame(
                path,
                f"{asked}, {side} than the platform's {base:g}, and a project may only tighten",
                f"{verb} it to {base:g} or {'less' if lower else 'more'}, remove it, or ask the platform team.",
            )
            return base
        return own

    def _switch(self, base: bool, own: bool, path: Path) -> bool:
        if base and not own:
            reason = "is false where the platform says true, and a project may only tighten"
            self._blame(path, reason, "Remove it, or ask the platform team.")
        return base or own

    def _subset(self, base: Sequence[Any] | None, own: Sequence[Any] | None, path: Path) -> Sequence[Any] | None:
        if not base:
            return own
        for index, item in enumerate(own or ()):
            if item not in base:
                reason = f"is {item}, which the platform does not allow"
                self._blame((*path, index), reason, f"Remove it; allowed: {', '.join(map(str, base))}.")
        # Never the empty list: it would allow everything.
        return tuple(item for item in own or () if item in base) or base

    def _within(self, base: Part | None, own: Part | None, path: Path) -> Part | None:
        if base is None or own is None:
            if base is not None:
                reason = "is empty where the platform has a limit, and a project may only tighten"
                self._blame(path, reason, "Remove it, or ask the platform team.")
            return base or own
        return self.section(base, own, path)

    # ---- what a list is added

    def _added(self, base: Sequence[Part], own: Sequence[Part], path: Path) -> Sequence[Part]:
        if own and not self.owner.project:
            self._blame(path, "cannot be added to for one environment", "Write it in the document's own list.")
            return base
        return (*base, *(self._scoped(item, (*path, index)) for index, item in enumerate(own)))

    def _scoped(self, item: Part, path: Path) -> Part:
        """`item` so that it concerns the owner alone. What reaches further is held to the whole project."""
        forced: dict[str, Any] = {}
        fields = type(item).model_fields
        if "scope" in fields:
            forced["scope"] = self._scope(getattr(item, "scope", "all"), (*path, "scope"))
        if "scopes" in fields:
            scopes = [self._scope(scope, (*path, "scopes")) for scope in getattr(item, "scopes", ())]
            forced["scopes"] = tuple(scopes) or (self._everything(),)
        if "match" in fields:
            forced["match"] = self._match(getattr(item, "match", "*"), (*path, "match"))
        if "projects" in fields:
            forced["projects"] = (self.owner.project,)
        if "name" in fields and forced:
            forced["name"] = self.owner.qualified(getattr(item, "name", ""))
        if not forced:
            raise TypeError(f"{type(item).__name__} has no scope, scopes, match or projects: no project can add one")
        return item.model_copy(update=forced)

    def _everything(self) -> str:
        return f"project:{self.owner.project}" if self.owner.project else "all"

    def _scope(self, scope: str, path: Path) -> str:
        kind, _, name = scope.partition(":")
        if scope in ("all", self._everything()):
            return self._everything()
        if kind == "target" and name in self.owner.names:
            return f"target:{self.owner.qualified(name)}"
        self._blame(
            path,
            f"is '{scope}', but a project's document speaks only of the project and of its own targets",
            "Write `all` (all of the project), or `target:` and the name of one of its targets.",
        )
        return self._everything()

    def _match(self, match: str, path: Path) -> str:
        if not match.startswith("/"):
            return self.owner.qualified(match)
        if match.casefold() not in self.owner.deployments:
            self._blame(
                path,
                "is the id of a deployment that this project does not watch",
                "Write the name of one of its targets, a pattern for their names, or the id of one's deployment.",
            )
            return self.owner.qualified("*")
        return match

    def _blame(self, path: Path, reason: str, remedy: str) -> None:
        self.findings.append(Finding(path, reason, remedy))
