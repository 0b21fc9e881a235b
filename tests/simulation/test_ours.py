"""Our own decision in the simulator is the one of production, and what it sees and may do is what the terms say."""

from datetime import datetime

import numpy as np
import pytest

from shared.decisions import scaling
from shared.domain import Fresh, Intent, Missing, ScalingMemory, ScalingSnapshot
from shared.policy import Scaling
from shared.simulation.play import figures, play
from shared.simulation.site import Terms
from tests.simulation.loads import daily, ours_of, workload_of

type Answer = tuple[tuple[Intent, ...], ScalingMemory]


def test_another_decision_gives_other_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    workload, terms = daily(), Terms(cold_start_s=900.0)
    before = figures(play(workload, terms, ours_of(workload, terms), lanes=1), 600.0)
    decide = scaling.decide

    def nothing(snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime) -> Answer:
        return (), decide(snapshot, memory, policy, now)[1]

    monkeypatch.setattr(scaling, "decide", nothing)
    after = figures(play(workload, terms, ours_of(workload, terms), lanes=1), 600.0)
    assert before.late_share[0] < 0.2
    assert before.changes_per_day[0] > 0
    assert after.late_share[0] > 0.9
    assert after.changes_per_day[0] == 0


def seen_by_decide(monkeypatch: pytest.MonkeyPatch, terms: Terms, minutes: int = 60) -> list[ScalingSnapshot]:
    snapshots: list[ScalingSnapshot] = []
    decide = scaling.decide

    def watched(snapshot: ScalingSnapshot, memory: ScalingMemory, policy: Scaling, now: datetime) -> Answer:
        snapshots.append(snapshot)
        return decide(snapshot, memory, policy, now)

    monkeypatch.setattr(scaling, "decide", watched)
    workload = workload_of(np.full(minutes, 30.0))  # ten instances' worth
    play(workload, terms, ours_of(workload, terms), lanes=1)
    return snapshots


def test_metrics_are_late_and_those_that_are_lost_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = seen_by_decide(monkeypatch, Terms(cold_start_s=60.0, lost_share=0.3, metric_delay_s=120.0))
    told = [s for s in snapshots if isinstance(s.arrivals_per_s, Fresh)]
    lost = [s for s in snapshots if isinstance(s.arrivals_per_s, Missing)]
    assert len(told) > 20
    assert len(lost) > 5
    for snapshot in told:
        assert isinstance(snapshot.arrivals_per_s, Fresh)
        assert (snapshot.taken_at - snapshot.arrivals_per_s.at).total_seconds() == 120.0
        assert snapshot.arrivals_per_s.value == pytest.approx(0.5)
    for snapshot in lost:
        assert isinstance(snapshot.ready, Missing)
        assert isinstance(snapshot.depth, Fresh)


def test_changes_at_any_time_are_decided_and_made_while_instances_are_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots = seen_by_decide(monkeypatch, Terms(cold_start_s=900.0))
    assert {s.ordered for s in snapshots} == {None}
    assert {s.provisioning_state for s in snapshots} == {"Succeeded"}


def test_one_operation_at_a_time_is_decided_but_not_acted_on(monkeypatch: pytest.MonkeyPatch) -> None:
    terms = Terms(cold_start_s=900.0, cold_start_sigma=0.0, one_operation=True)
    snapshots = seen_by_decide(monkeypatch, terms)
    busy = [s for s in snapshots if s.ordered is not None]
    assert len(busy) >= 14
    for snapshot in snapshots:
        assert isinstance(snapshot.capacity, Fresh)
        assert snapshot.provisioning_state == ("Updating" if snapshot.ordered is not None else "Succeeded")
        assert snapshot.ordered in (None, snapshot.capacity.value)
    workload = workload_of(np.full(60, 30.0))
    site = play(workload, terms, ours_of(workload, terms), lanes=1)
    (changed,) = np.diff(site.asked[:, 0]).nonzero()
    assert (np.diff(changed) >= 15).all()


def test_every_look_is_kept_when_asked_for_and_else_the_changes() -> None:
    workload, terms = daily(0.5), Terms(cold_start_s=180.0)
    every, changes = ours_of(workload, terms, keep=True), ours_of(workload, terms)
    play(workload, terms, every, lanes=1)
    play(workload, terms, changes, lanes=1)
    assert [d.at_s for d in every.decided] == [60.0 * tick for tick in range(workload.ticks)]
    assert [d for d in every.decided if d.decision.changes] == changes.decided
    assert every.decided[-1].numbers["capacity"] >= 1
