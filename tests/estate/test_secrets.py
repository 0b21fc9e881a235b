"""Secrets from a vault: kept, read anew when they must be, used a while longer when the vault is away, never shown."""

import asyncio
import copy
import dataclasses
import json
import pickle
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from local.cloud import Fault
from local.cloud.rights import Rights
from local.cloud.throttling import BucketSizes
from shared.assumptions import BY_NAME
from shared.estate.secret_failures import (
    NoVault,
    SecretFailure,
    SecretMissing,
    SecretRefused,
    SecretUnusable,
    VaultUnreachable,
)
from shared.estate.secrets import REFETCH_EVERY_S, SecretReader
from tests.estate.vaults import CHECK_S, STALE_S, TTL_S, Keeping, another_reader, keeping

VAULT_HOST = r"vault\.azure\.net"


@pytest.fixture
async def kept(azurite: str) -> AsyncIterator[Keeping]:
    async with keeping(azurite) as opened:
        yield opened


def vault_fault(kept: Keeping, **options: Any) -> Fault:
    # The challenge of a first request has no token and passes: facts/arm.md section 3.
    return kept.azure.cloud.faults.add(Fault(host=VAULT_HOST, **({"times": 9999} | options)))


async def failure_of(kept: Keeping, name: str = "link-key") -> SecretFailure:
    with pytest.raises(SecretFailure) as caught:
        await kept.reader.get(name)
    return caught.value


async def test_a_value_is_read_once_for_all_who_ask_and_anew_after_its_time(kept: Keeping) -> None:
    secrets = await asyncio.gather(*(kept.reader.get("link-key") for _ in range(100)))
    assert {secret.reveal() for secret in secrets} == {"first-value"}
    assert kept.asked() == 1
    kept.rotate("link-key", "second-value")
    await kept.azure.clock.advance(TTL_S - 1)
    assert (await kept.reader.get("link-key")).reveal() == "first-value"
    await kept.azure.clock.advance(1)
    assert (await kept.reader.get("link-key")).reveal() == "second-value"
    assert kept.asked() == 2


async def test_a_secret_shows_its_name_and_version_and_never_its_value(kept: Keeping) -> None:
    secret = await kept.reader.get("link-key")
    assert secret.version in repr(secret)
    for text in (repr(secret), str(secret), f"{secret}", f"{[secret]}", repr(dataclasses.asdict(secret))):
        assert "first-value" not in text
    for store in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="link-key"):
            store(secret)
    with pytest.raises(TypeError):
        json.dumps(secret)
    with pytest.raises(dataclasses.FrozenInstanceError):
        secret.version = "another"  # type: ignore[misc]


async def test_the_newest_versions_that_may_be_used_the_newest_first(kept: Keeping) -> None:
    for value in ("second", "third"):
        await kept.azure.minutes(1)
        kept.rotate("link-key", value)
    assert [secret.reveal() for secret in await kept.reader.versions("link-key")] == ["third", "second"]
    await kept.azure.minutes(1)
    kept.rotate("link-key", "disabled", enabled=False)
    await kept.azure.minutes(1)
    kept.rotate("link-key", "future", not_before=kept.azure.now() + timedelta(days=1))
    await kept.azure.minutes(1)
    kept.rotate("link-key", "short", expires_on=kept.azure.now() + timedelta(minutes=5))
    await kept.azure.clock.advance(TTL_S)
    usable = await kept.reader.versions("link-key", newest=9)
    assert [secret.reveal() for secret in usable] == ["third", "second", "first-value"]


async def test_an_old_version_is_not_used_beyond_its_expiry_though_it_is_kept(kept: Keeping) -> None:
    await kept.azure.minutes(1)
    kept.rotate("link-key", "short", expires_on=kept.azure.now() + timedelta(seconds=60))
    assert (await kept.reader.get("link-key")).reveal() == "short"
    assert len(await kept.reader.versions("link-key")) == 2
    await kept.azure.minutes(1)
    failure = await failure_of(kept)
    assert isinstance(failure, SecretUnusable)
    assert "expired at" in str(failure)
    assert [secret.reveal() for secret in await kept.reader.versions("link-key")] == ["first-value"]
    before = kept.asked()
    assert isinstance(await failure_of(kept), SecretUnusable)
    assert kept.asked() == before, "a secret that ran out is no storm on the vault"


async def test_a_caller_that_was_refused_gets_the_new_version_and_a_storm_asks_once(kept: Keeping) -> None:
    await kept.reader.get("link-key")
    kept.rotate("link-key", "second")
    found = await asyncio.gather(*(kept.reader.refetch("link-key", "the webhook answered 401") for _ in range(50)))
    assert {secret.reveal() for secret in found} == {"second"}
    assert kept.asked() == 2
    kept.rotate("link-key", "third")
    assert (await kept.reader.refetch("link-key", "again")).reveal() == "second", "too early"
    await kept.azure.clock.advance(REFETCH_EVERY_S)
    assert (await kept.reader.refetch("link-key", "again")).reveal() == "third"


async def test_what_one_caller_found_out_reaches_another_process(azurite: str) -> None:
    async with keeping(azurite, prefix="Sshared1") as here, another_reader(here.azure, azurite, "Sshared1") as there:
        assert [(await one.reader.get("link-key")).reveal() for one in (here, there)] == ["first-value"] * 2
        here.rotate("link-key", "second")
        await here.reader.refetch("link-key", "401")
        assert (await there.reader.get("link-key")).reveal() == "first-value"
        await here.azure.clock.advance(CHECK_S)
        assert (await there.reader.get("link-key")).reveal() == "second"


async def test_an_announced_version_reaches_every_process_within_the_check_interval(azurite: str) -> None:
    async with keeping(azurite, prefix="Sshared2") as here, another_reader(here.azure, azurite, "Sshared2") as there:
        for one in (here, there):
            await one.reader.versions("link-key")
        await here.azure.minutes(1)
        here.rotate("link-key", "second")
        await here.reader.announce("LINK-KEY", "SecretNewVersionCreated")
        assert (await here.reader.versions("link-key"))[0].reveal() == "second", "at once where it was heard"
        await here.azure.clock.advance(CHECK_S)
        assert (await there.reader.versions("link-key"))[0].reveal() == "second"


async def test_a_vault_that_is_away_is_waited_for_a_while_with_the_last_value(kept: Keeping) -> None:
    await kept.reader.get("link-key")
    fault = vault_fault(kept, withhold="close")
    await kept.azure.clock.advance(TTL_S)
    stale = await kept.reader.get("link-key")
    assert stale.reveal() == "first-value"
    assert "cannot be reached" in stale.stale_because
    (state,) = kept.reader.states()
    assert "cannot be reached" in state.error
    await kept.azure.clock.advance(STALE_S)
    assert isinstance(await failure_of(kept), VaultUnreachable)
    fault.times = 0
    await kept.azure.minutes(1)
    fresh = await kept.reader.get("link-key")
    assert (fresh.reveal(), fresh.stale_because) == ("first-value", "")
    assert kept.reader.states()[0].error == ""


@pytest.mark.parametrize(
    ("trouble", "words"),
    [
        ({"status": 503}, "503 InjectedFault"),
        ({"status": 429, "headers": {"Retry-After": "40"}}, "429"),
        ({"status": 200, "body": b'{"value": "canary'}, "the answer cannot be read"),
        ({"status": 200, "body": ["canary"]}, "the answer cannot be read"),
        ({"withhold": "close"}, "cannot be reached"),
    ],
)
async def test_no_answer_is_no_empty_secret_and_no_storm(kept: Keeping, trouble: dict[str, Any], words: str) -> None:
    fault = vault_fault(kept, **trouble)
    failure = await failure_of(kept)
    assert isinstance(failure, VaultUnreachable)
    assert words in str(failure)
    assert "canary" not in str(failure)
    assert failure.__context__ is None, "the client's exception may hold the answer"
    hits = fault.hits
    assert hits <= (6 if "withhold" in trouble else 3), "aiohttp repeats a GET whose connection was closed"
    await failure_of(kept)
    assert fault.hits == hits


async def test_no_role_says_which_role(kept: Keeping) -> None:
    await kept.reader.get("link-key")
    kept.azure.cloud.front_door.rights = Rights(["Microsoft.*"])
    await kept.azure.clock.advance(TTL_S)
    failure = await failure_of(kept)
    assert isinstance(failure, SecretRefused), "an answer of the vault: the last value is not used"
    assert "'Microsoft.KeyVault/vaults/secrets/getSecret/action'" in str(failure)
    assert "assign the role 'Key Vault Secrets User'" in str(failure)


async def test_an_old_token_is_renewed(kept: Keeping) -> None:
    await kept.reader.get("link-key")
    kept.azure.cloud.identity.expire_tokens()
    await kept.azure.clock.advance(TTL_S)
    assert (await kept.reader.get("link-key")).reveal() == "first-value"


async def test_an_identity_that_gives_no_token_is_not_the_vaults_answer(kept: Keeping) -> None:
    kept.azure.cloud.faults.add(Fault(host="identity", status=500, times=9999))
    failure = await failure_of(kept)
    assert isinstance(failure, VaultUnreachable)
    assert "token" in str(failure)


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("delete", SecretMissing, "recover it if it was deleted"),
        ("disable", SecretUnusable, "enable it, or create a new version"),
        ("expire", SecretUnusable, "expired at"),
        ("future", SecretUnusable, "is not active before"),
        ("empty", SecretUnusable, "is empty"),
    ],
)
async def test_what_must_not_be_used(kept: Keeping, how: str, kind: type[SecretFailure], words: str) -> None:
    (version,) = kept.vault.secrets["link-key"]
    now = kept.azure.now()
    match how:
        case "delete":
            kept.vault.delete("link-key")
        case "disable":
            version.enabled = False
        case "expire":
            version.expires_on = now
        case "future":
            version.not_before = now + timedelta(days=1)
        case "empty":
            version.value = ""
    failure = await failure_of(kept)
    assert type(failure) is kind
    assert words in str(failure)
    assert "'link-key' of vault watch-kv" in str(failure)


async def test_names_and_vaults_that_cannot_be(kept: Keeping, azurite: str) -> None:
    assert isinstance(await failure_of(kept, "../keys"), SecretUnusable)
    assert isinstance(await failure_of(kept, "unknown"), SecretMissing)
    without = SecretReader(None, kept.watch, kept.uses, kept.azure.now, ttl_s=TTL_S, stale_s=STALE_S)
    with pytest.raises(NoVault, match="WATCHKEEPER_VAULT_URL"):
        await without.get("link-key")
    gone = "https://gone-kv.vault.azure.net"
    async with another_reader(kept.azure, azurite, "Sgone", gone) as lost:
        assert "vault gone-kv cannot be reached" in str(await failure_of(lost))


async def test_which_secrets_are_in_use_is_known_to_every_process(kept: Keeping) -> None:
    await kept.reader.get("link-key")
    await kept.reader.versions("Link-Key")
    with pytest.raises(SecretMissing):
        await kept.reader.get("unknown")
    in_use = await kept.uses.since("watch-kv", kept.azure.now() - timedelta(days=1))
    assert [(use.name, use.used_at) for use in in_use] == [("link-key", kept.azure.now())]
    await kept.azure.clock.advance(2 * 86_400)
    assert await kept.uses.since("watch-kv", kept.azure.now() - timedelta(days=1)) == ()
    await kept.reader.get("link-key")
    (again,) = await kept.uses.since("watch-kv", kept.azure.now() - timedelta(days=1))
    assert again.used_at == kept.azure.now()


@pytest.mark.parametrize("header", BY_NAME["vault.throttled_retry_after"].values)
async def test_while_the_vault_slows_its_callers_down_the_last_value_is_used(azurite: str, header: str) -> None:
    options: dict[str, Any] = {
        "assumptions": {"vault.throttled_retry_after": header},
        "buckets": BucketSizes(vault_reads=1, vault_window_s=60),
    }
    async with keeping(azurite, **options) as kept:
        assert (await kept.reader.get("link-key")).stale_because == ""
        await kept.azure.clock.advance(TTL_S)
        assert (await kept.reader.get("link-key")).stale_because == ""
        kept.reader._cached.forget()
        found = await kept.reader.get("link-key")
        assert "429" in found.stale_because
        await kept.azure.clock.advance(60)
        kept.reader._cached.forget()
        assert (await kept.reader.get("link-key")).stale_because == ""


@pytest.mark.parametrize("challenge", BY_NAME["vault.revoked_token"].values)
async def test_a_revoked_token_is_renewed_where_the_vault_asks_for_it_and_else_says_so(
    azurite: str, challenge: str
) -> None:
    async with keeping(azurite, assumptions={"vault.revoked_token": challenge}) as kept:
        await kept.reader.get("link-key")
        kept.azure.cloud.identity.expire_tokens()
        kept.reader._cached.forget()
        if challenge == "claims_challenge":
            assert (await kept.reader.get("link-key")).stale_because == ""
        else:
            assert "managed identity" in str(await failure_of(kept))


@pytest.mark.parametrize(("address", "failure"), [("no_address", VaultUnreachable), ("answers_404", SecretMissing)])
async def test_a_vault_that_is_gone(azurite: str, address: str, failure: type[SecretFailure]) -> None:
    options: dict[str, Any] = {
        "url": "https://gone-kv.vault.azure.net",
        "assumptions": {"vault.deleted_address": address},
    }
    async with keeping(azurite, **options) as kept:
        assert type(await failure_of(kept)) is failure
