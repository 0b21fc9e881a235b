"""Fold all live intents for an endpoint with all its deployments: at most one decision a target and dimension."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from shared.decisions.arbitration import leases
from shared.decisions.arbitration.facts import EndpointFacts, Subject, Target
from shared.decisions.arbitration.fold import fold, fold_heard
from shared.decisions.arbitration.traffic import fold_traffic
from shared.domain import Decision, Dimension, Intent


def arbitrate(
    subjects: Mapping[str, Subject], intents: Iterable[Intent], now: datetime, endpoint: str = ""
) -> dict[str, Decision]:
    """One decision on capacity for each deployment of `endpoint` (a key) whose capacity is known, by deployment key.

    `intents` are those of all loops, people and the platform, for the endpoint and any deployment of it.
    """
    everything = leases.live(intents, now)
    lease = leases.holder_of(_of(everything, endpoint, "traffic"))
    return {target: _capacity(target, subject, everything, lease, now) for target, subject in subjects.items()}


def _capacity(
    target: str, subject: Subject, everything: Sequence[Intent], lease: Intent | None, now: datetime
) -> Decision:
    heard = leases.heard(_of(everything, target, "capacity"), lease)
    return fold_heard(target, "capacity", subject, heard, now)


def arbitrate_endpoint(facts: EndpointFacts, intents: Iterable[Intent], now: datetime) -> dict[Target, Decision]:
    """One decision for each (target, dimension) of the endpoint on which nothing of ours is in flight.

    Traffic comes first, because no deployment to which it is about to go may shrink or be deleted.
    """
    everything = leases.live(intents, now)
    lease = leases.holder_of(_of(everything, facts.endpoint, "traffic"))
    decisions: dict[Target, Decision] = {}
    if (facts.endpoint, "traffic") not in facts.in_flight:
        heard = leases.heard(_of(everything, facts.endpoint, "traffic"), lease)
        traffic = fold_traffic(facts, heard, now)
        if traffic is not None:
            decisions[facts.endpoint, "traffic"] = traffic
    coming = decisions[facts.endpoint, "traffic"].split_to if decisions else {}
    for deployment in facts.deployments:
        dimensions: tuple[Dimension, ...] = ("existence", "capacity") if facts.exists(deployment) else ("existence",)
        for dimension in dimensions:
            if not _busy(facts, deployment, dimension):
                heard = leases.heard(_of(everything, deployment, dimension), lease)
                subject = _subject(facts, deployment, dimension, coming)
                decisions[deployment, dimension] = fold_heard(deployment, dimension, subject, heard, now)
        _one_change(decisions, deployment)
    for compute, subject in facts.jobs.items():
        if (compute, "jobs") not in facts.in_flight:
            decisions[compute, "jobs"] = fold(compute, "jobs", subject, everything, now)
    return decisions


def _of(intents: Sequence[Intent], target: str, dimension: Dimension) -> list[Intent]:
    return [intent for intent in intents if intent.target == target and intent.dimension == dimension]


def _busy(facts: EndpointFacts, deployment: str, dimension: Dimension) -> bool:
    """What is being deleted is not resized; what is being resized can still be decided to go."""
    in_flight = facts.in_flight
    return (deployment, dimension) in in_flight or (deployment, "existence") in in_flight


def _subject(facts: EndpointFacts, deployment: str, dimension: Dimension, coming: Mapping[str, int]) -> Subject:
    mine = facts.deployments[deployment]
    return Subject(
        current=mine.capacity if dimension == "capacity" else int(mine.exists),
        policy_version=mine.policy_version,
        decisions=mine.decisions,
        load=facts.load(deployment, coming),
    )


def _one_change(decisions: dict[Target, Decision], deployment: str) -> None:
    """What is to be deleted is not resized first."""
    existence = decisions.get((deployment, "existence"))
    if existence is not None and existence.changes:
        decisions.pop((deployment, "capacity"), None)
