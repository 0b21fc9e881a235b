"""What the fold must know of an endpoint besides what everybody wants: what carries traffic is a fact of it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain import Dimension


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What rests on a deployment: percent of the endpoint's requests (now, or by a change that may come about before
    the decision does: the most of them), and the instances for that; None: not known.
    """

    share: int
    needed: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A target to decide on: the instances (or jobs) asked for today, the version of its effective policy, and how
    many decisions it has had (so that the same decision, made twice by two processes or after a crash, has one id).

    `load` None: whoever asks knows of no traffic (a queue's workers), and the loops have measured the load themselves.
    """

    current: int
    policy_version: str
    decisions: int = 0
    load: Load | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flight:
    """A change of ours that was sent and has not ended: its value, or its split for traffic."""

    to: int = 0
    split: Mapping[str, int] = field(default_factory=dict)


type Target = tuple[str, Dimension]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentFacts:
    """`capacity` is the instances asked for, `ready` those that serve; `full_load` those that would serve all of the
    endpoint's requests (None: not known). One that does not exist has 0 of both; only its existence is decided.
    """

    capacity: int
    ready: int
    exists: bool = True
    full_load: int | None = None
    policy_version: str = ""
    decisions: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFacts:
    """One endpoint at one moment, as read afresh.

    `deployments` are those that exist or that somebody wants to exist, by key. `split` is deployment key -> percent,
    None if it could not be read: then nothing is deleted and nothing shrinks. `jobs` is compute key -> what is decided
    on there. `in_flight` is what we sent and has not ended; nothing is decided for its target and dimension meanwhile.
    """

    endpoint: str
    deployments: Mapping[str, DeploymentFacts]
    split: Mapping[str, int] | None
    jobs: Mapping[str, Subject] = field(default_factory=dict)
    in_flight: Mapping[Target, Flight] = field(default_factory=dict)
    policy_version: str = ""
    decisions: int = 0

    def exists(self, deployment: str) -> bool:
        return deployment in self.deployments and self.deployments[deployment].exists

    def load(self, deployment: str, coming: Mapping[str, int] | None = None) -> Load:
        """The load that rests on a deployment, also by the split that is on its way or in `coming`."""
        if self.split is None:
            return Load(share=100, needed=None)
        splits = [self.split, coming or {}]
        if flight := self.in_flight.get((self.endpoint, "traffic")):
            splits.append(flight.split)
        share = max(split.get(deployment, 0) for split in splits)
        facts = self.deployments.get(deployment)
        full = facts.full_load if facts else None
        if share == 0:
            return Load(share=0, needed=0)
        return Load(share=share, needed=None if full is None else math.ceil(full * share / 100))

    def serving(self, deployment: str) -> int:
        """The instances that serve, and go on serving when what is in flight has ended."""
        facts = self.deployments.get(deployment)
        if facts is None or not facts.exists or (deployment, "existence") in self.in_flight:
            return 0
        flight = self.in_flight.get((deployment, "capacity"))
        return facts.ready if flight is None else min(facts.ready, flight.to)
