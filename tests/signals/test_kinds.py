"""Every kind, by its own samples and by those that Microsoft published."""

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

import shared.signals.known
from shared.domain import Signal
from shared.signals import is_known, kinds, parse
from shared.signals.kind import ALERT_FIELDS, EVENT_FIELDS, KEPT
from shared.signals.reference import markdown
from shared.signals.registry import forms, samples

REPOSITORY = Path(__file__).parents[2]
PUBLISHED = REPOSITORY.parents[1] / "shared" / "data" / "events"

SAMPLES = samples()
NAMES = [f"{number}-{kind}" for number, (kind, _) in enumerate(SAMPLES)]
every_sample = pytest.mark.parametrize(("kind", "payload"), SAMPLES, ids=NAMES)

EXPECTED = {
    "ml_ModelRegistered": "ml.model_registered",
    "ml_ModelDeployed": "ml.model_deployed",
    "ml_RunCompleted": "ml.run_completed",
    "ml_RunStatusChanged": "ml.run_status_changed",
    "ml_DatasetDriftDetected": "ml.dataset_drift",
    "kv_SecretNewVersionCreated": "key_vault.secret_new_version",
    "sb_ActiveMessages": "servicebus.active_messages",
    "sb_Deadletter": "servicebus.dead_letters",
    "blob_BlobCreated": "blob.created",
    "blob_BlobDeleted": "blob.deleted",
    "blob_BlobRenamed": "blob.renamed",
    "blob_BlobTierChanged": "blob.tier_changed",
    "resource_ResourceWriteSuccess": "resource.written",
    "resource_ResourceDeleteSuccess": "resource.deleted",
    "resource_ResourceActionSuccess": "resource.acted_on",
    "policy_PolicyStateCreated": "policy_state.created",
    "policy_PolicyStateChanged": "policy_state.changed",
    "policy_PolicyStateDeleted": "policy_state.deleted",
    "SubscriptionValidationEvent.request": "event_grid.subscription_validation",
    "activitylog_administrative": "alert.administrative",
    "budget": "alert.budget",
    "log": "alert.log",
    "metric": "alert.metric",
}


def only(payload: Any) -> Signal:
    parsed = parse(json.dumps(payload).encode())
    assert parsed.refused == ()
    (signal,) = parsed.signals
    return signal


def signals_of(kind: str) -> list[Signal]:
    return [only(payload) for name, payload in SAMPLES if name == kind]


@every_sample
def test_a_sample_becomes_its_kind(kind: str, payload: Any) -> None:
    signal = only(payload)
    assert (signal.kind, is_known(signal.kind)) == (kind, True)
    assert signal.at.year == 2026
    assert all(each.startswith("/") and each == each.lower().rstrip("/") for each in signal.subjects)
    assert json.loads(signal.fields[KEPT])


@every_sample
def test_a_signal_has_no_field_that_is_not_described(kind: str, payload: Any) -> None:
    named = [field.name for field in (*kinds()[kind].fields, *ALERT_FIELDS, *EVENT_FIELDS)] + [KEPT]
    patterns = [re.escape(name).replace("<currency>", "[a-z]+") for name in named]
    for field in only(payload).fields:
        assert any(re.fullmatch(pattern, field) for pattern in patterns), field


@pytest.mark.parametrize(("kind", "payload"), [each for each in SAMPLES if "eventType" in each[1]])
def test_an_event_is_the_same_signal_in_both_schemas(kind: str, payload: Any) -> None:
    names = {"topic": "source", "eventType": "type", "eventTime": "time"}
    skipped = ("dataVersion", "metadataVersion")
    cloud = {names.get(name, name): value for name, value in payload.items() if name not in skipped}
    assert only(cloud | {"specversion": "1.0", "datacontenttype": "application/json"}) == only([payload])


def test_every_kind_has_a_sample_and_every_field_is_read_in_one() -> None:
    assert {kind for kind, _ in SAMPLES} == set(kinds())
    read: defaultdict[str, set[str]] = defaultdict(set)
    for kind, payload in SAMPLES:
        # one reading of a field serves all kinds of a module that share it
        for field in kinds()[kind].fields:
            if field.read is not None and field.name in only(payload).fields:
                read[field.name].add(kind)
    plain = {field.name for kind in kinds().values() for field in kind.fields if "<" not in field.name}
    assert plain - set(read) == set()


@every_sample
def test_one_kind_at_most_recognises_a_message(kind: str, payload: Any) -> None:
    (form,) = [each for each in forms() if each.recognises(payload)]
    message = form.opened(payload, None)
    sure = [each.name for each in kinds().values() if each.recognises(message)]
    assert sure in ([kind], [])
    otherwise = [each.name for each in kinds().values() if each.or_else and each.or_else(message)]
    assert kind in sure + otherwise


CONTOSO = """
from shared.signals.kind import event_kind, text

NAME = text("name", "data.n", doc="Its name.")
KINDS = (event_kind("contoso.thing", "Contoso.Thing", description="A thing.", fields=(NAME,)),)
"""


def test_a_kind_is_one_module_with_its_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    payload = {"id": "1", "eventType": "Contoso.Thing", "eventTime": "2026-03-02T00:00:00Z", "data": {"N": "x"}}
    assert not is_known(only(payload).kind)
    (tmp_path / "contoso.py").write_text(CONTOSO)
    monkeypatch.setattr(shared.signals.known, "__path__", [*shared.signals.known.__path__, str(tmp_path)])
    try:
        kinds.cache_clear()
        signal = only(payload)
    finally:
        monkeypatch.undo()
        kinds.cache_clear()
    assert (signal.kind, signal.fields["name"]) == ("contoso.thing", "x")


def test_signals_of_different_payloads_are_different_signals() -> None:
    # of one budget and threshold there are several samples
    identities = [
        (one.source, one.id) for kind, payload in SAMPLES if kind != "alert.budget" for one in [only(payload)]
    ]
    repeated = {each for each in identities if identities.count(each) > 1}
    # the same alert in and without an envelope
    assert {identity.rpartition("|")[2].partition("/")[0] for _, identity in repeated} <= {"errors-in-chat"}


def test_every_description_is_a_sentence() -> None:
    for kind in kinds().values():
        assert kind.description.endswith("."), kind.name
        assert all(field.doc.endswith((".", "...")) for field in kind.fields), kind.name


def test_the_reference_is_current() -> None:
    assert (REPOSITORY / "docs" / "signals.md").read_text(encoding="utf-8") == markdown(), (
        "run `python -m shared.signals --docs`"
    )


def published() -> list[Path]:
    folders = ("eventgrid", "azure_monitor_common", "azure_monitor_noncommon")
    return [file for folder in folders for file in sorted(PUBLISHED.glob(f"{folder}/*.json"))]


def test_every_published_payload_becomes_the_expected_kind() -> None:
    if not published():
        pytest.skip("the published payloads (shared/data/events) are not on this machine")
    for file in published():
        if file.name.endswith(".response.json"):  # an answer, no event
            continue
        parsed = parse(file.read_bytes())
        assert parsed.refused == (), file.name
        prefix = max((each for each in EXPECTED if file.name.startswith(each)), key=len, default="")
        assert {signal.kind for signal in parsed.signals} == {EXPECTED.get(prefix)}, file.name


def test_a_published_event_is_the_same_signal_in_both_schemas() -> None:
    pairs = [(file, file.with_name(file.name.replace(".eventgrid.", ".cloudevents."))) for file in published()]
    both = [(one, other) for one, other in pairs if one != other and other.exists()]
    if not both:
        pytest.skip("the published payloads (shared/data/events) are not on this machine")
    for one, other in both:
        left, right = parse(one.read_bytes()).signals, parse(other.read_bytes()).signals
        assert [(s.kind, s.at) for s in left] == [(s.kind, s.at) for s in right], one.name
