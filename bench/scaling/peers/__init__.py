"""The peers' decision rules, each over a grid of its targets, for `shared.simulation`."""

from collections.abc import Sequence

import numpy as np

from bench.scaling.peers import aws, azure_monitor, hpa, keda, knative, ray_serve, simple, wva
from bench.scaling.peers.base import Peer, Setting
from shared.simulation.seen import Lanes
from shared.simulation.site import Seen, Terms
from shared.simulation.workload import Ints, Workload

__all__ = ["Peer", "Together", "contenders"]

FAMILIES = (keda, hpa, azure_monitor, aws, knative, ray_serve, wva, simple)


def contenders(workload: Workload, terms: Terms, promise_s: float) -> list[Peer]:
    """All peers, each over a grid that suits the promise and the service time."""
    setting = Setting(
        tick_s=workload.tick_s,
        min=terms.min,
        max=terms.max,
        at_start=terms.at_start,
        service_s=workload.service_s,
        promise_s=promise_s,
    )
    return [peer for family in FAMILIES for peer in family.peers(setting)]


class Together:
    """All peers' lanes as one rule, in the order of the peers: one play of the site shows them all."""

    def __init__(self, peers: Sequence[Peer]) -> None:
        ends = np.cumsum([peer.lanes for peer in peers])
        self.lanes = int(ends[-1])
        self.slices = [slice(int(end) - peer.lanes, int(end)) for peer, end in zip(peers, ends, strict=True)]
        self._rules = [peer.make() for peer in peers]

    def wanted(self, seen: Seen) -> Ints:
        parts = zip(self._rules, self.slices, strict=True)
        return np.concatenate([rule.wanted(Lanes(seen, lanes)) for rule, lanes in parts])
