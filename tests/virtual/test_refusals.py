"""What Azure answers to a change, other than yes: busy, throttled, an error, nothing, no such thing, not allowed."""

import itertools
from typing import Any

import pytest

from tests.virtual.arena import ENDPOINT_KEY, QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL

PATCH, DEPLOYMENT = "PATCH", "/deployments/blue$"


def waits_s(arena: Arena) -> list[float]:
    """Seconds between one request that changes something and the next."""
    times = [record.at for record in arena.sent()]
    return [(after - before).total_seconds() for before, after in itertools.pairwise(times)]


@pytest.mark.parametrize("status", [409, 429])
@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        pytest.param({}, 15, id="nothing asked"),
        pytest.param({"Retry-After": "7"}, 7, id="asked"),
        pytest.param({"Retry-After": "45"}, 45, id="asked for long"),
        pytest.param({"Retry-After": "86400"}, 60, id="asked for too long"),
    ],
)
async def test_busy_is_no_failure(open_arena: OpenArena, status: int, headers: dict[str, str], wait_s: float) -> None:
    """The identical request is sent again after the wait that Azure asks for, within reason."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault(PATCH, DEPLOYMENT, status, headers=headers, times=2)
        await arena.evaluate()
        await arena.pass_time(2 * wait_s + 80)
        assert waits_s(arena) == [wait_s, wait_s]
        assert len({record.client_request_id for record in arena.sent()}) == 1
        assert [record.accepted for record in arena.sent()] == [False, False, True]
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.sends) == ("succeeded", 3, 3)
        assert len(await arena.decisions()) == 1


async def test_an_error_before_the_effect(open_arena: OpenArena) -> None:
    """After a 503 only a read can tell: it tells that nothing arrived, so the identical request is sent again."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault(PATCH, DEPLOYMENT, 503, times=1)
        await arena.evaluate()
        await arena.pass_time(120)
        assert [record.accepted for record in arena.sent()] == [False, True]
        assert len({record.client_request_id for record in arena.sent()}) == 1
        assert waits_s(arena)[0] > 5, "a read may show the old state for that long"
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.sends) == ("succeeded", 3, 2)


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 500}, {"status": 408}, {"withhold": "close"}])
@pytest.mark.parametrize("shown", ["old_capacity", "new_capacity"])
async def test_an_answer_that_hides_the_effect(open_arena: OpenArena, trouble: dict[str, Any], shown: str) -> None:
    """The request arrived; the answer says otherwise, or never comes. One effect, found by reading back."""
    assumptions = {"deployment.get_during_update": shown}
    async with open_arena(shape=QUICK, policy=policy_text(min=3), assumptions=assumptions) as arena:
        arena.fault(PATCH, DEPLOYMENT, when="after", times=1, **trouble)
        await arena.evaluate()
        await arena.pass_time(120)
        assert [record.accepted for record in arena.sent()] == [True]
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.sends) == ("succeeded", 3, 1)


async def test_an_error_for_good_is_told_and_not_repeated_at_once(open_arena: OpenArena) -> None:
    body = {"error": {"code": "InvalidSku", "message": "this size is retired"}}
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault(PATCH, DEPLOYMENT, 400, body=body)
        await arena.evaluate()
        await arena.pass_time(50)
        assert len(arena.sent()) == 1
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("failed", "InvalidSku")
        assert "this size is retired" in outcome.reason
        await arena.pass_time(850)
        assert 3 <= len(arena.sent()) <= 5
        waits = waits_s(arena)
        assert waits == sorted(waits)
        assert waits[-1] >= 3 * waits[0]


async def test_after_a_success_the_back_off_starts_anew(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=2)) as arena:
        arena.fault(PATCH, DEPLOYMENT, 400, times=3)
        await arena.pass_time(900)
        assert arena.capacity() == 2
        arena.fault(PATCH, DEPLOYMENT, 400, times=1)
        arena.set_policy(policy_text(min=3))
        await arena.pass_time(200)
        assert arena.capacity() == 3
        assert waits_s(arena)[-1] <= 100


async def test_the_deployment_vanishes_between_decision_and_act(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault(PATCH, DEPLOYMENT, 409, times=1)
        await arena.evaluate()
        arena.world.cloud.estate.endpoint(ENDPOINT_KEY).deployments.clear()  # Resource Graph lists it a while longer
        await arena.pass_time(300)
        assert len(arena.sent()) == 1
        outcomes = await arena.outcomes()
        assert {outcome.code for outcome in outcomes} == {"target_vanished"}
        assert "may have been deleted" in outcomes[0].reason
        assert len(outcomes) <= 3
        sentence = (await arena.call("GET", "targets/chat", status=200))["now"]["sentence"]
        assert "404" in sentence
        assert "nothing can be decided" in sentence


WRITE = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write"


async def test_without_the_right_to_change(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.revoke(WRITE)
        await arena.evaluate()
        await arena.pass_time(30)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("failed", "AuthorizationFailed")
        assert f"grant '{WRITE}'" in outcome.reason
        assert "infra/roles.json" in outcome.reason
        assert len(arena.sent()) == 1


@pytest.mark.parametrize(
    "action",
    [
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read",
        "Microsoft.ServiceBus/namespaces/queues/read",
        "Microsoft.Insights/autoscaleSettings/read",
    ],
)
async def test_without_a_right_to_see_nothing_is_changed(open_arena: OpenArena, action: str) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.revoke(action)
        await arena.evaluate()
        assert arena.sent() == []
        sentence = (await arena.call("GET", "targets/chat", status=200))["now"]["sentence"]
        assert f"grant '{action}'" in sentence


async def test_without_the_right_to_see_the_quota_nothing_grows(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.revoke("locations/usages/read")
        await arena.evaluate()
        await arena.pass_time(30)
        assert arena.sent() == []
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.code) == ("refused", "quota_unknown")
        assert "grant 'Microsoft.MachineLearningServices/locations/usages/read'" in outcome.reason


@pytest.mark.parametrize("answer", ["accepted_location", "accepted_async_operation"])
async def test_without_the_right_to_see_the_operation_the_deployment_tells(open_arena: OpenArena, answer: str) -> None:
    action = {"accepted_location": "mfeOperationResults/read", "accepted_async_operation": "mfeOperationsStatus/read"}
    async with open_arena(
        shape=QUICK, policy=policy_text(min=3), assumptions={"deployment.patch_answer": answer}
    ) as arena:
        arena.revoke(action[answer])
        await arena.evaluate()
        await arena.pass_time(120)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed) == ("succeeded", 3)
        assert len(arena.sent()) == 1


async def test_reads_that_fail_hold_the_act_up_and_lose_nothing(open_arena: OpenArena) -> None:
    """While the act cannot read it sends nothing; once it can, it goes on."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        arena.fault(PATCH, DEPLOYMENT, 409, times=1)
        await arena.evaluate()
        trouble = arena.fault("GET", DEPLOYMENT, 503)
        await arena.pass_time(60)
        assert trouble.hits > 0
        assert len(arena.sent()) == 1
        arena.world.cloud.faults.clear()
        await arena.pass_time(90)
        assert arena.capacity() == 3
        assert [one.kind for one in await arena.outcomes()] == ["succeeded"]
        assert len(await arena.decisions()) == 1


@pytest.mark.parametrize("trouble", [{"status": 503}, {"status": 429}, {"withhold": "close"}])
async def test_reads_that_fail_after_the_request_are_waited_for(open_arena: OpenArena, trouble: dict[str, Any]) -> None:
    """Nobody knows how the change ended, so nobody says so: its end is read once reading works again."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        await arena.evaluate()
        arena.fault("GET", "/deployments/blue$|/mfeOperation", **trouble)
        await arena.pass_time(180)
        assert await arena.outcomes() == []
        arena.world.cloud.faults.clear()
        await arena.pass_time(60)
        (outcome,) = await arena.outcomes()
        assert (outcome.kind, outcome.observed, outcome.sends) == ("succeeded", 3, 1)
        assert len(arena.sent()) == 1
