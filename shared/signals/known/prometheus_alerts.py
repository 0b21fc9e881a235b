"""Alerts of Prometheus rules in an Azure Monitor workspace."""

from shared.signals.kind import alert_kind, number, raw, text
from shared.signals.message import Message, lenient_text


def _is_one(message: Message) -> bool:
    return "prometheus" in message.type


def _looks_like_one(message: Message) -> bool:
    return bool(
        lenient_text(message.content, "context.expression") and lenient_text(message.content, "context.ruleGroup")
    )


KINDS = (
    alert_kind(
        "alert.prometheus",
        description="The expression of a Prometheus rule holds.",
        from_="monitoring service `Prometheus`",
        recognises=_is_one,
        or_else=_looks_like_one,
        fields=(
            text("expression", "context.expression", doc="The expression."),
            number("value", "context.expressionValue", doc="Its value."),
            text("holds_for", "context.for", doc="How long it must hold, such as `PT2M`."),
            text("interval", "context.interval", doc="How often it is evaluated."),
            text("rule_group", "context.ruleGroup", doc="The rule group.", lower=True),
            raw("labels", "context.labels", doc="Labels, as JSON."),
            raw("annotations", "context.annotations", doc="Annotations, as JSON."),
        ),
    ),
)
