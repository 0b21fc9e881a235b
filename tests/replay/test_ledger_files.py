"""From rounds through the real ledger to an exported file, and through the command that decides it again."""

import json
import uuid
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from shared.domain import Intent, ScalingSnapshot
from shared.estate.reader import EstateReader, WatchSpec
from shared.loops.evidence import control_entry
from shared.loops.gatekeeper import Gatekeeper
from shared.loops.looks import Look
from shared.loops.rounds import EndpointRound
from shared.loops.scaling import ScalingLoop
from shared.loops.stores import Stores
from shared.policy import load_policy
from shared.records import ApprovalStore, ControlStore, Ledger, Outbox, StateStore, open_tables
from shared.records.gates import GateStore
from shared.records.progress import ProgressStore
from shared.replay import main
from shared.safety.approvals.desk import ApprovalDesk
from shared.safety.approvals.links import LinkSigner
from tests.decisions.builders import NOW, later, snapshot
from tests.policy.documents import as_yaml, document, target

SCALING = {"max": 8, "drain_within_s": 300.0, "cold_start_s": 180.0, "price_usd_per_hour": 3.5}


class Reader(EstateReader):
    """The estate as this test says it is."""

    def __init__(self) -> None:
        self.seen: Mapping[str, ScalingSnapshot] = {}

    async def observe(self, specs: Sequence[WatchSpec]) -> dict[str, ScalingSnapshot]:
        return {spec.target_key: self.seen[spec.target_key] for spec in specs}


async def ledger_lines(azurite: str) -> list[str]:
    """A climbing queue on two deployments of an endpoint, a floor and a hold among the intents: the day as exported."""
    floors = [{"match": "chat", "min_instances": 3, "reason": "never fewer than three"}]
    targets = [target(name, scaling=dict(SCALING)) for name in ("chat", "talk")]
    text = as_yaml(document(*targets, floors=floors))
    policy = load_policy(text, "policy.yaml")
    reader = Reader()
    loop = ScalingLoop(reader)
    async with open_tables({"AzureWebJobsStorage": azurite}, prefix=f"R{uuid.uuid4().hex[:16]}") as tables:
        state, ledger, outbox = StateStore(tables), Ledger(tables), Outbox(tables)
        stores = Stores(
            state=state,
            controls=ControlStore(tables),
            ledger=ledger,
            progress=ProgressStore(tables),
            outbox=outbox,
            gates=GateStore(tables),
            approvals=ApprovalDesk(
                store=ApprovalStore(tables),
                state=state,
                ledger=ledger,
                outbox=outbox,
                signer=LinkSigner(None, ""),
                now=lambda: later(0),
            ),
        )
        key = policy.targets[0].deployment_id.endpoint_key
        await stores.state.put_intent(key, _ceiling(policy.targets[1].deployment_id.key))
        for t in range(0, 240, 15):
            looks = []
            for each, slope in zip(policy.targets, (3, 30), strict=True):
                seen = snapshot(later(t), depth=100 + slope * t, capacity=2, completions_per_s=2)
                mine = ScalingSnapshot(
                    **{n: getattr(seen, n) for n in seen.__slots__} | {"target": each.deployment_id.key}
                )
                looks.append(Look(loop=loop, target=each, snapshot=mine))
            controls = await stores.controls.load(later(t))
            gatekeeper = Gatekeeper(
                policy=policy,
                controls=controls,
                read=stores.gates.load,
                last_view=lambda _: None,
                now=partial(later, t),
            )
            await EndpointRound(key, looks, policy, controls, stores, gatekeeper, later(t), "sweep").run()
        await stores.ledger.append(control_entry("paused all", "ada", "nothing to replay", later(300)))
        return [line async for line in stores.ledger.export(NOW.date())]


def written(folder: Path, lines: Sequence[str]) -> Path:
    file = folder / "20260105.jsonl"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def _ceiling(key: str) -> Intent:
    return Intent(
        target=key,
        dimension="capacity",
        kind="ceiling",
        source="budget",
        rule="month_spent",
        reason="The month's budget is spent.",
        at=NOW,
        value=5,
        expires_at=NOW + timedelta(days=1),
    )


async def test_a_days_ledger_replays_and_a_changed_line_does_not(
    azurite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = await ledger_lines(azurite)
    entries = [json.loads(line) for line in lines]
    of_decisions = [index for index, each in enumerate(entries) if each["entry"]["kind"] == "decision"]
    decisions = len(of_decisions)
    assert decisions >= 3
    assert decisions < len(lines)
    file = written(tmp_path, lines)
    assert main([str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: {decisions} decisions decided again, no failed\n"

    victim = of_decisions[1]
    entries[victim]["entry"]["body"]["snapshot"]["depth"]["value"] += 1
    file = written(tmp_path, [json.dumps(each) for each in entries])
    assert main([str(file)]) == 1
    said = capsys.readouterr().out
    assert f"{file}:{victim + 1}: " in said
    assert "its hash differs" in said
    assert f"{decisions} decisions decided again, 1 failed" in said


async def test_a_change_that_alters_no_decision_is_found_by_its_hash(
    azurite: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = "\n".join(await ledger_lines(azurite)).replace('"cause":"sweep"', '"cause":"somebody"', 1)
    file = written(tmp_path, text.splitlines())
    assert main([str(file)]) == 1
    assert capsys.readouterr().out.count("its hash differs") == 1


def test_lines_that_are_none_of_the_ledgers_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "x.jsonl"
    file.write_text('no json\n[1]\n{"schema": 99, "row_hash": ""}\n{"schema": 1}\n\n', encoding="utf-8")
    assert main([str(file)]) == 1
    said = capsys.readouterr().out
    for part in (f"{file}:1: not JSON", f"{file}:2: not a JSON object", f"{file}:3: ", "schema 99", f"{file}:4: "):
        assert part in said
    assert "0 decisions decided again, 4 failed" in said


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "none.jsonl")]) == 1
    assert "cannot be read" in capsys.readouterr().out


def test_an_empty_file_has_nothing_to_fail(tmp_path: Path) -> None:
    file = tmp_path / "empty.jsonl"
    file.write_text("", encoding="utf-8")
    assert main([str(file)]) == 0
