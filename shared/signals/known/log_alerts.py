"""Log search alerts: version 2, and version 1 by number of results or by metric measurement."""

from shared.signals.kind import alert_kind, derived, number, text, time
from shared.signals.known.metric_alerts import dimensions_of
from shared.signals.message import Message, lenient_text
from shared.signals.redaction import canonical

_FIRST = "context.condition.allOf.0"
_SERVICES = ("loganalytics", "applicationinsights", "logalertsv2", "logalerts", "logalertsv1")


def _dimensions(message: Message) -> dict[str, str]:
    return dimensions_of(message, "context.Dimensions") | dimensions_of(message, f"{_FIRST}.dimensions")


def _is_log(message: Message) -> bool:
    by_content = message.says("context.conditionType", "logquerycriteria") or lenient_text(
        message.content, "context.SearchQuery"
    )
    return message.type in _SERVICES or (message.type == "platform" and bool(by_content))


KINDS = (
    alert_kind(
        "alert.log",
        description="A query over logs found what its rule looks for, or no longer does.",
        from_="monitoring services `Log Alerts V2`, `Log Analytics`, `Application Insights`, signal type `Log`; "
        "schema `Microsoft.Insights/LogAlert`",
        recognises=_is_log,
        or_else=lambda message: message.says("essentials.signalType", "log"),
        fields=(
            text("query", f"{_FIRST}.searchQuery", "context.SearchQuery", doc="The query."),
            number("value", f"{_FIRST}.metricValue", "context.ResultCount", doc="What it measured, or how many rows."),
            text(
                "operator",
                f"{_FIRST}.operator",
                "context.Operator",
                "context.AlertThresholdOperator",
                doc="How that is compared.",
            ),
            number(
                "threshold",
                f"{_FIRST}.threshold",
                "context.Threshold",
                "context.AlertThresholdValue",
                doc="With what.",
            ),
            text("aggregation", f"{_FIRST}.timeAggregation", doc="How the rows were summed up."),
            text("measure", f"{_FIRST}.metricMeasureColumn", doc="The column that was measured."),
            text("alert_type", "context.AlertType", doc="Version 1: `Number of results` or `Metric measurement`."),
            derived(
                "entity",
                lambda message: next((v for n, v in _dimensions(message).items() if n.lower() == "entityname"), ""),
                doc="The Service Bus entity, if the rule is split by `EntityName`.",
            ),
            derived(
                "dimensions",
                lambda message: canonical(_dimensions(message), limit=2_000),
                doc="The dimensions, as JSON.",
            ),
            text("workspace_id", "context.WorkspaceId", doc="Version 1: the workspace."),
            text("window", "context.condition.windowSize", doc="Version 2: the window, such as `PT1H`."),
            time(
                "window_start", "context.condition.windowStartTime", "context.SearchIntervalStartTimeUtc", doc="Start."
            ),
            time("window_end", "context.condition.windowEndTime", "context.SearchIntervalEndtimeUtc", doc="Its end."),
        ),
    ),
)
