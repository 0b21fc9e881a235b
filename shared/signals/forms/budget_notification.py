"""Budget alerts in their own schema, `AIP Budget Notification`.

It carries no time: the signal's time is when it came in, else the start of the budget. Nor does it say whether the
threshold was passed by what was spent or by the forecast: spending below the threshold can only be the forecast. The
threshold is an amount, or a fraction of the budget; whichever reading is nearer to the whole budget is meant.
"""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from shared.signals.fields import field, moment_of, object_at, overlaid, required, text_at, wrong
from shared.signals.forms.common_alert import alert
from shared.signals.message import Message, lenient_text, letters
from shared.signals.money import amount_of

# Azure lets a threshold be at most 1000 % of the budget.
_LARGEST_FRACTION = Decimal(10)


def recognises(item: Mapping[str, Any]) -> bool:
    return letters(str(field(item, "schemaId"))) == "aipbudgetnotification"


def opened(item: Mapping[str, Any], received: datetime | None) -> Message:
    if not isinstance(field(item, "data"), Mapping):
        raise wrong("data", field(item, "data"), "an object")
    told = {name: field(item, f"data.{name}") for name in ("Budget", "SpendingAmount", "NotificationThresholdAmount")}
    budget, spent, threshold = (amount_of(value) for value in told.values())
    threshold = _threshold(threshold, budget)
    at = received or moment_of(lenient_text(item, "data.BudgetStartDate"))
    if at is None:
        raise wrong("data.BudgetStartDate", field(item, "data.BudgetStartDate"), "a date")
    name, scope = required(item, "data.BudgetName"), _scope(item)
    forecast = threshold is not None and spent is not None and spent < threshold
    context = {
        "AlertCategory": "budgets",
        "AlertData": overlaid(
            object_at(item, "data"),
            # what is no amount as it was sent
            BudgetThreshold=told["Budget"] if budget is None else format(budget, "f"),
            NotificationThresholdAmount=(
                told["NotificationThresholdAmount"] if threshold is None else format(threshold, "f")
            ),
            SpentAmount=told["SpendingAmount"] if spent is None else format(spent, "f"),
            ThresholdType="Forecasted" if forecast else "Actual",
            BudgetId=f"{scope}/providers/microsoft.consumption/budgets/{name}" if scope else "",
            Scope=scope,
        ),
    }
    essentials = {
        "alertId": f"{scope}/{name}",
        "monitoringService": "CostAlerts",
        "monitorCondition": "Fired",
        "firedDateTime": at.isoformat(),
    }
    return alert(essentials=essentials, context=context, paths={"context.AlertData": "data", "essentials": "data"})


def _scope(item: Mapping[str, Any]) -> str:
    subscription, group = text_at(item, "data.SubscriptionId"), text_at(item, "data.ResourceGroup")
    if subscription:
        return f"/subscriptions/{subscription}" + (f"/resourcegroups/{group}" if group else "")
    account = text_at(item, "data.BillingAccountId") or text_at(item, "data.EnrollmentNumber")
    return f"/providers/microsoft.billing/billingaccounts/{account}" if account else ""


def _threshold(told: Decimal | None, budget: Decimal | None) -> Decimal | None:
    """The threshold as an amount; "0.8" of a budget of 50 is 40, "8000.0" of one of 10000 is itself."""
    if told is None or budget is None or budget <= 1 or not 0 < told <= _LARGEST_FRACTION:
        return told
    return told * budget if told * told < budget else told
