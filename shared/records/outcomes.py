"""What an outcome looks like in the ledger: one entry, whoever writes it, and one sentence."""

from shared.domain import Action, Outcome, entry_id
from shared.records.chain import LedgerEntry
from shared.records.codec import to_plain

_KINDS = {
    "succeeded": "Done",
    "failed": "Failed",
    "refused": "Not done",
    "superseded": "Replaced",
}


def outcome_words(outcome: Outcome) -> str:
    """One sentence: what was to be, what is, and why."""
    instances = "1 instance" if outcome.to == 1 else f"{outcome.to} instances"
    return f"{_KINDS[outcome.kind]} ({outcome.code}), to {instances}: {outcome.reason}"


def outcome_entry(endpoint_key: str, target_name: str, outcome: Outcome, action: Action | None) -> LedgerEntry:
    """The entry of a decision's end; its id is the decision's with the kind, so that a repetition is the same entry."""
    return LedgerEntry(
        id=entry_id(outcome.at, f"{outcome.kind}-of-{outcome.action_key}"),
        kind="outcome",
        at=outcome.at,
        endpoint_key=endpoint_key,
        target=target_name,
        loop="",
        summary=outcome_words(outcome),
        body={"outcome": to_plain(outcome), "action": None if action is None else to_plain(action)},
    )
