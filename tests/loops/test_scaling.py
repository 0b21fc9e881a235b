"""What wakes the scaling loop, and how it looks at those that are woken."""

import asyncio
from dataclasses import replace
from typing import Any, cast

import pytest

from shared.domain import ScalingSnapshot, Signal
from shared.estate.reader import EstateReader, WatchSpec
from shared.loops.scaling import CLOSE_LOOKS_AT_ONCE, ScalingLoop
from shared.policy import Policy, load_policy
from shared.signals import events
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


@pytest.mark.parametrize("kind", [*sorted(set(events.KINDS.values())), "alert.fired", "alert.resolved"])
def test_events_and_alerts_that_are_known_wake_whom_they_concern(loop: ScalingLoop, policy: Policy, kind: str) -> None:
    third = policy.targets[3]
    namespace = third.queue_id.namespace_id.lower()
    assert woken(loop, policy, kind, third.deployment_id.key) == ["chat-3"]
    assert woken(loop, policy, kind, third.deployment_id.endpoint_key) == NAMES
    assert woken(loop, policy, kind, namespace, entity="CHAT-3") == ["chat-3"]
    assert woken(loop, policy, kind, namespace) == NAMES
    assert woken(loop, policy, kind, namespace, entity="other") == []


@pytest.mark.parametrize("kind", ["Contoso.Something", "alert.acknowledged"])
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
