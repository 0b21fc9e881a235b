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
    return f"{_KINDS[outcome.kind]} ({outcome.code}), to {outcome.to} instances: {outcome.reason}"
