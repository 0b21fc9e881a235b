"""One change of capacity: what Azure may answer, what becomes of it, and what that is taken for."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.faults import Fault
from local.cloud.operations import Outcome
from shared.assumptions import BY_NAME
from shared.changes import capacity
from shared.changes.capacity import Accepted, Busy, Done, Failed, Lost, Rejected, Running, Unknown
from shared.domain import Action, Dimension
from shared.estate.arm import Arm, ArmError, ArmReply
from shared.estate.identity import make_credential
from tests.estate.azure import BLUE, GREEN, Azure, running_azure

CAPACITY: Dimension = "capacity"
PATCH_ANSWERS = BY_NAME["deployment.patch_answer"].values
FAILED_STATUSES = BY_NAME["deployment.failed_operation_status"].values


def action(azure: Azure, to: int = 4) -> Action:
    return Action(
        key="decision-1",
        target=BLUE.key,
        dimension=CAPACITY,
        current=2,
        to=to,
        request_id="6a5e8f0e-6c5e-5a43-9d0a-2f4a2f3d9f11",
        state="sent",
        claimed_at=azure.now(),
    )


async def ask(azure: Azure, to: int = 4) -> capacity.Answer:
    view = await capacity.capture(azure.arm, BLUE, azure.now())
    return await capacity.request(azure.arm, action(azure, to), view)


async def accepted(azure: Azure, to: int = 4) -> Accepted:
    answer = await ask(azure, to)
    assert isinstance(answer, Accepted), answer
    return answer


def say(azure: Azure, status: int, body: Any = None, **headers: str) -> None:
    """What the status URL answers, once."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    azure.cloud.faults.add(Fault(method="GET", path="mfeOperation", status=status, body=body, headers=names, times=9))


async def told(azure: Azure, status: int, body: Any = None, **headers: str) -> capacity.Progress:
    url = (await accepted(azure)).status_url
    say(azure, status, body, **headers)
    return await capacity.poll(azure.arm, url)


def fault(azure: Azure, **options: Any) -> None:
    azure.cloud.faults.add(Fault(method="PATCH", **options))


# ---- the request


async def test_the_request_changes_the_capacity_and_nothing_else(azure: Azure) -> None:
    await ask(azure)
    [record] = azure.cloud.mutations()
    assert record.path.lower() == BLUE.key
    assert record.body == {"sku": {"name": "Default", "capacity": 4}}
    assert record.client_request_id == action(azure).request_id


async def test_the_sku_keeps_its_name(azure: Azure) -> None:
    view = replace(await capacity.capture(azure.arm, BLUE, azure.now()), sku_name="Premium")
    await capacity.request(azure.arm, action(azure), view)
    assert azure.cloud.mutations()[0].body["sku"]["name"] == "Premium"


async def test_a_capture_of_another_deployment_changes_nothing(azure: Azure) -> None:
    view = await capacity.capture(azure.arm, GREEN, azure.now())
    with pytest.raises(ValueError, match="the action is for"):
        await capacity.request(azure.arm, action(azure), view)
    assert azure.mutations() == 0


async def test_a_repeated_request_is_identical(azure: Azure) -> None:
    fault(azure, withhold="close")
    assert isinstance(await ask(azure), Unknown)
    assert isinstance(await ask(azure), Accepted)
    first, second = azure.cloud.mutations()
    assert (first.body, first.client_request_id) == (second.body, second.client_request_id)


@pytest.mark.parametrize("answers", PATCH_ANSWERS)
async def test_every_way_of_accepting_is_followed_to_the_end_and_read_back(answers: str) -> None:
    async with running_azure(assumptions={"deployment.patch_answer": answers}) as azure:
        answer = await accepted(azure)
        assert bool(answer.status_url) == (answers != "ok_200")
        assert answer.retry_after_s == 5
        if answer.status_url:
            assert isinstance(await capacity.poll(azure.arm, answer.status_url), Running)
        assert "asked for 4" in str(
            capacity.verify(await capacity.capture(azure.arm, BLUE, azure.now()), action(azure))
        )
        await azure.minutes(1.5)
        if answer.status_url:
            assert await capacity.poll(azure.arm, answer.status_url) == Done()
        assert capacity.verify(await capacity.capture(azure.arm, BLUE, azure.now()), action(azure)) is None
        assert azure.mutations() == 1


@pytest.mark.parametrize("retry_after", BY_NAME["arm.conflict_retry_after"].values)
async def test_another_operation_makes_it_busy(retry_after: str) -> None:
    async with running_azure(assumptions={"arm.conflict_retry_after": retry_after}) as azure:
        await accepted(azure, to=3)
        answer = await ask(azure, to=4)
        assert isinstance(answer, Busy)
        assert answer.retry_after_s == (10 if retry_after == "present" else 15)
        assert "another operation" in answer.reason
        assert azure.mutations() == 2


async def test_throttling_is_busy_and_its_wait_is_capped(azure: Azure) -> None:
    fault(azure, status=429, headers={"Retry-After": "3600"})
    answer = await ask(azure)
    assert isinstance(answer, Busy)
    assert answer.retry_after_s == 60


@pytest.mark.parametrize("status", [408, 500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_after_a_failure_of_azures_the_fate_is_unknown(azure: Azure, status: int, when: Any) -> None:
    fault(azure, status=status, when=when, headers={"Retry-After": "1"})
    assert isinstance(await ask(azure), Unknown)
    assert azure.mutations() == 1


@pytest.mark.parametrize("when", ["before", "after"])
async def test_without_an_answer_the_fate_is_unknown_and_a_read_tells(azure: Azure, when: Any) -> None:
    fault(azure, withhold="close", when=when)
    answer = await ask(azure)
    assert isinstance(answer, Unknown)
    assert "no answer to PATCH" in answer.reason
    view = await capacity.capture(azure.arm, BLUE, azure.now())
    assert view.provisioning_state == ("Updating" if when == "after" else "Succeeded")
    assert azure.mutations() == 1


@pytest.mark.parametrize("status", [307, 400, 401, 403, 404, 412, 422])
async def test_a_refusal_is_final_and_says_why(azure: Azure, status: int) -> None:
    fault(azure, status=status, body={"error": {"code": "Because", "message": "of this"}})
    answer = await ask(azure)
    assert isinstance(answer, Rejected)
    assert answer.code == "Because"
    assert "of this" in answer.message


async def test_azures_own_limit_is_a_refusal(azure: Azure) -> None:
    answer = await ask(azure, to=51)
    assert isinstance(answer, Rejected)
    assert "between 1 and 50" in answer.message


async def test_no_token_is_a_refusal_because_nothing_was_sent(azure: Azure) -> None:
    view = await capacity.capture(azure.arm, BLUE, azure.now())
    azure.cloud.faults.add(Fault(host="identity", status=400, times=9))
    async with make_credential(identity_endpoint="managed", client_id="") as credential, Arm(credential) as arm:
        answer = await capacity.request(arm, action(azure), view)
    assert isinstance(answer, Rejected)
    assert answer.code == "<no token>"
    assert azure.mutations() == 0


async def test_a_202_that_names_no_operation_is_followed_by_reading_the_deployment(azure: Azure) -> None:
    fault(azure, status=202, body={}, when="after")
    assert await ask(azure) == Accepted(status_url="", retry_after_s=5)


async def test_a_200_may_name_an_operation_and_its_location_is_none(azure: Azure) -> None:
    status_url = "https://management.azure.com/operation"
    fault(azure, status=200, body={}, when="after", headers={"Azure-AsyncOperation": status_url, "Location": "x"})
    assert (await accepted(azure)).status_url == status_url
    await azure.minutes(2)
    fault(azure, status=200, body={}, when="after", headers={"Location": "https://management.azure.com/resource"})
    assert (await accepted(azure, to=5)).status_url == ""


# ---- the operation


@pytest.mark.parametrize("answers", [answer for answer in PATCH_ANSWERS if answer != "ok_200"])
@pytest.mark.parametrize("failed_status", FAILED_STATUSES)
async def test_a_failed_operation_is_told_by_its_body_whatever_the_status(answers: str, failed_status: str) -> None:
    assumptions = {"deployment.patch_answer": answers, "deployment.failed_operation_status": failed_status}
    async with running_azure(assumptions=assumptions) as azure:
        azure.cloud.estate.deployment(BLUE.arm_id).next_outcome = Outcome(code="OutOfCapacity", message="no machines")
        url = (await accepted(azure)).status_url
        assert isinstance(await capacity.poll(azure.arm, url), Running)
        await azure.minutes(0.2)
        assert await capacity.poll(azure.arm, url) == Failed(code="OutOfCapacity", message="no machines")
        view = await capacity.capture(azure.arm, BLUE, azure.now())
        assert (view.capacity, view.provisioning_state) == (2, "Failed")


async def test_quota_that_runs_out_is_told(azure: Azure) -> None:
    url = (await accepted(azure, to=50)).status_url
    await azure.minutes(0.2)
    ended = await capacity.poll(azure.arm, url)
    assert isinstance(ended, Failed)
    assert ended.code == "OutOfQuota"


async def test_an_operation_that_never_ends_keeps_running(azure: Azure) -> None:
    azure.cloud.estate.deployment(BLUE.arm_id).next_outcome = Outcome(kind="never")
    url = (await accepted(azure)).status_url
    await azure.minutes(10)
    assert await capacity.poll(azure.arm, url) == Running(retry_after_s=5)


@pytest.mark.parametrize("status", ["Succeeded", "succeeded", "Completed"])
@pytest.mark.parametrize("http", [200, 202])
async def test_success_by_the_word_of_the_body(azure: Azure, http: int, status: str) -> None:
    assert await told(azure, http, {"status": status}) == Done()


@pytest.mark.parametrize("status", ["InProgress", "Updating", "Creating", "Accepted"])
async def test_any_word_that_is_no_end_is_running(azure: Azure, status: str) -> None:
    assert await told(azure, 200, {"status": status}, Retry_After="7") == Running(retry_after_s=7)


@pytest.mark.parametrize("http", [200, 202, 400, 404, 409, 429, 500])
@pytest.mark.parametrize("status", ["Failed", "Canceled"])
async def test_failure_by_the_word_of_the_body(azure: Azure, http: int, status: str) -> None:
    body = {"status": status, "error": {"code": "OutOfQuota", "message": "no vCPUs"}}
    assert await told(azure, http, body) == Failed(code="OutOfQuota", message="no vCPUs")


@pytest.mark.parametrize("http", [200, 400, 409, 422])
async def test_an_error_without_a_status_is_the_operations(azure: Azure, http: int) -> None:
    body = {"error": {"code": "OutOfCapacity", "message": "none"}}
    assert await told(azure, http, body) == Failed(code="OutOfCapacity", message="none")


async def test_a_failure_without_an_error_still_has_a_code(azure: Azure) -> None:
    ended = await told(azure, 200, {"status": "Canceled"})
    assert isinstance(ended, Failed)
    assert ended.code == "Canceled"


@pytest.mark.parametrize("http", [200, 204])
async def test_a_result_url_ends_with_the_resource_or_nothing(azure: Azure, http: int) -> None:
    body = {"properties": {"provisioningState": "Succeeded"}} if http == 200 else b""
    assert await told(azure, http, body) == Done()


@pytest.mark.parametrize("http", [408, 500, 502, 503, 504])
async def test_an_error_of_the_poll_is_no_failure_of_the_change(azure: Azure, http: int) -> None:
    assert isinstance(await told(azure, http, {"error": {"code": "ServerBusy", "message": "later"}}), Lost)


async def test_a_throttled_poll_is_repeated_later(azure: Azure) -> None:
    assert await told(azure, 429, {"error": {"code": "Throttled", "message": "later"}}) == Running(retry_after_s=5)


async def test_a_wait_that_azure_asks_of_the_poll_is_capped(azure: Azure) -> None:
    assert await told(azure, 429, None, Retry_After="900") == Running(retry_after_s=60)
    assert await told_again(azure, 202, Retry_After="900") == Running(retry_after_s=60)


async def told_again(azure: Azure, status: int, **headers: str) -> capacity.Progress:
    azure.cloud.faults.clear()
    url = f"https://management.azure.com/subscriptions/{BLUE.subscription}/mfeOperationResults/x"
    say(azure, status, b"", **headers)
    return await capacity.poll(azure.arm, url)


@pytest.mark.parametrize("http", [401, 403, 404])
async def test_a_url_that_we_cannot_read_is_lost(azure: Azure, http: int) -> None:
    assert isinstance(await told(azure, http, {"error": {"code": "Nope", "message": "no"}}), Lost)


async def test_an_unreadable_answer_is_lost(azure: Azure) -> None:
    assert isinstance(await told(azure, 200, b"<html/>"), Lost)


async def test_an_operation_that_azure_forgot_is_lost(azure: Azure) -> None:
    url = (await accepted(azure)).status_url
    assert isinstance(await capacity.poll(azure.arm, url.replace("od:", "od:0")), Lost)


async def test_a_url_elsewhere_is_lost_and_not_asked(azure: Azure) -> None:
    lost = await capacity.poll(azure.arm, "https://evil.example/operation")
    assert isinstance(lost, Lost)
    assert azure.cloud.refused_hosts == []


async def test_a_poll_without_an_answer_is_lost(azure: Azure) -> None:
    url = (await accepted(azure)).status_url
    azure.cloud.faults.add(Fault(path="mfeOperation", withhold="close", times=99))
    assert isinstance(await capacity.poll(azure.arm, url), Lost)


class Says:
    """An Azure Resource Manager that gives one answer."""

    def __init__(self, status: int, body: Any) -> None:
        self._status, self._body = status, body

    async def get_url(self, url: str) -> ArmReply:
        if 200 <= self._status < 300:
            return ArmReply(status=self._status, body=self._body)
        raise ArmError(url, self._status, "x", "y", body=self._body)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
bodies = st.fixed_dictionaries({}, optional={"status": json_values, "error": json_values, "properties": json_values})


@given(status=st.sampled_from([200, 201, 202, 204, 301, 400, 403, 404, 409, 429, 500, 503]), body=bodies)
async def test_whatever_the_answer_says_it_is_one_of_four(status: int, body: dict[str, Any]) -> None:
    answer = await capacity.poll(Says(status, body), "https://management.azure.com/x")  # type: ignore[arg-type]  # a stand-in with what poll uses
    assert isinstance(answer, Running | Done | Failed | Lost)
    if isinstance(answer, Done):
        assert 200 <= status < 300
        assert not body.get("error") or str(body.get("status")).lower() in ("succeeded", "completed")


# ---- verify and undo


@pytest.mark.parametrize(
    ("found", "state", "difference"),
    [
        (4, "Succeeded", None),
        (4, "Failed", "the provisioning state is 'Failed'"),
        (4, "Updating", "the provisioning state is 'Updating'"),
        (2, "Succeeded", "capacity is 2, asked for 4"),
        (None, "Succeeded", "could not be read back"),
    ],
)
async def test_what_was_read_back_is_compared(azure: Azure, found: Any, state: str, difference: str | None) -> None:
    view = await capacity.capture(azure.arm, BLUE, azure.now())
    says = capacity.verify(replace(view, capacity=found, provisioning_state=state), action(azure))
    assert says is None if difference is None else difference in str(says)


@pytest.mark.parametrize("shown", BY_NAME["deployment.get_during_update"].values)
async def test_a_running_update_is_never_taken_for_success(shown: str) -> None:
    async with running_azure(assumptions={"deployment.get_during_update": shown}) as azure:
        await accepted(azure)
        assert capacity.verify(await capacity.capture(azure.arm, BLUE, azure.now()), action(azure)) is not None


async def test_undo_puts_back_what_was_captured(azure: Azure) -> None:
    assert capacity.undo(action(azure)) == (4, 2)


def test_results_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Running(retry_after_s=1).retry_after_s = 2  # type: ignore[misc]  # that is the point
