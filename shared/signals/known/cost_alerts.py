"""Cost Management: budgets, anomalies, and whatever else it alerts of.

A budget is evaluated every day and tells of the same threshold again: within one period that is the same signal. The
payload names the start of the budget, not of the period, so the period is the later of that and the month in which the
alert fired; a budget by quarter or year is told again each month, and none is ever missed.
"""

from collections.abc import Mapping
from decimal import Decimal

from shared.signals.fields import field, moment_of
from shared.signals.kind import Field, alert_kind, derived, raw, text, time
from shared.signals.message import Message, lenient_text, letters, resource_ids
from shared.signals.money import amount_at, amount_of

_DATA = "context.AlertData"


def _currency(message: Message) -> str:
    """The unit in lower case, `xxx` (no currency) if there is none."""
    return letters(lenient_text(message.content, f"{_DATA}.Unit"))[:10] or "xxx"


def _amount(message: Message, name: str) -> Decimal | None:
    path = f"{_DATA}.{name}"
    return amount_at(message.content, path, message.shown(path))


def _money(name: str, source: str, doc: str) -> Field:
    def read(message: Message) -> Mapping[str, str]:
        amount = _amount(message, source)
        return {} if amount is None else {f"{name}_{_currency(message)}": format(amount, "f")}

    return Field(name=f"{name}_<currency>", doc=doc, read=read)


def _scope(message: Message) -> str:
    """The subscription or resource group, from the alert's own id if it is not told."""
    told = resource_ids([lenient_text(message.content, f"{_DATA}.Scope")])
    whole = lenient_text(message.content, "essentials.alertId").lower()
    return told[0] if told else "".join(resource_ids([whole.partition("/providers/")[0]]))


def _budget_id(message: Message) -> str:
    told = resource_ids([lenient_text(message.content, f"{_DATA}.BudgetId")])
    name = lenient_text(message.content, f"{_DATA}.BudgetName").lower()
    return told[0] if told else f"{_scope(message)}/providers/microsoft.consumption/budgets/{name}"


def _basis(message: Message) -> str:
    """Whether the threshold was passed by what was spent or by the forecast."""
    told = letters(lenient_text(message.content, f"{_DATA}.ThresholdType"))
    return {"actual": "actual", "forecasted": "forecast", "forecast": "forecast", "": "actual"}.get(told, told)


def _period(message: Message) -> str:
    """The first day of the period, as far as it can be told."""
    started = moment_of(lenient_text(message.content, f"{_DATA}.BudgetStartDate"))
    month = f"{message.at:%Y-%m}-01"
    return month if started is None else max(month, started.date().isoformat())


def _identity(message: Message) -> str:
    told = "NotificationThresholdAmount"
    threshold = amount_of(field(message.content, f"{_DATA}.{told}"))
    as_sent = lenient_text(message.content, f"{_DATA}.{told}") or "?"
    written = as_sent if threshold is None else format(threshold.normalize(), "f")
    return f"{_budget_id(message)}/{_period(message)}/{written}/{_basis(message)}"


def _fraction(message: Message) -> str:
    threshold, budget = _amount(message, "NotificationThresholdAmount"), _amount(message, "BudgetThreshold")
    if threshold is None or not budget:
        return ""
    return format(round(threshold / budget, 6).normalize(), "f")


def _is_budget(message: Message) -> bool:
    return message.type == "costalerts" and (
        message.says("context.AlertCategory", "budgets", "budget")
        or bool(lenient_text(message.content, f"{_DATA}.BudgetName"))
    )


def _is_anomaly(message: Message) -> bool:
    told = letters(lenient_text(message.content, "context.AlertCategory"))
    return "anomal" in message.type or (message.type == "costalerts" and ("anomal" in told or "insight" in told))


_ABOUT = (
    derived("scope", _scope, doc="The subscription or resource group, lower-cased."),
    text("category", "context.AlertCategory", doc="What kind of cost alert, such as `budgets`.", lower=True),
    text("currency", f"{_DATA}.Unit", doc="The unit of the amounts, such as `USD`."),
)

KINDS = (
    alert_kind(
        "alert.budget",
        description="What was spent, or the forecast, passed a threshold of a budget; the same within one period.",
        from_="monitoring service `CostAlerts`, category `budgets`; schema `AIP Budget Notification`",
        recognises=_is_budget,
        fields=(
            text("budget", f"{_DATA}.BudgetName", doc="The budget's name.", required=True),
            derived("budget_id", _budget_id, doc="Its resource id, lower-cased."),
            derived("basis", _basis, doc="`actual` or `forecast`: what passed the threshold."),
            derived("period", _period, doc="The first day of the period, as far as it can be told."),
            _money("budget", "BudgetThreshold", "The whole budget."),
            _money("threshold", "NotificationThresholdAmount", "The threshold, always as an amount."),
            derived("threshold_fraction", _fraction, doc="The threshold as a fraction of the budget, such as `0.8`."),
            _money("spent", "SpentAmount", "What is spent so far."),
            _money("forecast", "ForecastedTotalForPeriod", "The forecast for the whole period."),
            text("budget_type", f"{_DATA}.BudgetType", doc="`Cost` or `Usage`."),
            time("budget_start", f"{_DATA}.BudgetStartDate", doc="The start of the budget."),
            text("owner", f"{_DATA}.BudgetCreator", doc="Who made the budget."),
            *_ABOUT,
        ),
        about=lambda message: resource_ids([_budget_id(message), _scope(message)]),
        identity=_identity,
    ),
    alert_kind(
        "alert.cost_anomaly",
        description="Cost Management found costs that are unlike they usually are.",
        from_="monitoring service `CostAlerts`, a category that speaks of anomalies",
        recognises=lambda message: _is_anomaly(message) and not _is_budget(message),
        fields=(*_ABOUT, raw("details", _DATA, doc="All that is told, as JSON.")),
        about=lambda message: resource_ids([*message.subjects, _scope(message)]),
    ),
    alert_kind(
        "alert.cost",
        description="Another alert of Cost Management: credits, quotas, reservations.",
        from_="monitoring service `CostAlerts`, any other category",
        recognises=lambda message: (
            message.type == "costalerts" and not _is_budget(message) and not _is_anomaly(message)
        ),
        fields=(
            *_ABOUT,
            _money("spent", "SpentAmount", "What is spent so far."),
            raw("details", _DATA, doc="All that is told, as JSON."),
        ),
        about=lambda message: resource_ids([*message.subjects, _scope(message)]),
    ),
)
