"""All peers: who is there, their grids, and that each plays in every lane as it plays alone."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.scaling.peers import Together, contenders
from bench.scaling.peers.base import LEAST_TARGET, Setting, queue_targets
from shared.simulation.play import play
from shared.simulation.site import Terms
from shared.simulation.workload import Workload

TERMS = Terms(cold_start_s=300, min=1, max=40, at_start=4)
PROMISE_S = 900.0


def workload(tick_s: float = 60.0, service_s: float = 20.0) -> Workload:
    """Two hours: a load of four instances, then one of twelve, then nothing."""
    ticks = int(7_200 / tick_s)
    load = np.where(np.arange(ticks) < ticks // 3, 4.0, 12.0) * (np.arange(ticks) < 2 * ticks // 3)
    items = load * tick_s / service_s
    return Workload(name="step", tick_s=tick_s, items=items, work_s=items * service_s, service_s=service_s)


@given(st.floats(0.01, 5_000), st.floats(30, 10_000), st.integers(4, 16))
def test_queue_targets_reach_from_a_utilisation_to_the_whole_promise(
    service_s: float, promise_s: float, points: int
) -> None:
    setting = Setting(tick_s=60, min=1, max=40, at_start=1, service_s=service_s, promise_s=promise_s)
    targets = queue_targets(setting, points)
    assert len(targets) == len(set(targets)) == points
    assert list(targets) == sorted(targets)
    assert targets[0] == LEAST_TARGET
    assert targets[-1] >= setting.per_promise
    close = [target for target in targets if target > targets[-1] / 50]
    widest = max(later / earlier for earlier, later in pairwise(close)) if len(close) > 1 else 1.0
    assert widest <= 1.02 * 50 ** (1 / max(1, 2 * points // 3 - 1))


@pytest.mark.parametrize(("tick_s", "service_s"), [(60.0, 20.0), (15.0, 2.0), (60.0, 1200.0)])
def test_together_each_does_what_it_does_alone(tick_s: float, service_s: float) -> None:
    load = workload(tick_s, service_s)
    peers = contenders(load, TERMS, PROMISE_S)
    everyone = Together(peers)
    asked = play(load, TERMS, everyone, everyone.lanes).asked
    for peer, lanes in zip(peers, everyone.slices, strict=True):
        alone = play(load, TERMS, peer.make(), peer.lanes).asked
        assert (asked[:, lanes] == alone).all(), peer.name


def test_a_grid_has_different_points_that_play_differently() -> None:
    load = workload()
    peers = contenders(load, TERMS, PROMISE_S)
    everyone = Together(peers)
    hours = play(load, TERMS, everyone, everyone.lanes).asked.sum(axis=0) / 60
    for peer, lanes in zip(peers, everyone.slices, strict=True):
        assert len(set(peer.points)) == peer.lanes >= 2
        assert len(np.unique(hours[lanes])) >= peer.lanes / 3, peer.name


def test_a_new_rule_remembers_nothing_of_the_one_before() -> None:
    load = workload()
    peers = contenders(load, TERMS, PROMISE_S)
    first, second = (play(load, TERMS, rule, rule.lanes).asked for rule in (Together(peers) for _ in range(2)))
    assert (first == second).all()


def test_nobody_minds_metrics_that_are_lost() -> None:
    load, terms = workload(), replace(TERMS, lost_share=1.0)
    everyone = Together(contenders(load, terms, PROMISE_S))
    asked = play(load, terms, everyone, everyone.lanes).asked
    assert (asked >= terms.min).all()
    assert (asked <= terms.max).all()


def test_who_wants_depth_by_target() -> None:
    names = {peer.name for peer in contenders(workload(), TERMS, PROMISE_S) if peer.queue_per_target}
    assert names == {"KEDA + HPA", "KEDA + HPA, tuned", "AWS target tracking"}
