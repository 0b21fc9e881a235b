"""An hour in which secrets are used in every way and everything goes wrong once; what it produced is looked through.

The canaries: the key that signs links, in two versions, the URL of a webhook, an environment variable of a deployment,
and the tokens of the app's identity.
"""

import json
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from local.cloud import Fault
from local.cloud.identity import SIGNATURE
from local.world import DEPLOYMENT, LINK_KEY
from shared.domain import Notice
from tests.virtual.approvals import ADA, follow, gated, links
from tests.virtual.arena import Arena, policy_text
from tests.virtual.canary.search import (
    Canaries,
    LogTrap,
    look_at_blobs,
    look_at_exception,
    look_at_logs,
    look_at_orchestrations,
    look_at_tables,
)

KEY_1, KEY_2 = "canary-of-the-link-key-0001-Zq7/+", "canary-of-the-link-key-0002-Zq8/+"
HOOK_TOKEN = "canary-of-the-webhook-9f2c71d0"
HOOK = f"https://hooks.example.com/hooks/{HOOK_TOKEN}"
VARIABLE = "canary-of-an-environment-variable-5d1e"
HOOK_SECRET = "any-webhook"

CHANNELS = f"notices:\n  channels:\n    - {{name: any, kind: webhook, secret: {HOOK_SECRET}}}\n"
POLICY = policy_text(min=2, extra=gated(mail=False) + CHANNELS)
PAGES = (
    *("targets", "targets/chat", "ledger", "secrets", "caches", "ready", "health", "upkeep", "policy", "notices"),
    *("approvals", "signals", "signals/kinds", "quarantine", "policy/documents"),
)


def canaries_of(arena: Arena) -> Canaries:
    """Those of this world; its identity's secrets are made anew for each."""
    values = {"link key 1": KEY_1, "link key 2": KEY_2, "webhook": HOOK_TOKEN, "environment variable": VARIABLE}
    identity = arena.world.cloud.identity
    return Canaries(values | {"identity header": identity.secret, "token": f".{SIGNATURE}"})


@asynccontextmanager
async def trapped_logs() -> AsyncIterator[LogTrap]:
    """Everything that any logger says, down to DEBUG; the SDKs' too, which the app itself keeps at WARNING."""
    trap, root = LogTrap(), logging.getLogger()
    level = root.level
    root.addHandler(trap)
    root.setLevel(logging.DEBUG)
    try:
        yield trap
    finally:
        root.removeHandler(trap)
        root.setLevel(level)


async def live_through(arena: Arena, canaries: Canaries) -> None:
    """Use every secret, change the deployment, and fail in every way; what is raised and answered is looked at."""
    vault, now = arena.world.vault, arena.clock.now
    vault.secrets.pop(LINK_KEY, None)
    vault.set(LINK_KEY, KEY_1, now())
    vault.set(HOOK_SECRET, HOOK, now())
    arena.deployment().body["properties"]["environmentVariables"] |= {"API_TOKEN": VARIABLE}
    await _use(arena, canaries)
    await arena.pass_time(3600)
    vault.set(LINK_KEY, KEY_2, now())
    await _use(arena, canaries)
    await _vault_troubles(arena, canaries)
    await _azure_troubles(arena, canaries)
    await _approve(arena, canaries)
    await _webhook_troubles(arena)
    malformed = {"data": "nothing that we know " * 20_000}
    canaries.look("answers", "alerts", (await arena.request("POST", "alerts", json=malformed)).body)
    await _operators_look(arena, canaries)


async def _use(arena: Arena, canaries: Canaries) -> None:
    """As links and webhooks do, and as nobody should."""
    secrets = arena.made.secrets
    used = [await secrets.get(HOOK_SECRET), await secrets.refetch(LINK_KEY, "401"), *await secrets.versions(LINK_KEY)]
    assert {secret.reveal() for secret in used} & {KEY_1, KEY_2, HOOK}
    for secret in used:
        logging.getLogger("watchkeeper").warning("a careless line about %s and %r", secret, [secret])
        canaries.look("objects", "repr", f"{secret!r} {secret} {secrets.states()} {vars(secrets)!r}")
        await _failing(canaries, _spoilt(secret))


async def _spoilt(secret: object) -> None:
    raise RuntimeError(f"something went wrong with {secret}", secret)


async def _failing(canaries: Canaries, work: Awaitable[object], *, with_locals: bool = False) -> None:
    try:
        await work
    except Exception as error:
        logging.getLogger("watchkeeper").exception("it failed")
        look_at_exception(canaries, error, with_locals=with_locals)
    else:
        raise AssertionError("it did not fail")


async def _vault_troubles(arena: Arena, canaries: Canaries) -> None:
    """Refused, throttled, cut off, half an answer, another answer, an answer with another form; then away for good."""
    half = json.dumps({"value": KEY_2, "id": "https://x"}).encode()[:-1]
    troubles: list[dict[str, Any]] = [
        {"status": 403, "body": {"error": {"code": "Forbidden", "message": "no"}}},
        {"status": 401, "headers": {"WWW-Authenticate": 'Bearer realm=""'}},
        {"status": 429, "headers": {"Retry-After": "60"}},
        {"status": 500, "body": f"<html>{KEY_2}</html>".encode()},
        {"status": 200, "body": half},
        {"status": 200, "body": {"value": KEY_2, "id": 7, "attributes": "none"}},
        {"status": 200, "body": [KEY_2]},
        {"withhold": "close"},
    ]
    for trouble in troubles:
        fault = arena.world.cloud.faults.add(Fault(host="vault", times=99, **trouble))
        await arena.control("POST", "caches/drop", name="secrets")
        await _failing(canaries, arena.made.secrets.get(LINK_KEY), with_locals=True)
        await _failing(canaries, arena.made.secrets.versions(LINK_KEY), with_locals=True)
        fault.times = 0
    for change in ({"enabled": False}, {"enabled": True, "expires_on": arena.clock.now()}):
        arena.world.vault.change(LINK_KEY, "", arena.clock.now(), **change)
        await arena.control("POST", "caches/drop", name="secrets")
        await _failing(canaries, arena.made.secrets.get(LINK_KEY), with_locals=True)
    await arena.call("POST", "upkeep/run", {"chore": "all"}, status=202)
    arena.world.vault.change(LINK_KEY, "", arena.clock.now(), expires_on=None)
    await arena.control("POST", "caches/drop", name="secrets")


async def _azure_troubles(arena: Arena, canaries: Canaries) -> None:
    """Half of the deployment's document, and a refusal that repeats what was sent and what is there."""
    document = json.dumps({"properties": {"environmentVariables": {"API_TOKEN": VARIABLE}}}).encode()
    for status in (200, 500):
        arena.fault("GET", "deployments/blue", status, body=document[:-3], times=6)
        await _failing(canaries, arena.made.arm.get(DEPLOYMENT, "2024-10-01"))
        answer = await arena.request("POST", "evaluate", json={"target": "chat"})
        canaries.look("answers", "evaluate", answer.body)
        arena.world.cloud.faults.clear()


async def _approve(arena: Arena, canaries: Canaries) -> None:
    """A link is followed while the key cannot be had, with a wrong signature, and as it should be."""
    await arena.evaluate()
    yes = (await links(arena, ADA))["approve"]
    assert arena.world.cloud.inbox.of("webhook"), "the webhook heard of nothing"
    fault = arena.world.cloud.faults.add(Fault(host="vault", status=403, times=99))
    await arena.control("POST", "caches/drop", name="secrets")
    canaries.look("answers", "link without a key", (await follow(arena, yes)).body)
    fault.times = 0
    await arena.pass_time(60)
    canaries.look("answers", "forged link", (await follow(arena, f"{yes[:-9]}forgedxyz")).body)
    canaries.look("answers", "link", (await follow(arena, yes)).body)
    await arena.pass_time(900)
    assert arena.patches(), "the deployment was not changed"


async def _webhook_troubles(arena: Arena) -> None:
    """It refuses its own URL, is away, and is no URL at all."""
    troubles: list[dict[str, Any]] = [{"status": 401}, {"status": 503}, {"withhold": "close"}]
    for number, trouble in enumerate(troubles):
        fault = arena.world.cloud.faults.add(Fault(host="hooks", times=99, **trouble))
        await _tell(arena, number)
        fault.times = 0
    arena.world.vault.set(HOOK_SECRET, f"htps:/{HOOK_TOKEN}", arena.clock.now())
    await arena.control("POST", "caches/drop", name="secrets")
    await _tell(arena, len(troubles))


async def _tell(arena: Arena, number: int) -> None:
    now = arena.clock.now()
    await arena.made.door.tell(
        Notice(
            id=f"{now:%Y%m%dT%H%M%S}-{number}-canary",
            kind="action_failed",
            severity="warning",
            at=now,
            subject="Something did not work",
            text="It did not.",
            target="chat",
        )
    )
    await arena.pass_time(120)


async def _operators_look(arena: Arena, canaries: Canaries) -> None:
    """Every page that operators have."""
    for path in PAGES:
        canaries.look("answers", path, (await arena.request("GET", path)).body)
    for entry in await arena.entries():
        canaries.look("answers", f"explain/{entry.id}", (await arena.request("GET", f"explain/{entry.id}")).body)


async def look_everywhere(arena: Arena, canaries: Canaries, trap: LogTrap, connection: str) -> None:
    """Everything that the app produced, wherever it lies."""
    settings = arena.made.settings
    until = arena.clock.now() + timedelta(seconds=1)
    page = await arena.made.stores.outbox.query(since=arena.opened_at, until=until, limit=500)
    for posted in page.notices:
        canaries.look("notices", posted.notice.id, posted)
    canaries.look("objects", "settings", repr(settings))
    look_at_logs(canaries, trap)
    look_at_orchestrations(canaries, arena.app.host._durable._backend._hub)
    await look_at_tables(canaries, connection, settings.table_prefix)
    await look_at_blobs(canaries, connection)
