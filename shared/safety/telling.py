"""What people must hear of the gates: each thing once, by the id of its notice, whoever tells it again."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.domain import Notice, Place, entry_id
from shared.people.door import Door
from shared.policy import Target
from shared.records.breakers import Breaker
from shared.records.chain import LedgerEntry
from shared.records.exemptions import Exemption
from shared.records.gates import GateStore
from shared.safety.blast_radius import UsedUp
from shared.safety.exemptions import TAG, TagExemption


async def announce_expired(exemptions: Sequence[Exemption], gates: GateStore, door: Door) -> None:
    """Tell the owners of exemptions that ran out, enter it in the ledger, and then forget them.

    In this order a crash in between repeats what was told, by the same ids.
    """
    for one in exemptions:
        what = f"{one.scope} is no longer exempt from {'all changes' if one.acts == 'all' else one.acts}"
        at = one.expires_at.astimezone(UTC)
        entry = LedgerEntry(
            id=one.id,
            kind="control",
            at=at,
            endpoint_key="",
            target="",
            loop="",
            summary=f"{what}: the exemption of {one.owner} ran out ({one.reason})",
            body={"what": "exemption expired", "scope": one.scope, "acts": one.acts, "reason": one.reason},
        )
        notice = Notice(
            id=one.id,
            kind="exemption_expired",
            severity="warning",
            at=at,
            subject=what,
            text=f"The exemption ran out at {at:%Y-%m-%d %H:%M} UTC. It was given because: {one.reason}. From now "
            "on the policy applies again; give a new exemption with PUT /api/exemptions if it is still needed.",
            target=_target_in(one.scope),
            owners=(one.owner,),
            facts={"scope": one.scope, "given by": one.by},
        )
        await door.record(entry, notice)
        await gates.exemptions.forget(one)


def tag_expired(target: Target, tag: TagExemption, until: datetime) -> Notice:
    """The exemption by a tag ran out."""
    return Notice(
        id=entry_id(until, f"tag-exemption-{_digest(target.deployment_id.key, tag.reason)}", order=f"{until:%H%M%S}"),
        kind="exemption_expired",
        severity="warning",
        at=until,
        subject=f"{target.name} is no longer exempt by its tag",
        text=f"The tag {TAG} on the deployment of {target.name} ran out at {until:%Y-%m-%d %H:%M} UTC ({tag.reason}). "
        "The policy applies again; remove the tag, or write a new end.",
        target=target.name,
        project=target.project or "",
        endpoint_key=target.deployment_id.endpoint_key,
        owners=_owners(target),
    )


def limit_reached(full: UsedUp, target: Target, now: datetime) -> Notice:
    """A budget is used up: told once an hour for each scope and limit."""
    hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Notice(
        id=entry_id(hour, f"limit-{_digest(full.scope, full.limit)}", order=f"{hour:%H}"),
        kind="limit_reached",
        severity="warning",
        at=hour,
        subject=f"{full.scope}: the limit of changes an hour is reached",
        text=f"{full.reason} Further changes wait until {full.free_at:%H:%M} UTC. If so much is meant to change, raise "
        f"{full.limit} in the policy; if not, stop it with the kill switch and look at the ledger.",
        target=target.name if full.scope == f"target:{target.name}" else "",
        project=target.project or "",
        owners=_owners(target),
        facts={"scope": full.scope, "limit": full.limit},
    )


def breaker_tripped(breaker: Breaker, opened_at: datetime, place: Place, target: Target | None) -> Notice:
    """Changes in a scope are stopped."""
    flaps = breaker.cause == "reversals"
    stopped = "shrinking and deleting" if flaps else "all changes"
    harm = "Growth goes on, so users are served and it costs more until then." if flaps else "Growth is stopped too."
    of_target = breaker.scope == f"target:{place.target}"
    return Notice(
        id=breaker_id(breaker, opened_at),
        kind="breaker_tripped",
        severity="critical",
        at=opened_at,
        subject=f"The circuit breaker of {breaker.scope} stopped {stopped}",
        text=f"{breaker.why} Nothing of that kind is tried until one change is let through for trial, or until you "
        f"reset it. {harm} Find the cause, then reset it with "
        f'POST /api/breaker/reset {{"scope": "{breaker.scope}", "reason": "...", "by": "..."}}.',
        target=place.target if of_target else "",
        project=place.project,
        endpoint_key=target.deployment_id.endpoint_key if target is not None and of_target else "",
        owners=_owners(target) if target is not None else (),
        facts={"scope": breaker.scope},
    )


def breaker_entry(breaker: Breaker, opened_at: datetime, endpoint_key: str, target: str) -> LedgerEntry:
    """That a breaker opened, in the ledger of the endpoint whose change opened it."""
    return LedgerEntry(
        id=breaker_id(breaker, opened_at),
        kind="notice",
        at=opened_at,
        endpoint_key=endpoint_key,
        target=target,
        loop="",
        summary=f"The circuit breaker of {breaker.scope} opened: {breaker.why}",
        body={"scope": breaker.scope, "cause": breaker.cause, "opened_by": breaker.opened_by},
    )


def breaker_id(breaker: Breaker, opened_at: datetime) -> str:
    at = opened_at.astimezone(UTC)
    return entry_id(at, f"breaker-{_digest(breaker.scope, breaker.opened_by)}", order=f"{at:%H%M%S%f}")


def _owners(target: Target) -> tuple[str, ...]:
    return (target.owner,) if target.owner else ()


def _target_in(scope: str) -> str:
    return scope.removeprefix("target:") if scope.startswith("target:") else ""


def _digest(*texts: str) -> str:
    return hashlib.sha256("|".join(texts).encode()).hexdigest()[:10]
