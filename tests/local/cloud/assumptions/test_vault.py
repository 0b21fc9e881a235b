"""Of Key Vault: what a client sees under each value."""

import aiohttp
import pytest
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError, ServiceResponseError
from azure.identity.aio import ManagedIdentityCredential
from azure.keyvault.secrets.aio import SecretClient

from local.cloud import Cloud


def reader(cloud: Cloud, vault: str = "notes-kv") -> tuple[ManagedIdentityCredential, SecretClient]:
    credential = ManagedIdentityCredential()
    return credential, SecretClient(f"https://{vault}.vault.azure.net", credential, retry_total=0)


async def test_vault_throttled_retry_after(notes: Cloud) -> None:
    credential, client = reader(notes)
    async with credential, client:
        for _ in range(2):
            await client.get_secret("door")
        for value in ("present", "absent"):
            notes.assumptions["vault.throttled_retry_after"] = value
            with pytest.raises(HttpResponseError) as caught:
                await client.get_secret("door")
            assert caught.value.status_code == 429
            assert ("Retry-After" in caught.value.response.headers) == (value == "present")  # type: ignore[union-attr]


async def test_vault_revoked_token(notes: Cloud) -> None:
    async with ManagedIdentityCredential() as credential, aiohttp.ClientSession() as http:
        old = (await credential.get_token("https://vault.azure.net/.default")).token
        notes.identity.expire_tokens()
        url, headers = (
            "https://notes-kv.vault.azure.net/secrets/door?api-version=7.4",
            {"Authorization": f"Bearer {old}"},
        )
        for value in ("claims_challenge", "plain_challenge"):
            notes.assumptions["vault.revoked_token"] = value
            async with http.get(url, headers=headers, proxy=notes.environment()["HTTPS_PROXY"]) as answer:
                assert answer.status == 401
                assert ("claims=" in answer.headers["WWW-Authenticate"]) == (value == "claims_challenge")


async def test_vault_deleted_address(notes: Cloud) -> None:
    credential, client = reader(notes, "deleted-kv")
    async with credential, client:
        notes.assumptions["vault.deleted_address"] = "no_address"
        with pytest.raises(ServiceResponseError):
            await client.get_secret("door")
        notes.assumptions["vault.deleted_address"] = "answers_404"
        with pytest.raises(ResourceNotFoundError):
            await client.get_secret("door")
