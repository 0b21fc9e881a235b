"""An entry of the ledger in full: a sentence for the person on call, and what belongs to it."""

from collections.abc import Mapping
from typing import Any

from shared.loops.explaining import Belongings
from shared.loops.outcomes import was_made
from shared.loops.reckoning import reckoned_entry
from shared.loops.views import Plain, entry_view
from shared.records.chain import StoredEntry
from shared.safety.approvals.rules import standing
from shared.safety.approvals.views import request_view

_TOLD: Mapping[str, str] = {
    "open": "It is on its way to people.",
    "delivered": "People were told.",
    "partly": "People were told by some ways and not by others.",
    "failed": "Nobody could be told.",
    "nobody": "The policy knows nobody to be told.",
}


def explanation(entry: StoredEntry, belonging: Belongings) -> Plain:
    """The sentence, the entry's numbers and words, what belongs to it with the route of each, and the whole body."""
    decision: Any = entry.body.get("decision", {})
    intents: Any = entry.body.get("intents", [])
    numbers: Plain = next((i["numbers"] for i in intents if i.get("numbers")), {})
    question = belonging.question
    return {
        **entry_view(entry),
        "sentence": sentence(entry, belonging),
        "mode": entry.body.get("mode"),
        "cause": entry.body.get("cause"),
        "numbers": numbers,
        "reckoned": reckoned_entry(entry.body),
        "overruled": decision.get("overruled", []),
        "alarms": decision.get("alarms", []),
        "approval": None if question is None else request_view(question),
        "outcomes": [entry_view(outcome) for outcome in belonging.of("outcome")],
        "undo": _undo(entry, belonging),
        "related": [_related(relation, other) for relation, other in belonging.entries],
        "notice": None if belonging.posted is None else _notice(belonging),
        "body": dict(entry.body),
    }


def _undo(entry: StoredEntry, belonging: Belongings) -> Plain | None:
    """How the change is put back that this decision or outcome made; None if it made none."""
    ends = (entry,) if entry.kind == "outcome" else belonging.of("outcome") if entry.kind == "decision" else ()
    made: Any = next((end.body["outcome"] for end in ends if was_made(end)), None)
    return None if made is None else {"method": "POST", "path": f"/api/undo/{made['action_key']}"}


def _related(relation: str, other: StoredEntry) -> Plain:
    return {"relation": relation, "explain": f"/api/explain/{other.id}", **entry_view(other)}


def _notice(belonging: Belongings) -> Plain:
    assert belonging.posted is not None
    notice = belonging.posted.notice
    return {"id": notice.id, "kind": notice.kind, "state": belonging.posted.state, "show": f"/api/notices/{notice.id}"}


def sentence(entry: StoredEntry, belonging: Belongings) -> str:
    """What happened and what came of it, for the person on call."""
    target = f" {entry.target}" if entry.target else ""
    parts = [f"At {entry.at:%H:%M:%S} UTC{target}: {entry.summary}", _sequel(entry, belonging)]
    if belonging.posted is not None and entry.kind in ("notice", "control", "outcome") and "told" not in entry.body:
        parts.append(_TOLD[belonging.posted.state])
    return " ".join(part if part.endswith(".") else f"{part}." for part in parts if part)


def _sequel(entry: StoredEntry, belonging: Belongings) -> str:
    """What came of it, or what it is the end of."""
    match entry.kind:
        case "decision":
            return _of_decision(entry, belonging)
        case "outcome":
            return "".join(f"It is the end of: {one.summary}" for one in belonging.of("decision"))
        case "approval":
            return _of_question(entry, belonging)
        case "signal":
            return _of_signal(entry, belonging)
        case "notice" | "control":
            return "".join(f"It tells of: {one.summary}" for one in belonging.of("told_of"))


def _of_decision(entry: StoredEntry, belonging: Belongings) -> str:
    if entry.body.get("mode") != "enforce":
        return "Only observed: nothing was changed."
    asked = "" if belonging.question is None else f"{standing(belonging.question)} "
    outcomes = belonging.of("outcome")
    if not outcomes:
        return f"{asked}Its outcome is not known yet."
    return f"{asked}{' '.join(outcome.summary for outcome in outcomes)}"


def _of_question(entry: StoredEntry, belonging: Belongings) -> str:
    now = "" if belonging.question is None else standing(belonging.question)
    return f"The question now: {now}" if now and now != entry.summary else ""


def _of_signal(entry: StoredEntry, belonging: Belongings) -> str:
    if not entry.body.get("woke"):
        return "Nothing was looked at for it."
    decisions = belonging.of("decision")
    if not decisions:
        return "No decision names it as its cause: nothing had to change, or the look names another signal."
    return " ".join(f"It led to: {one.target} {one.summary}" for one in decisions)
