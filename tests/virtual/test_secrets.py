"""Secrets in the running app: what operators see of them, dropped caches, and people told before one runs out."""

from datetime import datetime, timedelta
from typing import Any

from local.world import LINK_KEY
from shared.domain import Notice
from tests.virtual.arena import Arena
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


async def shown(arena: Arena) -> Any:
    (secret,) = (await arena.call("GET", "secrets", status=200))["secrets"]
    return secret


async def told(arena: Arena) -> list[Notice]:
    """Notices of secrets, in no order."""
    until = arena.clock.now() + timedelta(seconds=1)
    page = await arena.made.stores.outbox.query(since=arena.opened_at, until=until, kind="secret_near_expiry")
    return [posted.notice for posted in page.notices]


async def look(arena: Arena) -> str:
    """The daily chore, now; what it said."""
    reports = (await arena.call("POST", "upkeep/run", {"chore": "secret_expiry"}, status=202))["ran"]
    (ran,) = [report for report in reports if report["chore"] == "secret_expiry"]
    assert not ran["failed"], ran
    return str(ran["said"])


async def test_operators_see_everything_but_the_value(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        answer = await arena.call("GET", "secrets", status=200)
        assert answer == {"vault": "https://demo-kv.vault.azure.net", "secrets": []}
        value = (await arena.made.secrets.get(LINK_KEY)).reveal()
        (version,) = arena.world.vault.secrets[LINK_KEY]
        secret = await shown(arena)
        assert (secret["name"], secret["version"], secret["usable"]) == (LINK_KEY, version.id, True)
        assert secret["age_s"] == 0.0
        assert secret["expires_on"] is None
        assert value not in str(await arena.call("GET", "secrets"))
        arena.world.vault.change(LINK_KEY, "", arena.clock.now(), enabled=False)
        await arena.control("POST", "caches/drop", name="secrets")
        secret = await shown(arena)
        assert secret["usable"] is False
        assert "disabled" in secret["error"]


async def test_an_operator_drops_a_cache_and_it_is_recorded(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        first = await arena.made.secrets.get(LINK_KEY)
        second = arena.world.vault.set(LINK_KEY, "another key, long enough to sign with", arena.clock.now())
        assert (await arena.made.secrets.get(LINK_KEY)).version == first.version
        answer = await arena.control("POST", "caches/drop", name="secrets")
        assert answer == {"dropped": ["secrets"], "everywhere_within_s": 5.0}
        assert (await arena.made.secrets.get(LINK_KEY)).version == second.id
        (entry,) = await arena.entries("control")
        assert "dropped caches: secrets" in str(entry.body)
        caches = {cache["name"]: cache for cache in (await arena.call("GET", "caches", status=200))["caches"]}
        assert set(caches) == {"autoscale", "quota", "secrets", "vm_sizes"}
        assert (caches["secrets"]["generation"], caches["secrets"]["last_dropped"]["by"]) == (1, "ada")
        assert caches["quota"]["last_dropped"] is None
        problem = await arena.call("POST", "caches/drop", {"name": "nothing", "reason": "r", "by": "b"}, status=404)
        assert "autoscale, quota, secrets, vm_sizes, all" in problem["detail"]


async def test_a_dropped_quota_is_read_again_by_the_next_look(open_arena: OpenArena) -> None:
    async with open_arena() as arena:

        def reads() -> int:
            return sum(record.path.endswith(("/usages", "/vmSizes")) for record in arena.world.cloud.requests)

        await arena.evaluate()
        before = reads()
        await arena.evaluate()
        assert reads() == before
        await arena.control("POST", "caches/drop", name="all")
        await arena.evaluate()
        assert reads() == before + 2


async def test_people_hear_once_a_version_before_a_secret_runs_out(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        ends = arena.clock.now() + timedelta(days=29)
        arena.world.vault.change(LINK_KEY, "", arena.clock.now(), expires_on=ends)
        assert await look(arena) == "", "nobody uses it"
        await arena.made.secrets.get(LINK_KEY)
        assert "expires on" in await look(arena)
        await look(arena)
        (notice,) = await told(arena)
        assert (notice.severity, notice.facts["secret"]) == ("warning", LINK_KEY)
        assert f"{ends:%Y-%m-%d %H:%M}" in notice.text
        assert [entry.id for entry in await arena.entries("notice")] == [notice.id]
        new = arena.world.vault.set(
            LINK_KEY, "a new key, long enough to sign", arena.clock.now(), expires_on=ends + timedelta(days=1)
        )
        await arena.control("POST", "caches/drop", name="secrets")
        await look(arena)
        assert {one.facts["version"] for one in await told(arena)} == {notice.facts["version"], new.id}


async def test_an_expired_secret_is_told_and_a_vault_that_is_away_is_not(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        await arena.made.secrets.get(LINK_KEY)
        arena.fault("GET", "/secrets/", host="vault", status=503, times=99)
        await arena.control("POST", "caches/drop", name="secrets")
        assert "503" in await look(arena)
        assert await told(arena) == []
        arena.world.cloud.faults.clear()
        arena.world.vault.change(LINK_KEY, "", arena.clock.now(), expires_on=arena.clock.now())
        await arena.pass_time(60)
        assert "expired" in await look(arena)
        (notice,) = await told(arena)
        assert (notice.severity, notice.subject) == (
            "critical",
            f"Secret {LINK_KEY} of vault demo-kv cannot be used",
        )


async def test_a_version_that_the_vault_announces_is_used_at_once_and_recorded(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        first = await arena.made.secrets.get(LINK_KEY)
        version = arena.world.vault.set(LINK_KEY, "another key, long enough to sign with", arena.clock.now())
        event = vault_event(arena, "SecretNewVersionCreated", version.id)
        for _ in range(2):
            await arena.call("POST", "alerts", event, status=202)
        assert (await arena.made.secrets.get(LINK_KEY)).version == version.id != first.version
        (entry,) = await arena.entries("signal")
        assert "key_vault.secret_new_version" in str(entry.body)
        (generation,) = (await arena.made.watch.generations.load()).values()
        assert (generation.name, generation.number) == (f"secret:demo-kv/{LINK_KEY}", 1), "the repetition did nothing"


async def test_what_the_vault_says_of_expiry_is_told_once_a_version(open_arena: OpenArena) -> None:
    async with open_arena() as arena:
        ends = arena.clock.now() + timedelta(days=29)
        arena.world.vault.change(LINK_KEY, "", arena.clock.now(), expires_on=ends)
        secret = await arena.made.secrets.get(LINK_KEY)
        for what in ("SecretNearExpiry", "SecretNearExpiry"):
            await arena.call("POST", "alerts", vault_event(arena, what, secret.version, ends), status=202)
        await look(arena)
        (near,) = await told(arena)
        assert [entry.id for entry in await arena.entries("notice")] == [near.id]
        assert (near.severity, near.facts["version"]) == ("warning", secret.version)
        await arena.call("POST", "alerts", vault_event(arena, "SecretExpired", secret.version), status=202)
        assert sorted(notice.severity for notice in await told(arena)) == ["critical", "warning"]
        foreign = vault_event(arena, "SecretNearExpiry", secret.version, ends, vault="another-kv")
        await arena.call("POST", "alerts", foreign, status=202)
        assert len(await told(arena)) == 2


def vault_event(
    arena: Arena, what: str, version: str, ends: datetime | None = None, vault: str = "demo-kv"
) -> dict[str, Any]:
    """The vault's event about a version: made again, it is the same event."""
    return {
        "id": f"{what}-{version}-{vault}",
        "topic": f"/subscriptions/s/resourceGroups/demo/providers/Microsoft.KeyVault/vaults/{vault}",
        "subject": LINK_KEY,
        "eventType": f"Microsoft.KeyVault.{what}",
        "eventTime": arena.clock.now().isoformat(),
        "dataVersion": "1",
        "data": {
            "Id": f"https://{vault}.vault.azure.net/secrets/{LINK_KEY}/{version}",
            "VaultName": vault,
            "ObjectType": "Secret",
            "ObjectName": LINK_KEY,
            "Version": version,
            "NBF": None,
            "EXP": None if ends is None else ends.timestamp(),
        },
    }
