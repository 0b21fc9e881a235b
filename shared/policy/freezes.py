"""Freeze windows as a policy writes them: when nothing may be changed, in the local time of those who are away.

What a window means for a moment is in `shared/safety/freezes.py`.
"""

from typing import Annotated

from shared.domain import Act
from shared.policy.parts import NOT_EMPTY, Reason, Scope
from shared.policy.windows import Windows


class Freeze(Windows):
    """A window in which nothing is changed, but for what `allow` names.

    It says when by exactly one of `once`, `weekly`, `dates` and `holidays`. Where a clock change makes a local time
    happen twice, or not at all, the window is the longer of what that may mean.
    """

    reason: Reason
    """Why, for the person who meets it at night."""

    scopes: Annotated[tuple[Scope, ...], NOT_EMPTY] = ("all",)
    """What it freezes: `all`, `loop:NAME`, `project:NAME`, `workspace:NAME`, `target:NAME`."""

    allow: tuple[Act, ...] | None = None
    """What may be done all the same: `growth`, `shrink`, `delete`, `traffic`, `jobs`.

    Without it: growth in what comes again (`weekly`, `holidays`), so that queues keep their promise while people are
    away; nothing in days that you chose (`once`, `dates`).
    """

    @property
    def allowed(self) -> tuple[Act, ...]:
        """What may be done inside."""
        if self.allow is not None:
            return self.allow
        return ("growth",) if self.weekly or self.holidays else ()
