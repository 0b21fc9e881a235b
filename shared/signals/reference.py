"""docs/signals.md, from the registry."""

from collections.abc import Sequence

from shared.signals.kind import ALERT_FIELDS, EVENT_FIELDS, KEPT, KEPT_DOC, UNREAD, UNREAD_DOC, Field, Kind
from shared.signals.registry import kinds

_HEAD = """# Signals

Generated from `shared/signals` by `python -m shared.signals --docs`; do not edit.

What comes in (an Event Grid event, a CloudEvent 1.0, an Azure Monitor alert in the common or an older schema) becomes a
*signal*: what happened, never a measurement. `python -m shared.signals FILE...` prints what payloads become as JSON
lines, or why not (exit code 1 if any is malformed, 2 if a file cannot be read; `-` is the standard input).

* **Identity.** `source` and `id` together. Of an event: its topic (CloudEvents: source) and id. Of an alert: its id,
  its condition and when it fired. Of a budget: its id, the period, the threshold, and whether what was spent or the
  forecast passed it, so that the daily evaluation of one threshold is one signal. The payload names the start of the
  budget and not of the period; the period is the later of that and the month of the alert, so a budget by quarter or
  year is told once a month.
* **Time.** When it happened, in UTC. A CloudEvent without a time, and a budget in the older schema, happened when they
  came in.
* **Subjects.** Ids of the Azure resources that it speaks of, in lower case, with a slash before and none after.
* **Fields.** Texts by name; numbers are plain decimals, times ISO 8601 in UTC, amounts of money carry the currency in
  their name (`spent_usd`; `xxx` where none is told). A field that the payload does not have is not there. Names of the
  payload are read in any letter case.
* **Secrets.** Query strings of URLs, validation codes, claims, tokens and whatever is named like a secret are never
  kept.
* **Unknown kinds** are no error: the signal bears the foreign name (of an alert, `alert:` and the monitoring service),
  wakes nobody, and is counted.
* **Malformed** is what is in no known envelope, or lacks or garbles what makes it the event that it is: its id, type,
  time, source and subject, and of its data the few fields that say what it is about (required ones); the reason names
  the field and what was expected. It loses no other item of its delivery. Any other field that cannot be read costs
  only itself: `unread` says which and why, and `data` (of an alert: its context) is kept as it was sent.

## Adding a kind

1. A module in `shared/signals/known/` with `KINDS`: for each its name, a line for this page, which messages it
   recognises (`event_kind` by type, `alert_kind` by a function), and its fields with the paths that they are read from.
2. A JSON file of the same name beside it: payloads with own values and the fields of the real ones, each with the kind
   that it must become. The tests read all of them, also as CloudEvents, in other letter case and damaged.
3. `python -m shared.signals --docs`. A loop that wants it names it among the kinds that wake it.

A new envelope is a module in `shared/signals/forms/` with `recognises` and `opened`.
"""


def markdown() -> str:
    """The page."""
    parts = [_HEAD, "\n## Kinds\n\n| kind | what happened |\n|---|---|\n"]
    parts += [f"| [`{kind.name}`](#{_anchor(kind)}) | {kind.description} |\n" for kind in kinds().values()]
    parts += ["\n## Fields of every event\n\n", _table(EVENT_FIELDS, kept=True)]
    parts += ["\n## Fields of every alert\n\n", _table(ALERT_FIELDS, kept=True)]
    for kind in kinds().values():
        parts.append(f"\n## `{kind.name}`\n\n{kind.description}\n\nFrom: {kind.from_}.\n")
        if kind.fields:
            parts.append(f"\n{_table(kind.fields)}")
    return "".join(parts)


def _anchor(kind: Kind) -> str:
    """The heading's name in the page: dots are dropped."""
    return kind.name.replace(".", "")


def _table(fields: Sequence[Field], *, kept: bool = False) -> str:
    rows = [(field.name, field.doc) for field in fields] + ([(UNREAD, UNREAD_DOC), (KEPT, KEPT_DOC)] if kept else [])
    return "| field | meaning |\n|---|---|\n" + "".join(f"| `{name}` | {doc} |\n" for name, doc in rows)
