"""The benchmark's estate and policy are what they say, and fit each other."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bench.sweep.__main__ import goals
from bench.sweep.estate import DEPLOYMENTS, busy_queues, estate, policy, queues_by_namespace
from bench.sweep.measure import Freshness
from local.cloud.estate import Estate
from shared.domain import Fresh, Measurement, Missing, ScalingSnapshot, Stale
from shared.policy import load_policy


def test_every_target_exists_and_has_a_queue_of_its_own() -> None:
    made = Estate.from_dict(estate(300))
    targets = load_policy(json.dumps(policy(300)), "policy").targets
    assert len(targets) == 300
    assert {target.deployment_id.key for target in targets} == {each.id.lower() for each in made.deployments()}
    queues = {f"{each.id}/queues/{name}".lower() for each in made.namespaces() for name in each.queue_names}
    assert {target.queue_id.key for target in targets if target.queue_id} == queues
    assert sum(len(names) for names in queues_by_namespace(300).values()) == 300


@pytest.mark.parametrize("targets", [100, 1000, 4500])
def test_a_twentieth_of_the_queues_is_busy_at_every_size(targets: int) -> None:
    every = {name for names in queues_by_namespace(targets).values() for name in names}
    assert busy_queues(targets) < every
    assert len(busy_queues(targets)) * 20 == targets


def test_the_largest_one_has_as_many_namespaces_and_endpoints_as_it_says() -> None:
    assert len(queues_by_namespace(4500)) == 99
    assert len(list(Estate.from_dict(estate(4500)).deployments())) == 900 * DEPLOYMENTS


NOW = datetime(2026, 1, 5, tzinfo=UTC)


def fresh(age_s: float) -> Fresh:
    return Fresh(value=1.0, at=NOW - timedelta(seconds=age_s), source="s")


JUST_NOW = fresh(0)


def snapshot(depth: Measurement, *, ready: Measurement = JUST_NOW, dead: Measurement = JUST_NOW) -> ScalingSnapshot:
    return ScalingSnapshot(
        target="t",
        taken_at=NOW,
        depth=depth,
        arrivals_per_s=JUST_NOW,
        completions_per_s=JUST_NOW,
        capacity=JUST_NOW,
        ready=ready,
        quota_headroom=JUST_NOW,
        dead_letters=dead,
    )


def test_freshness_is_of_all_that_a_decision_rests_on() -> None:
    stale = Stale(value=1.0, at=NOW - timedelta(seconds=400), source="s")
    nothing = Missing(reason="none", source="s")
    found = Freshness.of({"a": snapshot(fresh(90)), "b": snapshot(fresh(15), dead=nothing)}, frozenset("b"))
    assert found.all_fresh
    assert (found.oldest_s["depth"], found.oldest_s["busy depth"]) == (90, 15)
    assert not Freshness.of({"a": snapshot(stale)}, frozenset()).all_fresh
    assert not Freshness.of({"a": snapshot(fresh(0), ready=nothing)}, frozenset()).all_fresh


def row(targets: int, **changes: Any) -> dict[str, Any]:
    sweep = {"cpu_s": targets / 500, "yardstick_s": 0.1}
    plain = {"targets": targets, "looked_at": targets, "sweep": sweep, "throttled": 0, "paused_s": 0.0}
    return plain | {"problems": {}, "not_fresh": {}} | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"throttled": 1},
        {"paused_s": 1.0},
        {"not_fresh": {"depth": 1}},
        {"looked_at": 4499},
        {"problems": {"an endpoint: no answer": 1}},
        {"sweep": {"cpu_s": 61.0, "yardstick_s": 1.0}},
        {"sweep": {"cpu_s": 12.0, "yardstick_s": 0.1}},
    ],
)
def test_each_goal_can_be_missed(changes: dict[str, Any]) -> None:
    assert all(goals([row(1000), row(4500)]).values())
    assert sum(not met for met in goals([row(1000), row(4500, **changes)]).values()) == 1


def test_a_crowded_machine_is_no_growth() -> None:
    crowded = {"cpu_s": 18.0, "yardstick_s": 0.2}  # twice as dear a target, and so is everything else
    assert all(goals([row(1000), row(4500, sweep=crowded)]).values())
