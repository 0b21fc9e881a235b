"""The local Key Vault through the real client: versions, what is not handed out, challenges, rights, throttling."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceResponseError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.clock import VirtualClock
from local.cloud import BucketSizes, Cloud
from local.cloud.estate import Vault, subscription_id
from tests.local.cloud.conftest import ROLES, StartCloud

URL = "https://notes-kv.vault.azure.net"
VAULT = {"name": "notes-kv", "group": "rg-notes", "region": "westeurope", "secrets": {"door": "one"}}
DESCRIPTION: dict[str, Any] = {"subscriptions": [{"id": subscription_id(), "vaults": [VAULT]}]}
READS = 40


@dataclass
class Opened:
    cloud: Cloud
    client: SecretClient
    credential: ManagedIdentityCredential

    @property
    def vault(self) -> Vault:
        return self.cloud.estate.vault("notes-kv")

    async def value(self, version: str = "") -> str | None:
        return (await self.client.get_secret("door", version or None)).value

    async def refusal(self, version: str = "") -> tuple[int | None, str]:
        """Status and inner code."""
        with pytest.raises(HttpResponseError) as caught:
            await self.client.get_secret("door", version or None)
        error = json.loads(caught.value.response.text())["error"]  # type: ignore[union-attr]
        return caught.value.status_code, error.get("innererror", {}).get("code", error["code"])


@pytest.fixture
async def opened(start_cloud: StartCloud) -> AsyncIterator[Opened]:
    cloud = await start_cloud(DESCRIPTION, roles=ROLES, buckets=BucketSizes(vault_reads=READS))
    async with ManagedIdentityCredential() as credential, SecretClient(URL, credential, retry_total=0) as client:
        yield Opened(cloud, client, credential)


async def test_the_newest_version_and_any_other(opened: Opened, clock: VirtualClock) -> None:
    (first,) = opened.vault.secrets["door"]
    await clock.advance(60)
    second = opened.vault.set("door", "two", clock.now())
    assert (await opened.value(), await opened.value(first.id)) == ("two", "one")
    found = await opened.client.get_secret("DOOR")
    assert (found.properties.version, found.properties.created_on) == (second.id, clock.now())
    assert (await opened.refusal("0" * 32))[0] == 404


async def test_all_versions_in_pages_without_values(opened: Opened, clock: VirtualClock) -> None:
    for number in range(60):
        opened.vault.set("door", f"v{number}", clock.now() + timedelta(seconds=number))
    listed = [one async for one in opened.client.list_properties_of_secret_versions("door")]
    assert len({one.version for one in listed}) == 61
    pages = [r for r in opened.cloud.requests if r.path.endswith("/versions") and r.status == 200]
    assert len(pages) == 3
    assert {one.created_on for one in listed} >= {clock.now()}


async def test_what_is_not_handed_out(opened: Opened, clock: VirtualClock) -> None:
    opened.vault.change("door", "", clock.now(), enabled=False)
    assert await opened.refusal() == (403, "SecretDisabled")
    opened.vault.change("door", "", clock.now(), enabled=True, expires_on=clock.now() - timedelta(days=1))
    assert await opened.value() == "one", "Azure hands out what has expired: that is for the reader to respect"
    opened.vault.delete("door")
    assert await opened.refusal() == (404, "SecretNotFound")
    with pytest.raises(ValueError, match="deleted but recoverable"):
        opened.vault.set("door", "new", clock.now())
    opened.vault.recover("door")
    assert await opened.value() == "one"


async def test_a_request_without_a_token_is_told_the_audience(opened: Opened) -> None:
    proxy = opened.cloud.environment()["HTTPS_PROXY"]
    params = {"api-version": "7.4"}
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{URL}/secrets/door", params=params, proxy=proxy) as answer:
            assert answer.status == 401
            assert 'resource="https://vault.azure.net"' in answer.headers["WWW-Authenticate"]
        wrong = (await opened.credential.get_token("https://management.azure.com/.default")).token
        headers = {"Authorization": f"Bearer {wrong}"}
        async with http.get(f"{URL}/secrets/door", params=params, headers=headers, proxy=proxy) as answer:
            assert answer.status == 401
            assert "wrong audience" in (await answer.json())["error"]["message"]


async def test_rights_are_data_actions(start_cloud: StartCloud, tmp_path: Path) -> None:
    roles = json.loads(ROLES.read_text(encoding="utf-8"))
    roles["actions"] += roles.pop("dataActions")
    path = tmp_path / "no-data.json"
    path.write_text(json.dumps(roles | {"dataActions": []}), encoding="utf-8")
    cloud = await start_cloud(DESCRIPTION, roles=path)
    async with ManagedIdentityCredential() as credential, SecretClient(URL, credential, retry_total=0) as client:
        assert await Opened(cloud, client, credential).refusal() == (403, "ForbiddenByRbac")


async def test_a_vault_slows_its_callers_down(opened: Opened, clock: VirtualClock) -> None:
    for _ in range(READS):
        await opened.value()
    with pytest.raises(HttpResponseError) as caught:
        await opened.value()
    assert caught.value.status_code == 429
    assert caught.value.response.headers["Retry-After"] == "10"  # type: ignore[union-attr]
    await clock.advance(10)
    assert await opened.value() == "one"


async def test_a_vault_that_does_not_exist_has_no_address(opened: Opened) -> None:
    async with SecretClient("https://other-kv.vault.azure.net", opened.credential, retry_total=0) as client:
        with pytest.raises(ServiceResponseError):
            await client.get_secret("door")


async def test_people_change_secrets_through_the_control_api(opened: Opened) -> None:
    async with aiohttp.ClientSession(opened.cloud.control_url) as control:

        async def post(path: str, **body: Any) -> tuple[int, Any]:
            async with control.post(path, json={"vault": "notes-kv", "name": "door"} | body) as answer:
                return answer.status, await answer.json() if answer.status != 204 else None

        status, made = await post("/vaults/set", value="two", expires_on="2030-01-01T00:00:00+00:00")
        assert status == 201
        found = await opened.client.get_secret("door")
        assert (found.value, found.properties.version) == ("two", made["version"])
        assert str(found.properties.expires_on) == "2030-01-01 00:00:00+00:00"
        assert (await post("/vaults/change", enabled=False))[0] == 204
        assert await opened.refusal() == (403, "SecretDisabled")
        assert (await post("/vaults/change", secret="x"))[0] == 400
        assert (await post("/vaults/delete"))[0] == 204
        with pytest.raises(ResourceNotFoundError):
            await opened.value()
        assert (await post("/vaults/recover"))[0] == 204
        assert (await post("/vaults/set", vault="unknown", value="x"))[0] == 404
