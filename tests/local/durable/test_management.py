"""The management API over real HTTP, with the status codes of the extension."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from local.host.durable.management import PREFIX, ManagementApi
from tests.local.durable.conftest import Running

KEY = {"code": "sesame"}


@dataclass
class Api:
    http: TestClient[web.Request, web.Application]
    running: Running

    async def call(self, method: str, path: str, **how: Any) -> tuple[int, Any]:
        """Call, let everything happen that needs no time; status and body."""
        query = KEY | how.pop("params", {})
        async with self.http.request(method, PREFIX + path, params=query, **how) as response:
            body = await (response.json() if response.content_type == "application/json" else response.text())
        await self.running.clock.settle()
        return response.status, body


@pytest.fixture
async def api(running: Running) -> AsyncIterator[Api]:
    app = web.Application()
    ManagementApi(running.extension.client, lambda request: request.query.get("code") == KEY["code"]).add_to(app)
    async with TestClient(TestServer(app, host="127.0.0.1")) as http:
        yield Api(http, running)


async def waiting(api: Api) -> str:
    return (await api.running.run("wait")).instance_id


async def finished(api: Api, name: str = "chain", data: Any = 3) -> str:
    return (await api.running.run(name, data)).instance_id


async def test_no_key_no_answer(api: Api) -> None:
    async with api.http.get(f"{PREFIX}/instances/{await waiting(api)}") as response:
        assert response.status == 401


async def test_running_is_202_with_where_and_when_to_look_again(api: Api) -> None:
    path = f"{PREFIX}/instances/{await waiting(api)}"
    async with api.http.get(path, params=KEY) as response:
        assert response.status == 202
        assert response.headers["Location"] == str(response.url)
        assert response.headers["Retry-After"] == "5"
        body = await response.json()
    assert (body["name"], body["runtimeStatus"], body["customStatus"]) == ("wait", "Running", "waiting")
    assert body["createdTime"] == "2031-05-01T12:00:00Z"


async def test_finished_is_200(api: Api) -> None:
    status, body = await api.call("GET", f"/instances/{await finished(api)}")
    assert (status, body["runtimeStatus"], body["input"], body["output"]) == (200, "Completed", 3, 12)
    status, body = await api.call("GET", f"/instances/{body['instanceId']}", params={"showInput": "false"})
    assert body["input"] is None


async def test_failed_is_200_and_500_only_when_asked_for(api: Api) -> None:
    path = f"/instances/{await finished(api, 'broken', None)}"
    status, body = await api.call("GET", path)
    assert (status, body["runtimeStatus"], body["output"]) == (200, "Failed", "no cores left")
    assert (await api.call("GET", path, params={"returnInternalServerErrorOnFailure": "true"}))[0] == 500


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/terminate"),
        ("POST", "/suspend"),
        ("POST", "/resume"),
        ("POST", "/rewind"),
        ("POST", "/raiseEvent/go"),
    ],
)
async def test_unknown_is_404(api: Api, method: str, path: str) -> None:
    assert (await api.call(method, f"/instances/nobody{path}", json=1))[0] == 404


@pytest.mark.parametrize("path", ["/terminate", "/suspend", "/resume", "/raiseEvent/go"])
async def test_what_needs_a_running_instance_is_410_for_a_finished_one(api: Api, path: str) -> None:
    assert (await api.call("POST", f"/instances/{await finished(api)}{path}", json=1))[0] == 410


async def test_an_event_reaches_its_orchestration(api: Api) -> None:
    path = f"/instances/{await waiting(api)}"
    assert (await api.call("POST", f"{path}/raiseEvent/go", data=b"1"))[0] == 400
    json_type = {"Content-Type": "application/json"}
    assert (await api.call("POST", f"{path}/raiseEvent/go", data=b"{", headers=json_type))[0] == 400
    assert (await api.call("POST", f"{path}/raiseEvent/go", json={"by": "ada"}))[0] == 202
    assert (await api.call("GET", path))[1]["output"] == {"by": "ada"}


async def test_terminate_ends_with_the_reason(api: Api) -> None:
    path = f"/instances/{await waiting(api)}"
    assert (await api.call("POST", f"{path}/terminate", params={"reason": "enough"}))[0] == 202
    status, body = await api.call("GET", path)
    assert (status, body["runtimeStatus"], body["output"]) == (200, "Terminated", "enough")


async def test_a_suspended_orchestration_takes_no_event_until_it_is_resumed(api: Api) -> None:
    path = f"/instances/{await waiting(api)}"
    assert (await api.call("POST", f"{path}/suspend"))[0] == 202
    assert (await api.call("POST", f"{path}/raiseEvent/go", json=1))[0] == 202
    status, body = await api.call("GET", path)
    assert (status, body["runtimeStatus"]) == (202, "Suspended")
    assert (await api.call("POST", f"{path}/resume"))[0] == 202
    assert (await api.call("GET", path))[1]["output"] == 1


async def test_purge_removes_what_is_finished_only(api: Api) -> None:
    assert (await api.call("DELETE", f"/instances/{await waiting(api)}"))[0] == 412
    path = f"/instances/{await finished(api)}"
    assert await api.call("DELETE", path) == (200, {"instancesDeleted": 1})
    assert (await api.call("GET", path))[0] == 404


async def test_restart_runs_the_same_input_again(api: Api) -> None:
    path = f"/instances/{await finished(api)}"
    status, links = await api.call("POST", f"{path}/restart")
    assert status == 202
    async with api.http.get(links["statusQueryGetUri"].partition(str(api.http.make_url("")))[2]) as response:
        assert (response.status, (await response.json())["output"]) == (200, 12)
    assert (await api.call("POST", "/instances/nobody/restart"))[0] == 400
    assert (await api.call("POST", f"/instances/{await waiting(api)}/restart"))[0] == 409


async def test_rewind_is_for_failed_instances(api: Api) -> None:
    assert (await api.call("POST", f"/instances/{await finished(api)}/rewind"))[0] == 412
    failed = await finished(api, "broken", None)
    assert (await api.call("POST", f"/instances/{failed}/rewind"))[0] == 202
    assert api.running.invoker.calls.count("broken") > 1


async def test_entities_are_signalled_read_and_deleted(api: Api) -> None:
    path = "/entities/ledger/gpu"
    assert (await api.call("GET", path))[0] == 404
    assert (await api.call("POST", path, params={"op": "add"}, json=5))[0] == 202
    assert await api.call("GET", path) == (200, 5)
    assert (await api.call("DELETE", path))[0] == 202
    assert (await api.call("GET", path))[0] == 404
    assert (await api.call("GET", "/entities/no@name/gpu"))[0] == 400
