"""What makes an event the event that it is must be right; anything else that cannot be read costs only itself."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.domain import Signal
from shared.signals import parse
from shared.signals.kind import KEPT, UNREAD
from tests.signals.test_damage import at, copied, places
from tests.signals.test_kinds import SAMPLES, only, published
from tests.signals.test_meanings import sample
from tests.signals.test_payloads import ACTIVE_MESSAGES, CLOUD_EVENT

RECEIVED = datetime(2026, 3, 2, 9, tzinfo=UTC)
WORDS = "on Monday, as usual"

# Places without which nobody knows what an event or alert is, whatever its kind.
_ENVELOPE = {"eventtype", "id", "topic", "subject", "eventtime", "data", "schemaid"}
_ESSENTIALS = {
    "alertid",
    "monitorcondition",
    "fireddatetime",
    "resolveddatetime",
    "monitoringservice",
    "alerttargetids",
}
_RESOURCE = {"properties", "essentials", "startdatetime", "monitorconditionresolveddatetime"}
_RESOURCE |= {"targetresource", "monitorservice"}
_LOG_ALERT = {"subscriptionid", "resourceid", "alertrulename", "searchintervalendtimeutc", "workspaceid", "searchquery"}
_METRIC_ALERT = {"context", "id", "resourceid", "timestamp", "status", "condition"}
_ACTIVITY = {"status", "context", "activitylog", "resourceid", "eventtimestamp", "eventsource", "subscriptionid"}
_BUDGET = {"budgetname", "subscriptionid", "resourcegroup", "budgetstartdate", "billingaccountid", "enrollmentnumber"}


def with_value(payload: Any, path: tuple[Any, ...], value: Any) -> Any:
    changed = copied(payload)
    at(changed, path[:-1])[path[-1]] = value
    return changed


def refused_at(kind: str) -> set[str]:
    """The places of a kind's samples that cost the event when something odd is there."""
    found = set()
    for payload in (payload for name, payload in SAMPLES if name == kind):
        for path in places(payload):
            odd = [with_value(payload, path, value) for value in ({"odd": 1}, [["odd"]], WORDS, "NaN", 0.5, True)]
            if parse(json.dumps(odd).encode(), RECEIVED).refused:
                found.add(".".join(str(name).strip().lower() for name in path))
    return found


# Of the data of an event, or of an alert's context: what it is about, and what happened to it.
ABOUT = {
    "ml.run_status_changed": {"data.runstatus"},
    "ml.model_registered": {"data.modelname", "data.modelversion"},
    "ml.model_deployed": {"data.servicename"},
    "ml.dataset_drift": {"data.datadriftid"},
    "health.availability_changed": {"data.resourceinfo", "data.resourceinfo.properties"}
    | {"data.resourceinfo.properties.availabilitystate"},
    "health.annotated": {"data.resourceinfo", "data.resourceinfo.properties"}
    | {"data.resourceinfo.properties.annotationname"},
    "health.maintenance": {"data.resourceinfo", "data.resourceinfo.properties"}
    | {"data.resourceinfo.properties.eventstatus"},
    "blob.renamed": {"data.destinationurl"},
    "directory.renamed": {"data.destinationurl"},
    "event_grid.subscription_deleted": {"data.eventsubscriptionid"},
    **{f"policy_state.{word}": {"data.policyassignmentid"} for word in ("created", "changed", "deleted")},
}


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in SAMPLES if not kind.startswith("alert.")}))
def test_of_an_event_only_what_it_is_about_must_be_right(kind: str) -> None:
    about = ABOUT.get(kind, {"data.objectname"} if kind.startswith("key_vault.") else set())
    assert refused_at(kind) - _ENVELOPE <= about


@pytest.mark.parametrize("kind", sorted({kind for kind, _ in SAMPLES if kind.startswith("alert.")}))
def test_of_an_alert_only_what_tells_it_from_others_must_be_right(kind: str) -> None:
    allowed = _ENVELOPE | _ESSENTIALS | _RESOURCE | _LOG_ALERT | _METRIC_ALERT | _ACTIVITY | _BUDGET
    places_of_it = refused_at(kind)
    if kind == "alert.budget":
        allowed |= {"alertcontext", "alertdata"}  # the budget's name is in them
    assert {path.rpartition(".")[2] for path in places_of_it} <= allowed
    in_context = {path for path in places_of_it if path.startswith("data.alertcontext.")}
    budget = {"data.alertcontext.alertdata", "data.alertcontext.alertdata.budgetname"}
    assert in_context <= (budget if kind == "alert.budget" else set())


def test_what_cannot_be_read_is_named_and_kept_as_it_was_sent() -> None:
    signal = only(with_value(sample("ml.dataset_drift"), ("data", "DriftCoefficient"), WORDS))
    assert signal.fields[UNREAD] == f"data.DriftCoefficient is {WORDS!r}, expected a number"
    assert "drift_coefficient" not in signal.fields
    assert json.loads(signal.fields[KEPT])["DriftCoefficient"] == WORDS


def test_an_unread_field_is_named_as_the_sender_knows_it_and_once() -> None:
    for number, path in ((0, "data.alertContext.condition.allOf"), (5, "data.context.condition.allOf")):
        alert = sample("alert.metric", number)
        first = alert["data"][path.split(".")[1]]["condition"]["allOf"][0]
        first |= {"metricValue": {}, "dimensions": 5}
        unread = only(alert).fields[UNREAD]
        assert f"{path}.0.metricValue is {{}}, expected a number" in unread
        assert unread.count(f"{path}.0.dimensions is 5, expected a list") == 1


def test_no_secret_is_told_of_what_cannot_be_read() -> None:
    signal = only(with_value(sample("ml.dataset_drift"), ("data", "StartTime"), "https://x/?sig=abc"))
    assert "sig=abc" not in signal.fields[UNREAD]
    signal = only(with_value(sample("ml.dataset_drift"), ("data", "RunId"), {"password": "hunter2", "n": 1}))
    assert "hunter2" not in json.dumps(dict(signal.fields))
    assert "RunId is {'n': 1, 'password': '[redacted]'}" in signal.fields[UNREAD]


def test_all_that_is_known_to_be_sent_is_read() -> None:
    assert [kind for kind, payload in SAMPLES if UNREAD in only(payload).fields] == []
    for file in published():
        assert all(UNREAD not in signal.fields for signal in parse(file.read_bytes(), RECEIVED).signals), file.name


@pytest.mark.parametrize("tags", [{}, {"azureml_modelmonitor_threshold_breached": "it has failed"}])
@pytest.mark.parametrize("name", ["runTags", "RunTags"])
def test_tags_of_a_run_as_a_text_are_those_tags(tags: dict[str, str], name: str) -> None:
    event = sample("ml.run_status_changed", 1)
    del event["data"]["runTags"]
    plain, packed = (with_value(event, ("data", name), value) for value in (tags, json.dumps(tags)))
    assert only(packed).fields.get("monitor_breach") == only(plain).fields.get("monitor_breach")
    assert only(packed).fields.get("tags") == only(plain).fields.get("tags")


@pytest.mark.parametrize("value", [float("nan"), "NaN", "n/a", True, [], {}])
def test_a_measured_value_that_is_no_number_is_left_out(value: Any) -> None:
    alert = sample("alert.metric")
    alert["data"]["alertContext"]["condition"]["allOf"][0]["metricValue"] = value
    signal = only(alert)
    assert signal.id == only(sample("alert.metric")).id
    assert "value" not in signal.fields
    assert "metricValue" in signal.fields[UNREAD]


def test_a_number_in_a_text_is_that_number() -> None:
    event = with_value(sample("ml.dataset_drift"), ("data", "DriftCoefficient"), " 0.40 ")
    assert only(event).fields["drift_coefficient"] == "0.40"


def test_an_alert_context_in_a_text_is_that_context() -> None:
    alert = sample("alert.metric")
    packed = copied(alert)
    packed["data"]["alertContext"] = json.dumps(alert["data"]["alertContext"])
    names = ("metric", "value", "threshold", "entity", "window")
    plain, signal = only(alert), only(packed)
    assert signal.id == plain.id
    assert [signal.fields[name] for name in names] == [plain.fields[name] for name in names]


def test_a_resolved_alert_whose_time_of_that_is_empty_is_of_the_time_at_which_it_fired() -> None:
    alert = sample("alert.metric")
    alert["data"]["essentials"] |= {"monitorCondition": "Resolved", "resolvedDateTime": ""}
    assert only(alert).at == datetime.fromisoformat(alert["data"]["essentials"]["firedDateTime"])


def test_a_budget_whose_threshold_is_no_amount_is_told_from_its_others() -> None:
    ids = {signal_id for value in ("none", "n/a", "$5") for signal_id in [budget_with(value).id]}
    assert len(ids) == 3
    assert budget_with("n/a").id == budget_with("n/a").id
    assert "NotificationThresholdAmount is 'n/a'" in budget_with("n/a").fields[UNREAD]


def budget_with(threshold: str) -> Signal:
    alert = sample("alert.budget")
    alert["data"]["alertContext"]["AlertData"]["NotificationThresholdAmount"] = threshold
    return only(alert)


LEGACY_LOG, LEGACY_METRIC = (6, ("Dimensions",)), (5, ("context", "condition", "allOf", 0, "dimensions"))


def with_dimensions(which: tuple[int, tuple[Any, ...]], dimensions: Any, kind: str) -> Signal:
    number, path = which
    alert = sample(kind, number)
    return only(with_value(alert, ("data", *path), dimensions))


@pytest.mark.parametrize(("which", "kind"), [(LEGACY_LOG, "alert.log"), (LEGACY_METRIC, "alert.metric")])
def test_the_instances_of_a_rule_in_the_older_schemas_are_different_signals(
    which: tuple[int, tuple[Any, ...]], kind: str
) -> None:
    queue, host = {"name": "EntityName", "value": "questions"}, {"name": "Host", "value": "a"}
    first = with_dimensions(which, [queue, host], kind)
    assert first.kind == kind
    assert with_dimensions(which, [queue, host], kind).id == first.id
    assert with_dimensions(which, [host, queue], kind).id == first.id
    others: tuple[Any, ...] = (
        [queue, host | {"value": "b"}],
        [queue],
        [queue, {"name": "Host", "value": ["a"]}],
        "Host=a",
        5,
        [],
    )
    ids = [with_dimensions(which, dimensions, kind).id for dimensions in others]
    assert len({first.id, *ids}) == len(others) + 1
    assert with_dimensions(which, None, kind).id == ids[-1]


@pytest.mark.parametrize(
    ("written", "microseconds"),
    [
        ("2026-03-02T08:15:30Z", 0),
        ("2026-03-02t08:15:30z", 0),
        ("2026-03-02t08:15:30.123456z", 123_456),
        ("2026-03-02T08:15:30.1Z", 100_000),
        ("2026-03-02T08:15:30.1234567Z", 123_456),
        ("2026-03-02T08:15:30.123456789Z", 123_456),
        ("2026-03-02T09:45:30.12345678+01:30", 123_456),
        ("2026-03-02T00:15:30-08:00", 0),
        ("2026-03-02 08:15:30Z", 0),
        ("2026-03-02T08:15:30", 0),
    ],
)
def test_every_legal_time_of_an_envelope_is_read(written: str, microseconds: int) -> None:
    expected = datetime(2026, 3, 2, 8, 15, 30, tzinfo=UTC) + timedelta(microseconds=microseconds)
    alert = sample("alert.metric")
    alert["data"]["essentials"]["firedDateTime"] = written
    events = (CLOUD_EVENT | {"time": written}, ACTIVE_MESSAGES | {"eventTime": written}, alert)
    assert [only(event).at for event in events] == [expected] * 3


def test_what_an_envelope_need_not_have_or_has_besides_costs_nothing() -> None:
    bare = {name: value for name, value in ACTIVE_MESSAGES.items() if name not in ("dataVersion", "metadataVersion")}
    expected = only(ACTIVE_MESSAGES)
    assert only(bare) == only([bare]) == only(bare | {"dataVersion": 2, "metadataVersion": None}) == expected
    assert only(bare | {"data": json.dumps(bare["data"])}) == expected
    more = only(bare | {"new": {"x": 1}, "data": {**ACTIVE_MESSAGES["data"], "new": 1}})  # type: ignore[dict-item]
    assert (more.id, more.kind, more.subjects) == (expected.id, expected.kind, expected.subjects)
