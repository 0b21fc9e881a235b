"""What wakes the scaling loop, and how it looks at those that are woken."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from shared.domain import ScalingSnapshot, Signal
from shared.estate.reader import EstateReader, WatchSpec
from shared.loops.engine import UnknownName, named_target
from shared.loops.scaling import CLOSE_LOOKS_AT_ONCE, WAKING_KINDS, ScalingLoop
from shared.policy import Policy, load_policy
from shared.signals import kinds
from tests.decisions.builders import NOW, snapshot
from tests.policy.documents import as_yaml, document, target

NAMES = [f"chat-{number}" for number in range(20)]


class SlowReader:
    """Each look takes some turns of the event loop."""

    def __init__(self) -> None:
        self.at_once = self.most_at_once = 0

    async def observe_one(self, spec: WatchSpec) -> ScalingSnapshot:
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        for _ in range(5):
            await asyncio.sleep(0)
        self.at_once -= 1
        return replace(snapshot(), target=spec.target_key)


@pytest.fixture
def policy() -> Policy:
    targets = [target(name) for name in NAMES]
    return load_policy(as_yaml(document(*targets)), "policy.yaml")


@pytest.fixture
def reader() -> SlowReader:
    return SlowReader()


@pytest.fixture
def loop(reader: SlowReader) -> ScalingLoop:
    return ScalingLoop(cast("EstateReader", reader))


def woken(loop: ScalingLoop, policy: Policy, kind: str, subject: str, **fields: Any) -> list[str]:
    signal = Signal(id="s-1", source="test", kind=kind, at=NOW, subjects=(subject,), fields=fields)
    return [each.name for each in loop.woken_by(signal, policy.targets)]


@pytest.mark.parametrize("kind", sorted(WAKING_KINDS))
def test_events_and_alerts_that_are_known_wake_whom_they_concern(loop: ScalingLoop, policy: Policy, kind: str) -> None:
    third = policy.targets[3]
    assert third.queue_id is not None
    namespace = third.queue_id.namespace_id.lower()
    assert woken(loop, policy, kind, third.deployment_id.key) == ["chat-3"]
    assert woken(loop, policy, kind, third.deployment_id.endpoint_key) == NAMES
    assert woken(loop, policy, kind, namespace, entity="CHAT-3") == ["chat-3"]
    assert woken(loop, policy, kind, namespace) == NAMES
    assert woken(loop, policy, kind, namespace, entity="other") == []


def test_a_target_without_a_queue_is_woken_by_its_deployment_and_endpoint(loop: ScalingLoop) -> None:
    load, rules = {"by": "requests"}, {"drain_within_s": 5}
    own = target("called", queue=None, load=load, scaling=rules)
    policy = load_policy(as_yaml(document(target("queued"), own)), "policy.yaml")
    deployment = policy.targets[1].deployment_id
    assert woken(loop, policy, "alert.metric", deployment.key) == ["called"]
    assert woken(loop, policy, "alert.metric", deployment.endpoint_key) == ["queued", "called"]
    assert policy.targets[0].queue_id is not None
    assert woken(loop, policy, "alert.metric", policy.targets[0].queue_id.namespace_id.lower()) == ["queued"]


def test_the_kinds_that_wake_are_kinds_that_there_are() -> None:
    assert set(kinds()) >= WAKING_KINDS


@pytest.mark.parametrize("kind", ["Contoso.Something", "alert.budget"])
def test_a_kind_that_is_not_known_wakes_nobody(loop: ScalingLoop, policy: Policy, kind: str) -> None:
    assert woken(loop, policy, kind, policy.targets[3].deployment_id.key) == []


async def test_the_woken_are_looked_at_side_by_side_but_not_all_at_once(
    loop: ScalingLoop, policy: Policy, reader: SlowReader
) -> None:
    seen = await loop.observe(policy, policy.targets, closely=True)
    assert {key: each.target for key, each in seen.items()} == {
        each.deployment_id.key: each.deployment_id.key for each in policy.targets
    }
    assert reader.most_at_once == CLOSE_LOOKS_AT_ONCE


async def test_a_snapshot_knows_the_freeze_that_stops_growth_of_its_target(loop: ScalingLoop) -> None:
    frozen = {"name": "year-close", "reason": "r", "zone": "UTC", "scopes": ["target:chat-1"]}
    windows = [
        {"from": "2026-01-05 20:00", "until": "2026-01-06 08:00"},
        {"from": "2026-01-09 20:00", "until": "2026-01-10 08:00"},
    ]
    freezes = [frozen | {"name": f"f-{number}", "once": once} for number, once in enumerate(windows)]
    freezes.append(frozen | {"name": "nights", "scopes": ["all"], "weekly": {"days": ["mon"], "from": "13:00"}})
    policy = load_policy(as_yaml(document(*(target(name) for name in NAMES[:2]), freezes=freezes)), "policy.yaml")
    seen = await loop.observe(policy, policy.targets, closely=True)
    ahead = {each.name: seen[each.deployment_id.key] for each in policy.targets}
    assert ahead["chat-1"].freeze_begins_at == datetime(2026, 1, 5, 20, tzinfo=UTC)
    assert ahead["chat-1"].freeze_ends_at == datetime(2026, 1, 6, 8, tzinfo=UTC)
    assert ahead["chat-0"].freeze_begins_at is None, "what comes each week lets growth through"


def test_a_mistyped_target_is_answered_with_the_names_that_are_like_it() -> None:
    many = load_policy(as_yaml(document(*(target(f"chat-{number:03}") for number in range(30)))), "policy.yaml")
    with pytest.raises(UnknownName) as unknown:
        named_target(many, "caht-007")
    said = str(unknown.value)
    assert "of the 30 in the policy like it are: chat-007" in said
    assert said.endswith("GET /api/targets lists them")
    assert "none is like it" in _refusal_of(many, "x" * 5000)
    assert len(_refusal_of(many, "x" * 5000)) < 300


def _refusal_of(policy: Policy, name: str) -> str:
    with pytest.raises(UnknownName) as unknown:
        named_target(policy, name)
    return str(unknown.value)
