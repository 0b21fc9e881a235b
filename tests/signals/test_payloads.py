"""Payloads of Event Grid and Azure Monitor become signals; malformed ones say what is wrong."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import Signal
from shared.signals import Malformed, is_known, parse

NAMESPACE = (
    "/subscriptions/11111111-0000-0000-0000-000000000001/resourcegroups/rg-chat"
    "/providers/microsoft.servicebus/namespaces/sb-chat"
)

ACTIVE_MESSAGES = {
    "topic": NAMESPACE.replace("resourcegroups", "resourceGroups"),
    "subject": "queues/questions",
    "eventType": "Microsoft.ServiceBus.ActiveMessagesAvailableWithNoListeners",
    "eventTime": "2026-03-02T08:15:30.1234567Z",
    "id": "e-1",
    "data": {"namespaceName": "sb-chat", "queueName": "questions"},
    "dataVersion": "1",
}
CLOUD_EVENT = {
    "specversion": "1.0",
    "type": ACTIVE_MESSAGES["eventType"],
    "source": ACTIVE_MESSAGES["topic"],
    "id": "e-1",
    "time": ACTIVE_MESSAGES["eventTime"],
    "subject": "queues/questions",
    "data": ACTIVE_MESSAGES["data"],
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


def only(payload: object) -> Signal:
    parsed = parse(json.dumps(payload).encode())
    assert parsed.refused == ()
    (signal,) = parsed.signals
    return signal


def test_a_service_bus_event_names_the_namespace_and_the_queue() -> None:
    signal = only([ACTIVE_MESSAGES])
    assert signal.kind == "servicebus.active_messages"
    assert signal.subjects == (NAMESPACE,)
    assert signal.fields["entity"] == "questions"
    assert signal.at.isoformat() == "2026-03-02T08:15:30.123456+00:00"


def test_the_same_event_as_a_cloud_event_is_the_same_signal() -> None:
    assert only(CLOUD_EVENT) == only(ACTIVE_MESSAGES)


def test_a_metric_alert_names_its_targets_and_the_queue() -> None:
    signal = only(ALERT)
    assert (signal.kind, signal.subjects) == ("alert.metric", (NAMESPACE,))
    told = {name: signal.fields[name] for name in ("rule", "metric", "entity", "condition")}
    assert told == {"rule": "queue is deep", "metric": "ActiveMessages", "entity": "questions", "condition": "fired"}


def test_fired_and_resolved_of_one_alert_are_two_signals() -> None:
    resolved = json.loads(json.dumps(ALERT))
    resolved["data"]["essentials"] |= {"monitorCondition": "Resolved", "resolvedDateTime": "2026-03-02T08:30:00Z"}
    fired_signal, resolved_signal = parse(json.dumps([ALERT, resolved]).encode()).signals
    assert fired_signal.id != resolved_signal.id
    assert resolved_signal.at > fired_signal.at


def test_field_names_are_read_in_any_letter_case() -> None:
    shouted = {key.upper(): value for key, value in ACTIVE_MESSAGES.items()}
    assert only(shouted) == only(ACTIVE_MESSAGES)


def test_an_unknown_kind_keeps_its_name() -> None:
    signal = only(ACTIVE_MESSAGES | {"eventType": "Contoso.Something"})
    assert signal.kind == "Contoso.Something"


def test_an_unknown_kind_never_passes_for_a_known_one() -> None:
    signal = only(ACTIVE_MESSAGES | {"eventType": "alert.metric"})
    assert not is_known(signal.kind)


def test_an_alert_of_an_unknown_service_keeps_its_name_and_its_context() -> None:
    alert = json.loads(json.dumps(ALERT))
    alert["data"]["essentials"]["monitoringService"] = "Contoso Watch"
    alert["data"]["alertContext"] = {"finding": 7}
    signal = only(alert)
    assert (signal.kind, is_known(signal.kind)) == ("alert:Contoso Watch", False)
    assert json.loads(signal.fields["data"]) == {"finding": 7}


def test_a_cloud_event_without_a_time_happened_when_it_came_in() -> None:
    received = datetime(2026, 3, 2, 9, tzinfo=UTC)
    untimed = {name: value for name, value in CLOUD_EVENT.items() if name != "time"}
    (signal,) = parse(json.dumps(untimed).encode(), received).signals
    assert signal.at == received


def test_data_in_base64_and_data_in_a_text_are_read() -> None:
    data = json.dumps(CLOUD_EVENT["data"])
    bare = {name: value for name, value in CLOUD_EVENT.items() if name != "data"}
    encoded = bare | {"data_base64": base64.b64encode(data.encode()).decode(), "datacontenttype": "application/json"}
    assert only(encoded) == only(bare | {"data": data}) == only(CLOUD_EVENT)


def test_attributes_that_the_schema_does_not_have_are_kept() -> None:
    signal = only(CLOUD_EVENT | {"traceparent": "00-ab-cd-01"})
    assert json.loads(signal.fields["extensions"]) == {"traceparent": "00-ab-cd-01"}


def test_half_a_surrogate_pair_does_not_survive() -> None:
    signal = only(ACTIVE_MESSAGES | {"subject": "queues/\ud800"})
    assert signal.fields["subject"].encode() == "queues/\ufffd".encode()


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999", "7" * 5_000])
def test_what_is_no_number_of_json_stays_text_and_loses_no_other_item(number: str) -> None:
    odd = json.dumps(ACTIVE_MESSAGES | {"eventType": "Contoso.Thing"}).replace('"questions"', number)
    first, second = parse(f"[{odd}, {json.dumps(ACTIVE_MESSAGES)}]".encode()).signals
    assert json.loads(first.fields["data"])["queueName"] == number
    assert second == only(ACTIVE_MESSAGES)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[1]", "item 0: it is a number"),
        (b'{"hello": 1}', "neither an Event Grid event"),
        (json.dumps(ACTIVE_MESSAGES | {"id": ""}).encode(), "id is ''"),
        (json.dumps(ACTIVE_MESSAGES | {"topic": 5}).encode(), "topic is 5"),
        (json.dumps(ACTIVE_MESSAGES | {"data": 5}).encode(), "data is 5, expected an object"),
        (json.dumps(CLOUD_EVENT | {"specversion": "0.3"}).encode(), "specversion is '0.3', expected '1.0'"),
        (json.dumps(CLOUD_EVENT | {"time": None}).encode(), "time is missing, expected a text"),
        (json.dumps(CLOUD_EVENT | {"data_base64": "e30="}).encode(), "data and data_base64 are both there"),
        (json.dumps(CLOUD_EVENT | {"data": None, "data_base64": "%"}).encode(), "expected the Base64 of a text"),
        (json.dumps(CLOUD_EVENT | {"data": None, "data_base64": "eA=="}).encode(), "data_base64 is no JSON"),
        (json.dumps(ACTIVE_MESSAGES | {"eventTime": "soon"}).encode(), "eventTime is 'soon'"),
        (json.dumps(ACTIVE_MESSAGES | {"eventTime": "0001-01-01T00:00:00+14:00"}).encode(), "expected a time like"),
        (json.dumps({"schemaId": "azureMonitorCommonAlertSchema", "data": {}}).encode(), "data.essentials is missing"),
    ],
)
def test_malformed_payloads_say_what_is_wrong(body: bytes, words: str) -> None:
    parsed = parse(body)
    assert parsed.signals == ()
    (refused,) = parsed.refused
    assert words in str(refused)


@pytest.mark.parametrize(
    ("body", "words"), [(b"{", "not JSON"), (b"\xff\xfe\xfd", "not JSON"), (b"[" * 200_000, "nested too deeply")]
)
def test_a_body_that_cannot_be_read_at_all_is_malformed(body: bytes, words: str) -> None:
    with pytest.raises(Malformed, match=words):
        parse(body)


def test_one_bad_item_loses_no_other() -> None:
    second = ACTIVE_MESSAGES | {"id": "e-2"}
    parsed = parse(json.dumps([ACTIVE_MESSAGES, ACTIVE_MESSAGES | {"id": None}, 7, second]).encode())
    assert [signal.id for signal in parsed.signals] == ["e-1", "e-2"]
    assert [(each.index, json.loads(each.body)) for each in parsed.refused] == [
        (1, ACTIVE_MESSAGES | {"id": None}),
        (2, 7),
    ]


def test_an_item_that_came_alone_is_kept_as_it_came() -> None:
    body = b'{ "eventType": "a",  "n": 1.50 }'
    (refused,) = parse(body).refused
    assert (refused.body, refused.kind) == (body, "a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.datetimes().map(str),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def nearly_right(draw: st.DrawFn) -> Any:
    """A payload as it should be, but for one place that holds anything."""
    payload = json.loads(json.dumps(draw(st.sampled_from((ACTIVE_MESSAGES, CLOUD_EVENT, ALERT)))))
    place: Any = payload
    while True:
        key = draw(st.sampled_from(sorted(place)) if isinstance(place, dict) else st.integers(0, len(place) - 1))
        inner = place[key]
        if not isinstance(inner, dict | list) or draw(st.booleans()):
            place[key] = draw(JSON)
            return payload
        place = inner


@given(JSON | nearly_right() | st.lists(nearly_right(), max_size=3))
def test_any_json_is_signals_and_words(payload: Any) -> None:
    parsed = parse(json.dumps(payload).encode())
    items = payload if isinstance(payload, list) else [payload]
    assert len(parsed.signals) + len(parsed.refused) == len(items)
    for signal in parsed.signals:
        assert signal.at.tzinfo is not None
        assert all(isinstance(text, str) for text in (signal.id, signal.source, signal.kind, *signal.subjects))
        assert all(isinstance(text, str) for text in signal.fields.values())


@given(st.binary())
def test_any_bytes_are_read_or_malformed(body: bytes) -> None:
    with suppress(Malformed):
        parse(body)
