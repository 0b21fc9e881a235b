"""The managed identity, through azure-identity's own client."""

import asyncio
import base64
import json
import time
from typing import Any

import pytest
from azure.core.exceptions import AzureError, ClientAuthenticationError
from azure.identity import CredentialUnavailableError
from azure.identity.aio import ManagedIdentityCredential

from local.cloud import Cloud
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, StartCloud

ARM = "https://management.azure.com/.default"


def claims(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


async def test_a_token_names_its_audience_and_lives_in_real_time(cloud: Cloud) -> None:
    async with ManagedIdentityCredential() as credential:
        token = await credential.get_token(ARM)
    assert claims(token.token)["aud"] == "https://management.azure.com"
    assert token.expires_on == pytest.approx(time.time() + 86_400, abs=30)
    (asked,) = [record for record in cloud.requests if record.host == "identity"]
    assert asked.query == {"api-version": "2019-08-01", "resource": "https://management.azure.com"}


async def test_a_user_assigned_identity_is_another_principal(start_cloud: StartCloud) -> None:
    client_id, object_id = "11f4b6c8-0a55-4c0e-9f6d-5a4d5f4f2c01", "22f4b6c8-0a55-4c0e-9f6d-5a4d5f4f2c02"
    await start_cloud(user_assigned_identities={client_id: object_id})
    async with ManagedIdentityCredential(client_id=client_id) as credential:
        assert claims((await credential.get_token(ARM)).token)["oid"] == object_id
    async with ManagedIdentityCredential(client_id="unknown") as credential:
        with pytest.raises(ClientAuthenticationError, match="unknown"):
            await credential.get_token(ARM)


async def test_a_wrong_header_gets_no_token(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IDENTITY_HEADER", "guess")
    async with ManagedIdentityCredential() as credential:
        with pytest.raises((ClientAuthenticationError, CredentialUnavailableError)):
            await credential.get_token(ARM)


async def refused(arm: ArmClient, token: str) -> tuple[int, str]:
    class Fixed:
        async def get_token(self, *_scopes: str, **_options: Any) -> Any:
            return type("Token", (), {"token": token, "expires_on": int(time.time()) + 3600})()

        async def close(self) -> None: ...

    async with ArmClient(Fixed()) as client:  # type: ignore[arg-type]  # a credential with a token of the test's own
        response = await client.send("GET", BLUE)
    return response.status_code, response.json()["error"]["code"]


async def test_tokens_that_are_not_good_are_refused_with_a_challenge(cloud: Cloud, arm: ArmClient) -> None:
    good = (await arm.credential.get_token(ARM)).token
    other_audience = (await arm.credential.get_token("https://vault.azure.net/.default")).token
    assert await refused(arm, good + "x") == (401, "InvalidAuthenticationToken")
    assert await refused(arm, "abc") == (401, "InvalidAuthenticationToken")
    assert await refused(arm, other_audience) == (401, "InvalidAuthenticationTokenAudience")


async def test_an_expired_token_is_refused_and_a_new_one_helps(cloud: Cloud, arm: ArmClient) -> None:
    assert (await arm.send("GET", BLUE)).status_code == 200
    cloud.identity.expire_tokens()
    expired = await arm.send("GET", BLUE)
    assert (expired.status_code, expired.json()["error"]["code"]) == (401, "ExpiredAuthenticationToken")
    assert expired.headers["WWW-Authenticate"].startswith("Bearer ")
    async with ArmClient() as fresh:
        assert (await fresh.send("GET", BLUE)).status_code == 200


async def test_a_token_that_has_run_out_is_fetched_again(start_cloud: StartCloud) -> None:
    cloud: Cloud = await start_cloud(token_lifetime_s=2)
    async with ArmClient() as arm:
        assert (await arm.send("GET", BLUE)).status_code == 200
        await asyncio.sleep(2)
        assert (await arm.send("GET", BLUE)).status_code == 200
    assert sum(record.host == "identity" for record in cloud.requests) == 2


async def test_a_host_that_is_not_azures_is_refused_and_seen(cloud: Cloud, arm: ArmClient) -> None:
    with pytest.raises(AzureError, match="Not a host of the local Azure"):
        await arm.send("GET", "https://example.com/")
    assert cloud.refused_hosts == ["example.com"]
