"""Who alone may write, until when. A lease that has run out is gone at exactly that moment, whoever is to say so.

A lease on an endpoint's traffic is a lease on the endpoint: its holder is the one writer of traffic, nobody below it
deletes or creates a deployment there, and what the holder wants of the deployments' capacity is heard. A lease on a
compute's jobs is the same for that compute. What has a `holder` is heard only while that holder has the lease, so that
nothing of an undertaking outlives its lease.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from shared.decisions.arbitration import precedence
from shared.domain import Intent, Overruled

BY = "lease"


@dataclass(frozen=True, slots=True)
class Heard:
    """Those of the intents that are heard, who holds the lease, and those that are not heard, with the reason."""

    intents: tuple[Intent, ...]
    lease: Intent | None
    unheard: tuple[tuple[Intent, str], ...]


def live(intents: Iterable[Intent], now: datetime) -> tuple[Intent, ...]:
    return tuple(intent for intent in intents if intent.is_live(now))


def holder_of(intents: Iterable[Intent]) -> Intent | None:
    """The one lease that counts among live ones for one thing: by precedence, then who asked for it first."""
    leases = [i for i in intents if i.kind == "lease" and i.holder and i.expires_at is not None]
    first = sorted(leases, key=lambda i: (i.at, i.holder))
    return max(first, key=lambda i: precedence.PRECEDENCE.index(i.source), default=None)


def renewed(lease: Intent, now: datetime, until: datetime) -> Intent:
    """The lease until later: in its place among those who asked if it has not run out, else at the end of the line."""
    return replace(lease, expires_at=until) if lease.is_live(now) else replace(lease, at=now, expires_at=until)


def heard(intents: Iterable[Intent], lease: Intent | None) -> Heard:
    """Sort live intents by whether their holder has `lease`; the lease itself is no wish and is in neither part."""
    speaking: list[Intent] = []
    unheard: list[tuple[Intent, str]] = []
    for intent in sorted(intents, key=precedence.rank):
        why = _silenced(intent, lease)
        if why:
            unheard.append((intent, why))
        elif intent.kind != "lease":
            speaking.append(intent)
    return Heard(tuple(speaking), lease, tuple(unheard))


def _silenced(intent: Intent, lease: Intent | None) -> str:
    if intent.kind == "lease" and (not intent.holder or intent.expires_at is None):
        return "A lease is granted to a named holder and with an end, or not at all."
    if not intent.holder or (lease is not None and _holds(intent, lease)):
        return ""
    if lease is None:
        return f"{intent.holder} holds no lease (any more), so nothing that it wants is heard."
    return f"{lease.holder} holds the lease until {lease.expires_at:%Y-%m-%d %H:%M:%S} UTC; {intent.holder} waits."


def _holds(intent: Intent, lease: Intent) -> bool:
    return (intent.holder, intent.source) == (lease.holder, lease.source)


def lost(unheard: Iterable[tuple[Intent, str]], lease: Intent | None) -> Iterable[Overruled]:
    by = f"{lease.source}: {lease.rule}" if lease else BY
    for intent, why in unheard:
        yield Overruled(source=intent.source, kind=intent.kind, value=intent.value, rule=intent.rule, by=by, why=why)
