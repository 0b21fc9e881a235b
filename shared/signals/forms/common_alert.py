"""Azure Monitor alerts in the common alert schema. The older schemas are put into its words, and opened here."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.signals.fields import (
    Malformed,
    field,
    list_at,
    moment,
    object_at,
    overlaid,
    required,
    text_at,
    unpacked,
    wrong,
)
from shared.signals.message import Message, letters, resource_ids

SCHEMA = "azuremonitorcommonalertschema"
PATHS = {"essentials": "data.essentials", "context": "data.alertContext", "custom": "data.customProperties"}


def recognises(item: Mapping[str, Any]) -> bool:
    return letters(str(field(item, "schemaId"))) == SCHEMA or isinstance(field(item, "data.essentials"), Mapping)


def opened(item: Mapping[str, Any], _received: datetime | None) -> Message:
    if not isinstance(field(item, "data.essentials"), Mapping):
        raise wrong("data.essentials", field(item, "data.essentials"), "an object")
    return alert(
        essentials=object_at(item, "data.essentials"),
        context=unpacked(field(item, "data.alertContext")),
        custom=field(item, "data.customProperties"),
        paths=PATHS,
    )


def alert(*, essentials: Mapping[str, Any], context: Any, custom: Any = None, paths: Mapping[str, str]) -> Message:
    """The message of an alert in the words of the common schema; `paths` says where its parts were found.

    Raises:
        Malformed: a field that every alert has is missing or wrong.
    """
    whole = {"data": {"essentials": essentials}}
    named = text_at(whole, "data.essentials.monitoringService")
    condition = _condition(whole, named)
    fired = "data.essentials.firedDateTime"
    resolved = condition == "resolved" and field(essentials, "resolvedDateTime") not in (None, "")
    happened = "data.essentials.resolvedDateTime" if resolved else fired
    at = moment(whole, happened)
    # once per instance, condition and time: an instance that fires again is news, a delivery that repeats is none
    since = moment(whole, fired) if field(essentials, "firedDateTime") not in (None, "") else at
    targets, affected = field(essentials, "alertTargetIDs"), unpacked(field(essentials, "configurationItems"))
    return Message(
        form="alert",
        type=letters(named),
        named=named,
        id=f"{required(whole, 'data.essentials.alertId')}/{condition}/{since.isoformat()}",
        source="azure-monitor",
        at=at,
        subjects=resource_ids(
            [
                *([targets] if isinstance(targets, str) else list_at(whole, "data.essentials.alertTargetIDs")),
                # of a log alert, the resources themselves: its target is the workspace
                *(affected if isinstance(affected, list) else [affected]),
            ]
        ),
        content={"essentials": overlaid(essentials, monitorCondition=condition), "context": context, "custom": custom},
        kept=context,
        paths=paths,
    )


def instance(*dimensions: Any) -> list[str]:
    """What tells one instance of a rule from another in the older schemas, which have no id for it: the dimensions, in
    whatever order they are sent; what is none, as it is."""
    lists = [each if isinstance(each, list) else [each] for each in dimensions if each not in (None, "")]
    return sorted(_dimension(each) for one in lists for each in one)


def _dimension(told: Any) -> str:
    try:
        return f"{required(told, 'name')}={text_at(told, 'value')}"
    except Malformed:
        return json.dumps(told, sort_keys=True)


def severity(told: Any) -> Any:
    """The older schemas write the number alone."""
    return f"Sev{told}" if str(told).isdecimal() else told


def _condition(whole: Mapping[str, Any], service: str) -> str:
    """`fired`, `resolved`, or the word that is there. Cost alerts have had null here, and only ever fire."""
    path = "data.essentials.monitorCondition"
    if letters(service) == "costalerts" and field(whole, path) in (None, ""):
        return "fired"
    word = required(whole, path).lower()
    return {"activated": "fired", "deactivated": "resolved"}.get(word, word)
