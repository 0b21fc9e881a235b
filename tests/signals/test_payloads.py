"""Payloads of Event Grid and Azure Monitor become signals; malformed ones say what is wrong."""

import json
from pathlib import Path

import pytest

from shared.signals import Malformed, parse

NAMESPACE = (
    "/subscriptions/11111111-0000-0000-0000-000000000001/resourcegroups/rg-chat"
    "/providers/microsoft.servicebus/namespaces/sb-chat"
)
SHARED_EVENTS = Path(__file__).parents[3] / "shared" / "data" / "events"

ACTIVE_MESSAGES = {
    "topic": NAMESPACE.replace("resourcegroups", "resourceGroups"),
    "subject": "queues/questions",
    "eventType": "Microsoft.ServiceBus.ActiveMessagesAvailableWithNoListeners",
    "eventTime": "2026-03-02T08:15:30.1234567Z",
    "id": "e-1",
    "data": {"namespaceName": "sb-chat", "queueName": "questions"},
    "dataVersion": "1",
}
ALERT = {
    "schemaId": "azureMonitorCommonAlertSchema",
    "data": {
        "essentials": {
            "alertId": "/subscriptions/s/providers/Microsoft.AlertsManagement/alerts/a-1",
            "alertRule": "queue is deep",
            "monitorCondition": "Fired",
            "alertTargetIDs": [NAMESPACE.upper()],
            "firedDateTime": "2026-03-02T08:16:00Z",
        },
        "alertContext": {
            "condition": {
                "allOf": [
                    {"metricName": "ActiveMessages", "dimensions": [{"name": "EntityName", "value": "questions"}]}
                ]
            }
        },
    },
}


def test_a_service_bus_event_names_the_namespace_and_the_queue() -> None:
    (signal,) = parse(json.dumps([ACTIVE_MESSAGES]).encode())
    assert signal.kind == "servicebus.active_messages"
    assert signal.subjects == (NAMESPACE,)
    assert signal.fields["entity"] == "questions"
    assert signal.at.isoformat() == "2026-03-02T08:15:30.123456+00:00"


def test_the_same_event_as_a_cloud_event_is_the_same_signal() -> None:
    cloud_event = {
        "specversion": "1.0",
        "type": ACTIVE_MESSAGES["eventType"],
        "source": ACTIVE_MESSAGES["topic"],
        "id": "e-1",
        "time": ACTIVE_MESSAGES["eventTime"],
        "subject": "queues/questions",
        "data": ACTIVE_MESSAGES["data"],
    }
    assert parse(json.dumps(cloud_event).encode()) == parse(json.dumps(ACTIVE_MESSAGES).encode())


def test_a_metric_alert_names_its_targets_and_the_queue() -> None:
    (signal,) = parse(json.dumps(ALERT).encode())
    assert (signal.kind, signal.subjects) == ("alert.fired", (NAMESPACE,))
    assert signal.fields == {"rule": "queue is deep", "metric": "ActiveMessages", "entity": "questions"}


def test_fired_and_resolved_of_one_alert_are_two_signals() -> None:
    resolved = json.loads(json.dumps(ALERT))
    resolved["data"]["essentials"] |= {"monitorCondition": "Resolved", "resolvedDateTime": "2026-03-02T08:30:00Z"}
    fired_signal, resolved_signal = parse(json.dumps([ALERT, resolved]).encode())
    assert fired_signal.id != resolved_signal.id
    assert resolved_signal.at > fired_signal.at


def test_field_names_are_read_in_any_letter_case() -> None:
    shouted = {key.upper(): value for key, value in ACTIVE_MESSAGES.items()}
    assert parse(json.dumps(shouted).encode()) == parse(json.dumps(ACTIVE_MESSAGES).encode())


def test_an_unknown_kind_is_a_signal_that_wakes_nobody() -> None:
    (signal,) = parse(json.dumps(ACTIVE_MESSAGES | {"eventType": "Contoso.Something"}).encode())
    assert signal.kind == "Contoso.Something"


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"{", "not JSON"),
        (b"[1]", "item 0 is int"),
        (b'{"hello": 1}', "neither an Event Grid event"),
        (json.dumps(ACTIVE_MESSAGES | {"id": ""}).encode(), "id is ''"),
        (json.dumps(ACTIVE_MESSAGES | {"eventTime": "soon"}).encode(), "eventTime is 'soon'"),
        (json.dumps({"schemaId": "azureMonitorCommonAlertSchema", "data": {}}).encode(), "data.essentials is missing"),
    ],
)
def test_malformed_payloads_say_what_is_wrong(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse(body)


def test_every_published_sample_parses() -> None:
    samples = [*SHARED_EVENTS.glob("eventgrid/*.json"), *SHARED_EVENTS.glob("azure_monitor_common/*.json")]
    if not samples:
        pytest.skip("the published samples (shared/data/events) are not on this machine")
    for sample in samples:
        if "SubscriptionValidationEvent.response" not in sample.name:
            assert parse(sample.read_bytes()), sample.name
