"""The fold of an endpoint's traffic: a split that one writer makes, the holder of the lease, or a person above it.

It looks at no capacity. A wish that needs some says which, and the decision carries that along: it is taken now, and
sent when what it needs serves (`sending`).
"""

from collections.abc import Mapping
from datetime import datetime

from shared.decisions.arbitration import guards, leases, precedence
from shared.decisions.arbitration.facts import EndpointFacts
from shared.decisions.arbitration.fold import NOTHING_WANTED
from shared.domain import Decision, Intent, Overruled, entry_id, traffic_hash

_NO_LEASE = "Traffic has one writer, the holder of the endpoint's lease; it was asked for without one."
_BOUNDS = "Traffic knows wishes and holds: a split has no floor and no ceiling."


def fold_traffic(facts: EndpointFacts, heard: leases.Heard, now: datetime) -> Decision | None:
    """The decision on the split, or None where it is not known what the split is."""
    current = facts.split
    if current is None:
        return None
    lost = [*heard.unheard]
    winner: Intent | None = None
    outranked: list[Intent] = []
    for intent in heard.intents:
        why = _not_possible(intent, facts)
        if why:
            lost.append((intent, why))
            continue
        if winner is not None:
            outranked.append(winner)
        winner = intent
    to = dict(winner.split) if winner is not None and winner.kind == "wish" else dict(current)
    to = {deployment: share for deployment, share in to.items() if share > 0}
    now_split = {deployment: share for deployment, share in current.items() if share > 0}
    return _decision(facts, heard, now, winner, now_split, to, _overruled(outranked, winner, lost, to, heard.lease))


def _not_possible(intent: Intent, facts: EndpointFacts) -> str:
    """Why nothing can come of the intent, "" if something can."""
    if intent.kind == "hold":
        return ""
    if intent.kind != "wish":
        return _BOUNDS
    if not intent.holder and intent.source not in precedence.PEOPLE:
        return _NO_LEASE
    if any(share < 0 for share in intent.split.values()) or sum(intent.split.values()) != 100:
        return f"A split is made of percentages that add up to 100, not {dict(sorted(intent.split.items()))}."
    return guards.nowhere(intent.split, facts)


def _overruled(
    outranked: list[Intent],
    winner: Intent | None,
    lost: list[tuple[Intent, str]],
    to: Mapping[str, int],
    lease: Intent | None,
) -> tuple[Overruled, ...]:
    by = f"{winner.source}: {winner.rule}" if winner else ""
    unmet = [i for i in outranked if i.kind == "wish" and {d: s for d, s in i.split.items() if s > 0} != to]
    return (
        *(Overruled(source=i.source, kind=i.kind, value=i.value, rule=i.rule, by=by) for i in unmet),
        *leases.lost(sorted(lost, key=lambda each: precedence.rank(each[0])), lease),
    )


def _decision(
    facts: EndpointFacts,
    heard: leases.Heard,
    now: datetime,
    winner: Intent | None,
    split: Mapping[str, int],
    to: Mapping[str, int],
    overruled: tuple[Overruled, ...],
) -> Decision:
    rule = winner.rule if winner else "nothing_wanted"
    plan = traffic_hash(facts.endpoint, split, to, rule, facts.policy_version)
    lease = heard.lease if winner is not None and winner.holder else None
    return Decision(
        id=entry_id(now, plan, order=f"{facts.decisions + 1:06d}"),
        target=facts.endpoint,
        dimension="traffic",
        current=0,
        to=0,
        rule=rule,
        reason=winner.reason if winner else NOTHING_WANTED,
        winner=winner.source if winner else None,
        policy_version=facts.policy_version,
        at=now,
        overruled=overruled,
        split_from=split,
        split_to=to,
        needs=dict(winner.needs) if winner is not None and winner.kind == "wish" else {},
        holder=winner.holder if winner else "",
        lease_until=lease.expires_at if lease else None,
    )
