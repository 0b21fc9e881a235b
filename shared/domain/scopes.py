"""Where an act belongs, and the scopes that contain it: what people switch, freeze, limit and exempt."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

SCOPE_FORMS = "`all`, `loop:<name>`, `project:<name>`, `workspace:<name or id>` or `target:<name>`"
_SCOPE = re.compile(r"all|(loop|project|workspace|target):.+", re.DOTALL)


def is_scope(text: str) -> bool:
    """Whether `text` has the form of a scope; whether it names something only the policy knows."""
    return _SCOPE.fullmatch(text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One loop on one target, with what contains the target. `project` is "" for the platform's own targets.

    `workspace_id` is the workspace's resource id, in any letter case.
    """

    loop: str
    target: str
    project: str = ""
    workspace_id: str = ""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that contains this place, the widest first. A workspace goes by its id and by its name."""
        workspace = self.workspace_id.lower()
        named = (
            ("loop", self.loop),
            ("workspace", workspace),
            ("workspace", workspace.rpartition("/")[2]),
            ("project", self.project),
            ("target", self.target),
        )
        return ("all", *(f"{kind}:{name}" for kind, name in named if name))

    def widest[T](self, by_scope: Mapping[str, T]) -> T | None:
        """What is said of the widest scope that contains this place, None if nothing is.

        The scopes of `by_scope` are as `normal_scope` gives them.
        """
        return next((by_scope[scope] for scope in self.scopes if scope in by_scope), None)


def normal_scope(scope: str) -> str:
    """The one spelling of a scope: workspaces are compared without regard to letter case."""
    return scope.lower() if scope.startswith("workspace:") else scope
