"""The gate of the circuit breaker: too many changes that failed, or undid each other, stop all further ones.

Open, it refuses. After its cool-down it is half open: one change is let through for trial, and what comes of that one
closes it or opens it anew. Back and forth stops what takes (a target that keeps what it has serves its users), failures
stop everything.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Literal

from shared.domain import Act, OutcomeKind, Place
from shared.policy import Policy, Target
from shared.policy.belts import FEWEST_REVERSALS
from shared.policy.belts import Breaker as Limits
from shared.records.breakers import Breaker, Mark
from shared.safety.facts import ActFacts, Refusal

CODE = "breaker_open"

# More than any number of reversals that a policy may name.
MOST_MARKS = 200

# Ends of a change that are nobody's failure: a person was faster.
NO_FAILURES = ("changed_meanwhile",)

BreakerState = Literal["closed", "open", "half_open"]


def scopes_of(place: Place) -> tuple[str, ...]:
    """The scopes that have a breaker for a change here, the widest first."""
    workspace = (f"workspace:{place.workspace_id.lower()}",) if place.workspace_id else ()
    project = (f"project:{place.project}",) if place.project else ()
    return ("all", *workspace, *project, f"target:{place.target}")


def limits_for(scope: str, policy: Policy, target: Target | None) -> Limits:
    """What opens the breaker of a scope. A project's stricter word counts for what is the project's alone."""
    own = target is not None and scope.startswith(("target:", "project:"))
    limits = (policy.limits_of(target) if own and target is not None else policy.limits).breaker
    return limits if target is None else limits.model_copy(update={"reversals": policy.reversals_of(target)})


def gate(facts: ActFacts) -> Refusal | None:
    key = facts.decision.id if facts.decision is not None else ""
    for breaker in stopping(facts.records.breakers, facts.place, facts.act):
        limits = limits_for(breaker.scope, facts.policy, facts.target)
        shut = refusal(breaker, key, limits, facts.now)
        if shut is not None:
            return shut
    return None


def stopping(breakers: Mapping[str, Breaker], place: Place, act: Act) -> Iterator[Breaker]:
    """Those that are not closed for this act, the widest first."""
    for scope in scopes_of(place):
        breaker = breakers.get(scope)
        if breaker is not None and breaker.opened_at is not None and (breaker.cause == "failures" or act in TAKING):
            yield breaker


TAKING: tuple[Act, ...] = ("shrink", "delete")


def refusal(breaker: Breaker, key: str, limits: Limits, now: datetime) -> Refusal | None:
    """What a breaker has against the change `key`; None if it is closed, or lets this one through for trial."""
    state = state_of(breaker, limits, now)
    if state == "closed" or (state == "half_open" and _is_free_for(breaker, key, limits, now)):
        return None
    reset = f'POST /api/breaker/reset {{"scope": "{breaker.scope}", "reason": "...", "by": "..."}}'
    if state == "half_open":
        waits = "One change is under way for trial: what comes of it closes the breaker or opens it anew."
    else:
        trial_at = (breaker.opened_at or now) + timedelta(seconds=limits.cool_down_s)
        waits = f"By itself it lets one change through for trial at {trial_at:%Y-%m-%d %H:%M} UTC."
    return Refusal(
        code=CODE,
        reason=f"The circuit breaker of {breaker.scope} is open since {breaker.opened_at:%Y-%m-%d %H:%M} UTC: "
        f"{breaker.why}",
        remedy=f"Find the cause, then reset it with {reset}. {waits}",
    )


def state_of(breaker: Breaker, limits: Limits, now: datetime) -> BreakerState:
    if breaker.opened_at is None:
        return "closed"
    cool_down = timedelta(seconds=limits.cool_down_s)
    return "half_open" if now - breaker.opened_at >= cool_down else "open"


def with_trial(breaker: Breaker | None, key: str, limits: Limits, now: datetime) -> Breaker | None:
    """The breaker with `key` as its one trial, if it is half open and has none, or one that never ended."""
    if breaker is None or state_of(breaker, limits, now) != "half_open":
        return breaker
    if breaker.trial == key or not _is_free_for(breaker, key, limits, now):
        return breaker
    return replace(breaker, trial=key, trial_at=now)


def _is_free_for(breaker: Breaker, key: str, limits: Limits, now: datetime) -> bool:
    abandoned = breaker.trial_at is not None and now - breaker.trial_at >= timedelta(seconds=limits.cool_down_s)
    return breaker.trial in ("", key) or abandoned


def without_trial(breaker: Breaker | None, key: str) -> Breaker | None:
    """The breaker as before `key` was its trial: nothing came of it."""
    return replace(breaker, trial="", trial_at=None) if breaker is not None and breaker.trial == key else breaker


def after(
    breaker: Breaker | None, scope: str, kind: OutcomeKind, mark: Mark, limits: Limits, now: datetime
) -> Breaker | None:
    """The breaker of `scope` after the end of a change; the same end told again changes nothing."""
    old = breaker or Breaker(scope=scope)
    if kind == "failed" and mark.code not in NO_FAILURES:
        return _after_failure(old, mark, limits, now)
    if kind == "succeeded" and old.trial == mark.key:
        return closed(old, now)
    if kind == "succeeded" and scope.startswith("target:"):
        return _after_success(old, mark, limits, now)
    return without_trial(breaker, mark.key)


def _after_failure(old: Breaker, mark: Mark, limits: Limits, now: datetime) -> Breaker:
    if _is_known(mark, old.failures, old):
        return old
    failures = _recent((*old.failures, mark), limits.window_s, now)
    new = replace(old, failures=failures)
    if old.trial == mark.key:
        return replace(new, opened_at=now, opened_by=mark.key, trial="", trial_at=None)
    most = _most_failures(old.scope, limits)
    if old.cause == "failures" or len(failures) < most:
        return new
    codes = ", ".join(sorted({failure.code for failure in failures}))
    why = f"{len(failures)} changes failed within {limits.window_s / 60:g} minutes ({codes})."
    return replace(new, opened_at=now, opened_by=mark.key, cause="failures", why=why)


def _after_success(old: Breaker, mark: Mark, limits: Limits, now: datetime) -> Breaker:
    if _is_known(mark, old.changes, old):
        return old
    changes = _turns(_recent((*old.changes, mark), limits.reversal_window_s, now))
    new = replace(old, changes=changes)
    reversals = reversals_in(changes)
    if old.opened_at is not None or reversals < (limits.reversals or FEWEST_REVERSALS):
        return new
    why = f"its capacity went back and forth {reversals} times within {limits.reversal_window_s / 60:g} minutes."
    return replace(new, opened_at=now, opened_by=mark.key, cause="reversals", why=why)


def closed(breaker: Breaker, now: datetime) -> Breaker:
    """Nothing from before counts any more."""
    return Breaker(scope=breaker.scope, reset_at=now)


def reversals_in(changes: tuple[Mark, ...]) -> int:
    """How often a change went against the one before it."""
    return max(0, len(_turns(changes)) - 1)


OTHER: tuple[Act, ...] = ("traffic", "jobs")


def _is_known(mark: Mark, marks: tuple[Mark, ...], breaker: Breaker) -> bool:
    reset = breaker.reset_at is not None and mark.at <= breaker.reset_at
    return reset or any(known.key == mark.key for known in marks)


def _turns(marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    """Of changes in one direction after each other only the last: so few are kept that they fit into a row."""
    ordered = sorted((mark for mark in marks if mark.act not in OTHER), key=lambda mark: mark.at)
    pairs = itertools.zip_longest(ordered, ordered[1:])
    last = [one for one, after in pairs if after is None or (one.act in TAKING) != (after.act in TAKING)]
    return tuple(last[-MOST_MARKS:])


def _recent(marks: tuple[Mark, ...], window_s: float, now: datetime) -> tuple[Mark, ...]:
    return tuple(mark for mark in marks if now - mark.at < timedelta(seconds=window_s))


def _most_failures(scope: str, limits: Limits) -> int:
    if scope == "all":
        return limits.all_failures
    return limits.target_failures if scope.startswith("target:") else limits.scope_failures
