"""How notices and ledger entries are named: by their UTC day first, so that a day is a range of ids."""

from datetime import UTC, datetime


def entry_id(at: datetime, name: str, *, order: str = "") -> str:
    """The id of what happened at `at` (aware), `name` says what; `order` sorts within the day and may be left out."""
    return f"{at.astimezone(UTC):%Y%m%d}T{order}-{name}"
