"""How long what Watchkeeper writes down is kept."""

from typing import Annotated

from pydantic import Field

from shared.policy.parts import Part, unit


class Retention(Part):
    """How long what Watchkeeper writes down is kept."""

    ledger_days: Annotated[int, Field(strict=True, ge=7, le=3650, json_schema_extra=unit("days"))] = 400
    """Days of the ledger in the tables. Older ones are taken out, once the file of the day is whole; files are kept."""

    quarantine_days: Annotated[int, Field(strict=True, ge=7, le=3650, json_schema_extra=unit("days"))] = 400
    """Days for which closed entries of the quarantine and dead letters that people took out are kept. The open stay."""

    history_days: Annotated[int, Field(strict=True, ge=1, le=365, json_schema_extra=unit("days"))] = 14
    """Days for which the history of an orchestration that has ended is kept."""
