"""What comes in over HTTP: taken once, recorded, counted; what cannot be read is kept until a person deals with it."""

from dataclasses import replace
from typing import Any

import pytest

from shared import services
from shared.assumptions import BY_NAME
from shared.records.generations import Generations
from shared.records.origin import Origin
from tests.virtual.arena import ENDPOINT_KEY, MASTER, QUICK, Answer, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.test_mixed_deliveries import event

pytestmark = VIRTUAL

DRIFT = {
    "DataDriftId": "d-1",
    "DataDriftName": "drift-of-chat",
    "RunId": "r-1",
    "BaseDatasetId": "b",
    "TargetDatasetId": "t",
    "DriftCoefficient": 0.9,
    "StartTime": "2026-01-01T00:00:00+00:00",
    "EndTime": "2026-01-02T00:00:00+00:00",
}


async def _no_pause(_seconds: float) -> None: ...


async def send(arena: Arena, payload: Any) -> list[dict[str, Any]]:
    """What each item of a delivery became."""
    return list((await arena.call("POST", "alerts", payload, status=202))["items"])


async def post(arena: Arena, raw: bytes) -> dict[str, Any]:
    """The same for one body as it is."""
    got = await arena.request("POST", "alerts", data=raw)
    assert got.status == 202, got
    (item,) = got.body["items"]
    return dict(item)


async def test_a_repetition_is_one_across_a_restart(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        (first,) = await send(arena, event(arena))
        assert (first["became"], first["handled_by"], first["targets"], first["decided"]) == (
            "signal",
            ["scaling"],
            1,
            1,
        )
        restarted = services.build(arena.made.settings, arena.clock.now, _no_pause)
        services.install(restarted)
        try:
            await arena.pass_time(600)
            assert await send(arena, [event(arena), event(arena)]) == 2 * [
                {"became": "duplicate", "id": "e-1", "kind": "resource.written"}
            ]
        finally:
            services.install(arena.made)
            await restarted.close()
        (entry,) = await arena.entries("signal")
        assert (entry.id, entry.endpoint_key, entry.target) == (first["entry"], ENDPOINT_KEY, "chat")
        explained = await arena.call("GET", f"explain/{entry.id}", status=200)
        assert explained["summary"].endswith("wakes chat")


async def test_a_delivery_is_one_look_for_all_its_signals(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        items = await send(arena, [event(arena, id=f"e-{n}") for n in range(12)])
        assert [item["became"] for item in items] == ["signal"] * 12
        assert len(await arena.entries("signal")) == 12
        (decision,) = await arena.entries("decision")
        assert str(decision.body["cause"]).startswith("signal resource.written e-")


async def test_operators_see_what_came_in_and_who_handles_it(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        await send(arena, event(arena))
        await arena.pass_time(1)
        drift = {"eventType": "Microsoft.MachineLearningServices.DatasetDriftDetected", "data": DRIFT}
        await send(arena, event(arena, id="e-2", **drift))
        for number in (3, 4):
            await arena.pass_time(1)
            (item,) = await send(arena, event(arena, id=f"e-{number}", eventType="Contoso.Thing"))
            assert (item["became"], item["handled_by"]) == ("unknown", [])
        newest = await arena.call("GET", "signals?limit=2", status=200)
        assert [one["signal"]["id"] for one in newest["signals"]] == ["e-4", "e-3"]
        older = await arena.call("GET", f"signals?limit=2&cursor={newest['next_cursor']}", status=200)
        assert [one["signal"]["id"] for one in older["signals"]] == ["e-2", "e-1"]
        for query, ids in (
            ("handling=unknown", ["e-4", "e-3"]),
            ("handling=not_yet_handled", ["e-2"]),
            ("handling=handled&target=chat", ["e-1"]),
            ("kind=ml.dataset_drift", ["e-2"]),
            ("kind=resource.written&source=nobody", []),
        ):
            shown = await arena.call("GET", f"signals?{query}", status=200)
            assert [one["signal"]["id"] for one in shown["signals"]] == ids, query
        kinds = (await arena.call("GET", "signals/kinds", status=200))["kinds"]
        assert {(kind["kind"], kind["handling"], kind["count"]) for kind in kinds} == {
            ("resource.written", "handled", 1),
            ("ml.dataset_drift", "not_yet_handled", 1),
            ("Contoso.Thing", "unknown", 2),
        }
        (unknown,) = (await arena.call("GET", "signals/kinds?handling=unknown&days=31", status=200))["kinds"]
        assert unknown["first_seen"] <= unknown["last_seen"]
        assert unknown["days"] == {f"{arena.clock.now():%Y-%m-%d}": 2}
        for wrong in ("signals?handling=maybe", "signals/kinds?days=32", "signals?limit=0", "signals?cursor=x"):
            got = await arena.request("GET", wrong)
            assert (got.status, got.body["code"]) == (400, "invalid_request"), wrong


async def test_what_cannot_be_read_is_kept_corrected_and_taken(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        item = await post(arena, f'{{"half": "{arena.opened_at}'.encode())
        assert item["became"] == "quarantined"
        assert "not JSON" in item["reason"]
        kept = await arena.call("GET", f"quarantine/{item['quarantine']}", status=200)
        assert kept["body"].startswith('{"half"')
        assert (kept["state"], kept["origins"][0]["trigger"]) == ("open", "alerts")

        async def resubmit(**body: Any) -> Answer:
            words = {"by": "ada", "reason": "a brace was missing"} | body
            return await arena.request("POST", f"quarantine/{item['quarantine']}/resubmit", json=words)

        for refused in (await resubmit(), await resubmit(body={"still": "wrong"}), await resubmit(body="{")):
            assert (refused.status, refused.body["code"]) == (422, "still_malformed")
            assert "the entry stays" in refused.body["detail"]
        one_of_two = await resubmit(body=[event(arena), 7])
        assert one_of_two.status == 422
        assert await arena.entries("signal") == []
        missing = await arena.request("POST", f"quarantine/{item['quarantine']}/resubmit", json={"by": "ada"})
        assert (missing.status, missing.body["code"]) == (400, "invalid_request")

        taken = await resubmit(body=event(arena))
        assert taken.status == 200, taken
        assert [one["became"] for one in taken.body["items"]] == ["signal"]
        assert taken.body["entry"]["state"] == "closed"
        (closing,) = taken.body["entry"]["closings"]
        assert (closing["how"], closing["by"], closing["became"]) == (
            "corrected",
            "ada",
            ["signal resource.written e-1"],
        )
        (decision,) = await arena.entries("decision")
        assert decision.body["cause"] == "signal resource.written e-1"
        assert (await resubmit(body=event(arena))).status == 200, (
            "the same request again completes, and changes nothing"
        )
        (control,) = await arena.entries("control")
        assert control.summary == f"ada corrected quarantine entry {item['quarantine']}: a brace was missing"
        for verb in ("resubmit", "discard"):
            late = await arena.request(
                "POST", f"quarantine/{item['quarantine']}/{verb}", json={"by": "bob", "reason": "late"}
            )
            assert (late.status, late.body["code"]) == (409, "already_closed")
            assert "ada corrected it" in late.body["detail"]


async def test_what_is_no_longer_malformed_is_taken_as_it_is(open_arena: OpenArena) -> None:
    """Such as after a release that reads more."""
    async with open_arena(shape=QUICK, policy=policy_text(min=3)) as arena:
        raw = str(event(arena)).replace("'", '"').encode()
        quarantine = arena.made.intake.quarantine
        kept = await quarantine.put(
            raw, "an older release could not read it", Origin(trigger="alerts"), arena.opened_at
        )
        told = await arena.control("POST", f"quarantine/{kept.id}/resubmit")
        assert [one["became"] for one in told["items"]] == ["signal"]
        assert told["entry"]["closings"][0]["how"] == "resubmitted"


async def test_what_nobody_needs_is_discarded_and_opens_again_when_it_returns(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        raw = b"\xff\xfe" + str(arena.opened_at).encode()
        item = await post(arena, raw)
        path = f"quarantine/{item['quarantine']}"
        assert "body_base64" in await arena.call("GET", path, status=200)
        await arena.control("POST", f"{path}/discard", reason="a scanner")
        assert (await arena.call("GET", "quarantine", status=200))["entries"] == []
        (closed,) = (await arena.call("GET", "quarantine?state=closed", status=200))["entries"]
        assert (closed["closings"][0]["reason"], closed["count"]) == ("a scanner", 1)
        await post(arena, raw)
        (again,) = (await arena.call("GET", "quarantine?trigger=alerts", status=200))["entries"]
        assert (again["id"], again["count"], len(again["closings"])) == (item["quarantine"], 2, 1)
        for unknown in ("quarantine/none", "quarantine/" + "0" * 32):
            assert (await arena.request("GET", unknown)).status == 404
            told = await arena.request("POST", f"{unknown}/discard", json={"by": "ada", "reason": "x"})
            assert (told.status, told.body["code"]) == (404, "not_found")


async def test_an_entry_that_waits_too_long_is_told_once_a_day(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        arena.made.settings = replace(arena.made.settings, quarantine_max_age_s=300)
        await post(arena, f"{{{arena.opened_at}".encode())
        assert (await arena.upkeep("quarantine"))["quarantine"]["said"] == ""
        await arena.pass_time(301)
        assert "Malformed input" in (await arena.upkeep("quarantine"))["quarantine"]["said"]
        assert (await arena.upkeep("quarantine"))["quarantine"]["said"] == ""
        assert len((await arena.made.stores.outbox.work()).open) == 1


async def test_a_new_version_of_a_secret_reaches_every_process(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        data = {"VaultName": arena.made.secrets.vault_name, "ObjectType": "Secret", "ObjectName": "link-key"}
        created = {"eventType": "Microsoft.KeyVault.SecretNewVersionCreated", "data": data}
        (item,) = await send(arena, event(arena, **created))
        assert (item["became"], item["handled_by"]) == ("signal", ["secrets"])
        raised = await Generations(arena.made.tables).load()
        assert raised[arena.made.secrets.generation_of("link-key")].number == 1


async def test_without_the_tables_nothing_is_acknowledged(open_arena: OpenArena) -> None:
    async with open_arena(policy=policy_text("observe")) as arena:
        storage = arena.made.settings.storage["AzureWebJobsStorage"]
        parts = dict(part.split("=", 1) for part in storage.split(";") if part)
        parts["TableEndpoint"] = f"http://127.0.0.1:1/{parts['AccountName']}"
        unreachable = {"AzureWebJobsStorage": ";".join(f"{name}={value}" for name, value in parts.items())}
        cut_off = services.build(replace(arena.made.settings, storage=unreachable), arena.clock.now, _no_pause)
        services.install(cut_off)
        try:
            got = await arena.request("POST", "alerts", json=event(arena))
            assert (got.status, got.body["code"]) == (503, "unavailable")
        finally:
            services.install(arena.made)
            await cut_off.close()
        (item,) = await send(arena, event(arena))
        assert item["became"] == "signal"


@pytest.mark.parametrize("cloud_events", BY_NAME["host.cloud_events"].values)
async def test_cloud_events_come_by_the_queue_whatever_the_host_takes(open_arena: OpenArena, cloud_events: str) -> None:
    """A host that does not take them answers so, and Event Grid keeps them: nothing is half taken."""
    async with open_arena(assumptions={"host.cloud_events": cloud_events}) as arena:
        event = {
            "specversion": "1.0",
            "id": "c-1",
            "source": "/subscriptions/s",
            "type": "Microsoft.Resources.ResourceWriteSuccess",
            "time": arena.clock.now().isoformat(),
            "data": {},
        }
        url = f"{arena.app.url}/runtime/webhooks/eventgrid?functionName=intake_event_grid&code={MASTER}"
        async with arena.http.post(url, json=event, headers={"aeg-event-type": "Notification"}) as answer:
            assert answer.status == (202 if cloud_events == "taken" else 400)
        assert len(await arena.entries("signal")) == (cloud_events == "taken")
        (item,) = await send(arena, event)  # as by the queue: the same intake
        assert item["became"] == ("duplicate" if cloud_events == "taken" else "signal")
