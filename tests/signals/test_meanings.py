"""What the fields of particular payloads mean: the traps."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain import Signal
from shared.signals import parse
from shared.signals.fields import moment_of
from shared.signals.money import amount_of
from shared.signals.redaction import JSON_CHARS, LEFT_OUT, TEXT_CHARS, canonical, redact
from tests.signals.test_kinds import SAMPLES, only, signals_of

MARCH = datetime(2026, 3, 20, 6, tzinfo=UTC)


def sample(kind: str, number: int = 0) -> Any:
    return json.loads(json.dumps([payload for name, payload in SAMPLES if name == kind][number]))


def received(payload: Any, at: datetime) -> Signal:
    (signal,) = parse(json.dumps(payload).encode(), at).signals
    return signal


def test_a_monitor_breach_is_read_in_any_spelling() -> None:
    event = sample("ml.run_status_changed", 1)
    tags = event["data"].pop("runTags")
    event["data"]["RunTags"] = {name.upper(): value for name, value in tags.items()}
    breach = only(event).fields["monitor_breach"]
    assert "has failed due to one or more features violating metric thresholds" in breach
    assert "monitor_breach" not in only(sample("ml.run_status_changed")).fields


def test_a_deployed_model_concerns_its_workspace_and_its_endpoint() -> None:
    workspace, endpoint = signals_of("ml.model_deployed")[0].subjects
    assert endpoint == f"{workspace}/onlineendpoints/chat"


def test_the_name_with_a_blank_and_seconds_as_text_are_read() -> None:
    tidy, odd = signals_of("key_vault.secret_new_version")
    assert {**tidy.fields, "data": ""} == {**odd.fields, "data": ""}
    assert odd.fields["expires"] == "2026-06-01T00:00:00+00:00"


def test_active_messages_of_a_subscription_are_no_dead_letters_of_it() -> None:
    signal = signals_of("servicebus.active_messages")[-1]
    assert signal.fields["entity"] == "answers/subscriptions/audit"
    assert signal.fields["occasion"] == "periodic"


def test_a_blob_is_complete_when_it_is_closed() -> None:
    told = {signal.fields["api"]: signal.fields["complete"] for signal in signals_of("blob.created")}
    assert told == {
        "PutBlockList": "true",
        "CreateFile": "false",
        "FlushWithClose": "true",
        "CopyBlob": "unknown",
        "SftpCreate": "false",
        "SftpCommit": "true",
    }


def test_container_and_path_of_a_blob() -> None:
    event = sample("blob.created")
    event["subject"] = "/blobServices/default/containers/models/blobs/a/blobs/b c?.onnx"
    assert (only(event).fields["container"], only(event).fields["blob"]) == ("models", "a/blobs/b c?.onnx")
    event["subject"] = ""
    assert (only(event).fields["container"], only(event).fields["blob"]) == ("models", "intent/12/model.onnx")


def test_the_request_id_of_a_change_is_read_from_an_object_and_from_a_text() -> None:
    first, second = signals_of("resource.written")[:2]
    assert first.fields["client_request_id"].endswith("1")
    assert second.fields["client_request_id"].endswith("2")
    assert first.fields["caller_object_id"] == second.fields["caller_object_id"] != ""


def test_impacted_services_are_read_from_a_list_and_from_a_text() -> None:
    lists = {signal.fields["impacted_services"] for signal in signals_of("alert.service_health")}
    assert len(lists) == 1


def test_a_service_health_alert_that_fired_may_say_that_all_is_well() -> None:
    signal = signals_of("alert.service_health")[1]
    assert (signal.fields["condition"], signal.fields["stage"]) == ("fired", "Resolved")


def test_the_older_schema_of_an_alert_says_the_same() -> None:
    new, old = signals_of("alert.metric")[0], signals_of("alert.metric")[5]
    same = ("metric", "namespace", "operator", "threshold", "value", "aggregation", "window", "entity", "severity")
    assert [new.fields[name] for name in same] == [old.fields[name] for name in same]
    assert new.subjects == old.subjects


@pytest.mark.parametrize("service", ["Activity Log", None])
def test_an_activity_log_alert_is_told_by_its_event_where_its_service_does_not(service: str | None) -> None:
    for number, kind in enumerate(("administrative", "policy", "autoscale", "security", "recommendation")):
        alert = sample(f"alert.{kind}")
        alert["data"]["essentials"]["monitoringService"] = service
        assert only(alert).kind == f"alert.{kind}", number
    alert = sample("alert.service_health")
    alert["data"]["essentials"]["monitoringService"] = service
    assert only(alert).kind == "alert.service_health"


def test_an_alert_that_fires_again_is_another_signal() -> None:
    alert = sample("alert.metric")
    again = json.loads(json.dumps(alert))
    again["data"]["essentials"]["firedDateTime"] = "2026-03-03T00:00:00Z"
    assert only(alert).id != only(again).id
    assert only(alert).id == only(alert).id


def test_a_log_alert_concerns_the_resources_that_it_found() -> None:
    assert any(subject.endswith("/onlineendpoints/chat") for subject in signals_of("alert.log")[2].subjects)


def budget(**values: str) -> Any:
    alert = sample("alert.budget")
    alert["data"]["alertContext"]["AlertData"] |= values
    return alert


def test_a_budget_says_amounts_with_their_currency() -> None:
    fields = only(budget()).fields
    assert (fields["spent_usd"], fields["budget_usd"], fields["threshold_usd"]) == ("9871.40", "12000.00", "9600.00")
    assert (fields["threshold_fraction"], fields["basis"]) == ("0.8", "actual")
    fields = signals_of("alert.budget")[2].fields
    assert (fields["spent_eur"], fields["budget_eur"]) == ("9871.40", "12000.00")


def test_the_daily_evaluation_of_a_threshold_is_one_signal_in_a_month() -> None:
    first, second = budget(), budget(SpentAmount="$10,100.00")
    second["data"]["essentials"] |= {"firedDateTime": "2026-03-31T23:00:00Z"}
    assert only(first).id == only(second).id
    second["data"]["essentials"] |= {"firedDateTime": "2026-04-01T01:00:00Z"}
    assert only(first).id != only(second).id


@pytest.mark.parametrize(
    "other",
    [
        {"NotificationThresholdAmount": "$12,000.00"},
        {"ThresholdType": "Forecasted"},
        {"BudgetId": "/subscriptions/s/b"},
    ],
)
def test_another_threshold_basis_or_budget_is_another_signal(other: dict[str, str]) -> None:
    assert only(budget()).id != only(budget(**other)).id


def test_a_budget_whose_condition_is_null_fired() -> None:
    assert signals_of("alert.budget")[1].fields["condition"] == "fired"


def test_subjects_of_a_budget_have_their_slash() -> None:
    budget_id, scope = only(budget()).subjects
    assert budget_id.startswith("/subscriptions/")
    assert budget_id.startswith(scope)


def test_a_budget_in_the_older_schema_happened_when_it_came_in() -> None:
    notice = sample("alert.budget", 3)
    signal = received(notice, MARCH)
    assert (signal.at, signal.fields["basis"]) == (MARCH, "actual")
    assert received(notice, MARCH + timedelta(days=3)).id == signal.id
    assert received(notice, MARCH + timedelta(days=20)).id != signal.id


def test_spending_below_the_threshold_can_only_be_the_forecast() -> None:
    assert signals_of("alert.budget")[5].fields["basis"] == "forecast"


def test_a_threshold_of_the_older_schema_is_a_fraction_or_an_amount() -> None:
    fraction, amount = signals_of("alert.budget")[4].fields, signals_of("alert.budget")[3].fields
    assert (fraction["threshold_usd"], fraction["threshold_fraction"]) == ("96.0", "0.8")
    assert (amount["threshold_usd"], amount["threshold_fraction"]) == ("9600.0", "0.8")


@pytest.mark.parametrize(
    ("written", "amount"),
    [
        ("$11,111.00", "11111.00"),
        ("1111.32", "1111.32"),
        ("1.111,32 €", "1111.32"),
        ("€1.111.111", "1111111"),
        ("CHF 1'111.50", "1111.50"),
        ("1\u202f111,5 kr", "1111.5"),
        ("$1,111", "1111"),
        ("¥1111", "1111"),
        ("-$5.00", "-5.00"),
        ("($5.00)", "-5.00"),
        (12.5, "12.5"),
        ("soon", None),
        ("5 of 7", None),
        (True, None),
        ("1e999", None),
    ],
)
def test_amounts(written: Any, amount: str | None) -> None:
    found = amount_of(written)
    assert (None if found is None else format(found, "f")) == amount


@pytest.mark.parametrize(
    "written",
    [
        "2026-03-02T08:00:00Z",
        "2026-03-02T08:00:00.0000000+00:00",
        "2026-03-02T09:00:00+01:00",
        "2026-03-02T08:00:00",
        "3/2/2026 8:00:00 AM",
        "3/2/2026 12:00:00 AM -08:00",
        "2026/03/02 08:00:00.0000000"[:-1],
        "Mon, 02 Mar 2026 08:00:00 GMT",
    ],
)
def test_times_as_azure_writes_them(written: str) -> None:
    assert moment_of(written) == datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize("written", ["", "soon", "0001-01-01T00:00:00+14:00", "13/13/2026", "2" * 1_000])
def test_what_is_no_time(written: str) -> None:
    assert moment_of(written) is None


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        (
            "see https://st.blob.core.windows.net/c/b?sv=1&sig=abc%3D now",
            "see https://st.blob.core.windows.net/c/b?[redacted] now",
        ),
        ("https://user:pass@host/x#access_token=1", "https://host/x#[redacted]"),
        (
            "https://portal.azure.com/#view/alert/%2fsubscriptions",
            "https://portal.azure.com/#view/alert/%2fsubscriptions",
        ),
        (
            "Endpoint=sb://x/;SharedAccessKey=abc+/=;EntityPath=q",
            "Endpoint=sb://x/;SharedAccessKey=[redacted];EntityPath=q",
        ),
        ("Authorization: Bearer abcdefghijkl", "Authorization: [redacted]"),
        ("eyJhbGciOiJI.eyJzdWIiOiIx.c2ln", "[redacted]"),
        ("where a == 1 | project key, value", "where a == 1 | project key, value"),
    ],
)
def test_secrets_in_texts_are_not_kept(text: str, clean: str) -> None:
    assert redact(text) == clean


def test_no_secret_of_a_payload_is_in_its_signal() -> None:
    secrets = ("not-a-real", "NOTREAL", "c0de0000", "203.0.113.7", "Ada Example")
    for _, payload in SAMPLES:
        written = json.dumps([dict(only(payload).fields), only(payload).id])
        told = [secret for secret in secrets if secret in written]
        assert told == [] or told == ["203.0.113.7"], payload  # the address of a request is no secret


def test_sources_that_differ_in_their_secrets_alone_stay_different() -> None:
    event = {"specversion": "1.0", "type": "a.b", "id": "1", "time": "2026-03-02T00:00:00Z"}
    one, other = (only(event | {"source": f"https://example.com/hook?code={code}"}) for code in ("abc", "def"))
    assert one.source != other.source
    assert "abc" not in one.source


def test_what_is_kept_is_bounded_and_stays_json() -> None:
    large = {"small": 1, "large": "x" * JSON_CHARS, "list": list(range(20))}
    kept = json.loads(canonical(large))
    assert kept == {"small": 1, "list": list(range(20)), LEFT_OUT: ["large"]}
    assert len(canonical({str(number): "y" * 900 for number in range(500)})) <= JSON_CHARS
    assert len(canonical(["z" * JSON_CHARS])) < 100
    event = sample("ml.model_registered")
    event["subject"] = "s" * 10 * TEXT_CHARS
    assert len(only(event).fields["subject"]) == TEXT_CHARS
