"""The client of Azure Resource Manager, over the wire."""

import base64
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.faults import Fault
from shared.estate import api
from shared.estate.arm import Arm, ArmError, ArmThrottled, ArmUnreachable, ForeignUrl, retry_after_s
from shared.estate.failures import ArmFailure
from shared.estate.identity import make_credential
from tests.estate.azure import BLUE, NAMESPACE, Azure, running_azure

if TYPE_CHECKING:
    from local.cloud.routing import Call

BODY = {"sku": {"name": "Default", "capacity": 3}}
CLAIMS = base64.urlsafe_b64encode(json.dumps({"access_token": {"nbf": {"value": "1"}}}).encode()).decode()
CHALLENGE = {
    "WWW-Authenticate": f'Bearer authorization_uri="https://login.microsoftonline.com/", '
    f'error="insufficient_claims", claims="{CLAIMS}"'
}


async def read(azure: Azure) -> int:
    reply = await azure.arm.get(BLUE.arm_id, api.MACHINE_LEARNING)
    return int(reply.body["sku"]["capacity"])


async def change(azure: Azure, arm: Arm | None = None) -> int:
    return (await (arm or azure.arm).patch(BLUE.arm_id, api.MACHINE_LEARNING, BODY, "request-1")).status


def attempts(azure: Azure) -> int:
    return azure.count("GET", "deployments/blue")


async def test_reads_under_the_real_host_name_and_says_who_it_is(azure: Azure) -> None:
    seen: list[Call] = []
    azure.cloud.faults.add(Fault(method="GET", path="deployments/blue", on_hit=seen.append))
    assert await read(azure) == 2
    [call] = seen
    assert call.host == "management.azure.com"
    assert call.headers["User-Agent"].startswith("watchkeeper/")
    assert len(call.headers["x-ms-client-request-id"]) >= 32


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
async def test_a_read_is_tried_again_after_a_passing_failure(azure: Azure, status: int) -> None:
    azure.cloud.faults.add(Fault(method="GET", path="deployments/blue", status=status, times=2))
    assert await read(azure) == 2
    assert attempts(azure) == 3
    assert azure.pauses.asked_s == [0.2, 1.0]


async def test_a_read_waits_as_long_as_azure_asks_within_reason(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=429, headers={"Retry-After": "2"}))
    assert await read(azure) == 2
    assert azure.pauses.asked_s == [2.0]


@pytest.mark.parametrize("status", [429, 503])
async def test_a_long_wait_is_raised_instead_of_sat_through(azure: Azure, status: int) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=status, headers={"Retry-After": "60"}, times=9))
    with pytest.raises(ArmThrottled) as raised:
        await read(azure)
    assert raised.value.retry_after_s == 60
    assert attempts(azure) == 1
    assert azure.pauses.asked_s == []


async def test_a_read_gives_up_after_a_few_attempts(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=503, times=99))
    with pytest.raises(ArmError, match="503 InjectedFault on GET /subscriptions"):
        await read(azure)
    assert attempts(azure) == 4


async def test_a_read_whose_answer_is_lost_is_tried_again(azure: Azure) -> None:
    fault = azure.cloud.faults.add(Fault(path="deployments/blue", withhold="close", times=3))
    assert await read(azure) == 2
    assert fault.hits == 3


async def test_no_answer_at_all_is_unreachable(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", withhold="close", times=99))
    with pytest.raises(ArmUnreachable, match="no answer to GET"):
        await read(azure)


@pytest.mark.parametrize("status", [400, 404, 409, 412])
async def test_a_refusal_is_final(azure: Azure, status: int) -> None:
    body = {"error": {"code": "Why", "message": "because"}}
    azure.cloud.faults.add(Fault(path="deployments/blue", status=status, body=body, headers={"Retry-After": "1"}))
    with pytest.raises(ArmError) as raised:
        await read(azure)
    assert (raised.value.status, raised.value.code, raised.value.message) == (status, "Why", "because")
    assert attempts(azure) == 1


async def test_a_403_names_the_missing_action_and_what_to_do(tmp_path: Path) -> None:
    roles = tmp_path / "roles.json"
    roles.write_text(json.dumps({"actions": [], "dataActions": []}))
    async with running_azure(roles=roles) as azure:
        with pytest.raises(ArmError) as raised:
            await read(azure)
    action = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read"
    assert raised.value.missing_action == action
    assert f"grant '{action}'" in str(raised.value)


async def test_an_answer_that_is_not_json_is_no_answer(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=200, body=b"<html>maintenance</html>"))
    with pytest.raises(ArmError, match="not a JSON object"):
        await read(azure)


async def test_lists_are_followed_page_by_page() -> None:
    queues = [f"q{number}" for number in range(230)]
    namespace = {"name": "wide", "group": "rg-ml", "region": "westeurope", "queues": queues}
    estate = {"subscriptions": [{"id": NAMESPACE.split("/")[2], "namespaces": [namespace]}]}
    async with running_azure(estate) as azure:
        path = f"{NAMESPACE.rsplit('/', 1)[0]}/wide/queues"
        names = [row["name"] async for page in azure.arm.pages(path, api.SERVICE_BUS) for row in page["value"]]
    assert names == queues


async def test_pages_that_go_in_a_circle_are_an_error_and_no_loop(azure: Azure) -> None:
    path = f"{NAMESPACE}/queues"
    link = f"https://management.azure.com{path}?api-version={api.SERVICE_BUS}&$skip=1"
    azure.cloud.faults.add(Fault(path="/queues", status=200, body={"value": [], "nextLink": link}, times=9))
    with pytest.raises(ArmError, match="named twice"):
        [page async for page in azure.arm.pages(path, api.SERVICE_BUS)]
    assert azure.count("GET", "/queues") == 2


async def test_a_next_page_elsewhere_is_not_fetched(azure: Azure) -> None:
    body = {"value": [], "nextLink": "https://evil.example/queues"}
    azure.cloud.faults.add(Fault(path="/queues", status=200, body=body))
    with pytest.raises(ForeignUrl):
        [page async for page in azure.arm.pages(f"{NAMESPACE}/queues", api.SERVICE_BUS)]
    assert azure.cloud.refused_hosts == []


async def test_a_query_by_post_is_a_read_and_tried_again(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(method="POST", status=503))
    azure.cloud.faults.add(Fault(method="POST", withhold="close"))
    query = {"query": "resources | project id | order by id asc"}
    reply = await azure.arm.post_query("/providers/Microsoft.ResourceGraph/resources", api.RESOURCE_GRAPH, query)
    assert reply.body["count"] > 0
    assert azure.count("POST", "/resources") == 3
    assert azure.mutations() == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://management.azure.com/subscriptions/x",
        "https://management.azure.com.evil.example/x",
        "https://evil.example/management.azure.com",
        "https://me@management.azure.com/x",
        "https://management.azure.com:8443/x",
        "https://westeurope.management.azure.com/x",
        "https://[broken/x",
        "/subscriptions/x",
        "",
    ],
)
async def test_our_token_goes_to_azure_resource_manager_only(azure: Azure, url: str) -> None:
    with pytest.raises(ForeignUrl, match="refused"):
        await azure.arm.get_url(url)
    assert len(azure.cloud.requests) == 0


async def test_a_redirect_is_not_followed(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=307, headers={"Location": "https://evil.example/"}))
    with pytest.raises(ArmError, match="a redirect, which is not followed"):
        await read(azure)
    assert azure.cloud.refused_hosts == []


# ---- changes are sent once


@pytest.mark.parametrize("status", [307, 308, 401, 408, 409, 412, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_change_is_sent_once_whatever_the_status(azure: Azure, status: int, when: Any) -> None:
    location = f"https://management.azure.com{BLUE.arm_id}?api-version={api.MACHINE_LEARNING}"
    headers = {"Retry-After": "0", "Location": location} | CHALLENGE
    azure.cloud.faults.add(Fault(method="PATCH", status=status, when=when, headers=headers, times=9))
    with pytest.raises(ArmError) as raised:
        await change(azure)
    assert raised.value.status == status
    assert azure.mutations() == 1


@pytest.mark.parametrize("kept_alive", [False, True], ids=["new connection", "kept-alive connection"])
@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_change_whose_answer_is_lost_is_not_sent_again(azure: Azure, when: Any, kept_alive: bool) -> None:
    if kept_alive:
        await read(azure)
    azure.cloud.faults.add(Fault(method="PATCH", withhold="close", when=when, times=9))
    with pytest.raises(ArmUnreachable, match="no answer to PATCH"):
        await change(azure)
    assert azure.mutations() == 1


async def test_a_change_that_is_never_answered_is_given_up_and_not_sent_again(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(method="PATCH", withhold="hang", when="after", times=9))
    credential = make_credential(identity_endpoint="managed", client_id="")
    async with credential, Arm(credential, sleep=azure.pauses, read_timeout_s=0.3) as impatient:
        with pytest.raises(ArmUnreachable):
            await change(azure, impatient)
    assert azure.mutations() == 1


async def test_a_change_carries_its_request_id(azure: Azure) -> None:
    assert await change(azure) == 202
    [record] = azure.cloud.mutations()
    assert record.client_request_id == "request-1"
    assert record.body == BODY


# ---- tokens


async def test_a_read_answers_the_challenge_for_a_new_token(azure: Azure) -> None:
    await read(azure)
    azure.cloud.faults.add(Fault(method="GET", path="deployments/blue", status=401, headers=CHALLENGE))
    assert await read(azure) == 2
    assert azure.count("GET", "/msi/token") == 2


async def test_a_change_leaves_the_new_token_for_the_next_request(azure: Azure) -> None:
    await read(azure)
    azure.cloud.faults.add(Fault(method="PATCH", status=401, headers=CHALLENGE))
    with pytest.raises(ArmError):
        await change(azure)
    assert azure.count("GET", "/msi/token") == 2
    assert await change(azure) == 202
    assert azure.mutations() == 2


async def test_a_token_that_azure_refuses_before_its_time_is_not_used_again(azure: Azure) -> None:
    await read(azure)
    azure.cloud.identity.expire_tokens()
    assert await read(azure) == 2
    azure.cloud.identity.expire_tokens()
    with pytest.raises(ArmError):
        await change(azure)
    assert await change(azure) == 202
    assert azure.mutations() == 2


async def test_without_a_token_nothing_is_sent_and_that_is_said(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(host="identity", status=400, times=99))
    with pytest.raises(ArmError, match="nothing was sent") as raised:
        await change(azure)
    assert raised.value.status == 401
    assert azure.mutations() == 0


async def test_tokens_are_not_logged(azure: Azure, caplog: pytest.LogCaptureFixture) -> None:
    tokens: list[str] = []
    azure.cloud.faults.add(
        Fault(method="GET", path="blue", on_hit=lambda call: tokens.append(call.headers["Authorization"]))
    )
    with caplog.at_level(logging.DEBUG):
        await read(azure)
    [token] = tokens
    assert "deployments/blue" in caplog.text
    assert token.removeprefix("Bearer ") not in caplog.text


# ---- how long to wait


@given(st.floats(min_value=0, max_value=1e6))
def test_retry_after_in_seconds(seconds: float) -> None:
    assert retry_after_s({"retry-after": repr(seconds)}) == seconds
    assert retry_after_s({"retry-after-ms": repr(seconds)}) == pytest.approx(seconds / 1000)


def test_retry_after_as_a_date_counts_from_the_answers_own_date() -> None:
    headers = {"retry-after": "Mon, 05 Jan 2026 10:00:30 GMT", "date": "Mon, 05 Jan 2026 10:00:00 GMT"}
    assert retry_after_s(headers) == 30


@given(st.text(), st.text())
def test_no_header_breaks_the_client(value: str, date: str) -> None:
    for name in ("retry-after", "retry-after-ms", "x-ms-user-quota-resets-after"):
        pause = retry_after_s({name: value, "date": date, "x-ms-user-quota-remaining": "0"})
        assert pause is None or pause >= 0


def test_a_used_up_graph_quota_says_when_it_resets() -> None:
    assert retry_after_s({"x-ms-user-quota-remaining": "0", "x-ms-user-quota-resets-after": "00:01:05"}) == 65
    assert retry_after_s({"x-ms-user-quota-remaining": "3", "x-ms-user-quota-resets-after": "00:00:05"}) is None


def test_every_failure_is_one_kind() -> None:
    assert issubclass(ArmThrottled, ArmError)
    assert all(issubclass(kind, ArmFailure) for kind in (ArmError, ArmUnreachable, ForeignUrl))
