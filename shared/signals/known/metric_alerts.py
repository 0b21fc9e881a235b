"""Metric alerts: static and dynamic thresholds, one resource or several, availability tests."""

from shared.signals.fields import list_at
from shared.signals.kind import alert_kind, derived, number, raw, text, time
from shared.signals.message import Message, lenient_text
from shared.signals.redaction import canonical

_FIRST = "context.condition.allOf.0"


def dimensions_of(message: Message, path: str) -> dict[str, str]:
    """Names and values of the dimensions by which a rule is split."""
    return {
        name: lenient_text(each, "value")
        for each in list_at(message.content, path, message.shown(path))
        if (name := lenient_text(each, "name"))
    }


def _dimensions(message: Message) -> dict[str, str]:
    criteria = "context.condition.allOf"
    count = len(list_at(message.content, criteria, message.shown(criteria)))
    found: dict[str, str] = {}
    for index in range(count):
        found |= dimensions_of(message, f"{criteria}.{index}.dimensions")
    return found


def _entity(message: Message) -> str:
    """The Service Bus entity, where the rule is split by it."""
    return next((value for name, value in _dimensions(message).items() if name.lower() == "entityname"), "")


def _is_metric(message: Message) -> bool:
    is_log = message.says("context.conditionType", "logquerycriteria") or lenient_text(
        message.content, "context.SearchQuery"
    )
    return message.type == "platform" and not is_log


def _looks_like_one(message: Message) -> bool:
    return message.says("essentials.signalType", "metric") or bool(
        not message.type and lenient_text(message.content, f"{_FIRST}.metricName")
    )


KINDS = (
    alert_kind(
        "alert.metric",
        description="A metric passed its threshold, or is back.",
        from_="monitoring service `Platform`, signal type `Metric`; schema `AzureMonitorMetricAlert` and the classic",
        recognises=_is_metric,
        or_else=_looks_like_one,
        fields=(
            text("metric", f"{_FIRST}.metricName", doc="The metric of the first criterion."),
            text("namespace", f"{_FIRST}.metricNamespace", doc="Its namespace."),
            number("value", f"{_FIRST}.metricValue", doc="Its value when the rule was evaluated."),
            text("operator", f"{_FIRST}.operator", doc="How it is compared, such as `GreaterThan`."),
            number("threshold", f"{_FIRST}.threshold", doc="The threshold; of a dynamic one, as it was then."),
            text("aggregation", f"{_FIRST}.timeAggregation", doc="How the window was summed up, such as `Average`."),
            text("sensitivity", f"{_FIRST}.alertSensitivity", doc="Of a dynamic threshold: `Low`, `Medium`, `High`."),
            text("web_test", f"{_FIRST}.webTestName", doc="The availability test."),
            derived("entity", _entity, doc="The Service Bus entity, if the rule is split by `EntityName`."),
            derived(
                "dimensions",
                lambda message: canonical(_dimensions(message), limit=2_000),
                doc="The dimensions of all criteria, as JSON.",
            ),
            text("condition_type", "context.conditionType", doc="Such as `DynamicThresholdCriteria`."),
            text("window", "context.condition.windowSize", doc="The window, such as `PT5M`."),
            time("window_start", "context.condition.windowStartTime", doc="Its start."),
            time("window_end", "context.condition.windowEndTime", doc="Its end."),
            raw("criteria", "context.condition.allOf", doc="All criteria, as JSON."),
        ),
    ),
)
