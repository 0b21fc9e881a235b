"""What the routes that switch something have in common: a scope that names something, and an entry in the ledger."""

import logging
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from handlers.answers import Problem

if TYPE_CHECKING:
    from shared.domain import Severity
    from shared.services import Services

log = logging.getLogger("watchkeeper")


async def known_scope(made: "Services", scope: str) -> None:
    """A scope must name what the policy or a loop knows: a typing error would otherwise stop nothing, silently.

    Raises:
        Problem, UnknownName: it names nothing; the words list what there is.
    """
    from shared.domain.scopes import normal_scope
    from shared.loops.engine import named_target

    kind, _, name = scope.partition(":")
    if kind == "loop" and name not in made.engine.loop_names:
        raise Problem(404, "not_found", f"No loop is named {name!r}; there are: {', '.join(made.engine.loop_names)}.")
    if kind not in ("target", "project", "workspace"):
        return
    policy = await made.policies.current()
    if kind == "target":
        named_target(policy, name)
        return
    known = {known for t in policy.targets for known in t.place("").scopes if known.startswith(f"{kind}:")}
    if normal_scope(scope) not in known:
        words = ", ".join(sorted(known)) or "none"
        raise Problem(404, "not_found", f"No target of the policy is in {scope}; there are: {words}.")


async def record_control(made: "Services", what: str, body: Mapping[str, Any]) -> None:
    """Record what `body["by"]` did and why; nobody needs to be told.

    Raises:
        Problem: it is in effect and could not be recorded; a repetition of the request records it.
    """
    from shared.loops.evidence import control_entry

    try:
        await made.door.append(control_entry(what, body["by"], body["reason"], made.now()))
    except Exception as error:
        raise _not_recorded(what, body, error) from error


async def note_control(
    made: "Services",
    what: str,
    body: Mapping[str, Any],
    severity: "Severity" = "info",
    at: datetime | None = None,
) -> None:
    """Record what `body["by"]` switched in `body["scope"]` and why, and tell those whom it concerns. `at`: when, if
    that was not now; the same at the same time is recorded once.

    Raises:
        Problem: it is in effect and could not be recorded; a repetition of the request records it.
    """
    from shared.loops.evidence import control_entry
    from shared.people.occasions import control_notice
    from shared.policy import PolicyUnavailable

    entry = control_entry(what, body["by"], body["reason"], at or made.now())
    try:
        policy = await made.policies.current()
    except PolicyUnavailable:
        policy = None
    try:
        await made.door.record(entry, control_notice(entry, body["scope"], severity, policy))
    except Exception as error:  # a switch comes first and its record after: nothing may keep a person from stopping
        raise _not_recorded(what, body, error) from error


def _not_recorded(what: str, body: Mapping[str, Any], error: Exception) -> Problem:
    log.error("%s %s, but the ledger could not be written", body["by"], what, exc_info=error)
    return Problem(
        503, "unavailable", f"In effect, but not recorded ({what}: {error}). Repeat the request: that records it."
    )
