"""Sentences about outcomes, for the ledger, the log and the orchestration's status."""

from shared.domain import Outcome

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
