"""What people have exempted from changes, with reason, owner and expiry.

An exemption that ran out exempts nothing from that moment on, and stays in its row until its owner has been told.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from shared.domain import Act, Place, entry_id
from shared.domain.scopes import SCOPE_FORMS, is_scope, normal_scope
from shared.records.codec import Codec
from shared.records.errors import Conflict, InvalidQuestion
from shared.records.keys import join_key
from shared.records.rows import Entity, value_text
from shared.records.swapping import swap

if TYPE_CHECKING:
    from shared.records.table import Table

PARTITION = "exemption"

ExemptActs = Literal["all"] | Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Nothing that is of the kind `acts` is done in `scope` until `expires_at`. `owner` is who answers for it."""

    scope: str
    acts: ExemptActs
    reason: str
    owner: str
    by: str
    at: datetime
    expires_at: datetime

    def __post_init__(self) -> None:
        if not is_scope(self.scope):
            raise InvalidQuestion(f"scope {self.scope!r}: give {SCOPE_FORMS}")

    def is_live(self, now: datetime) -> bool:
        return now < self.expires_at

    def covers(self, place: Place, act: Act) -> bool:
        return self.acts in ("all", act) and normal_scope(self.scope) in place.scopes

    @property
    def id(self) -> str:
        """Names this exemption, and its like by another reason or until another time not; begins with its last day."""
        text = "|".join((normal_scope(self.scope), self.acts, self.owner, self.reason, self.expires_at.isoformat()))
        day = self.expires_at.astimezone(UTC)
        return entry_id(day, f"exemption-{hashlib.sha256(text.encode()).hexdigest()[:10]}", order=f"{day:%H%M%S}")


@dataclass(frozen=True, slots=True)
class Exemptions:
    """All that are stored, live or not yet announced."""

    stored: Sequence[Exemption] = ()

    def covering(self, place: Place, act: Act, now: datetime) -> Exemption | None:
        """The live one that keeps this act from being done: the one that lasts longest."""
        live = [one for one in self.stored if one.is_live(now) and one.covers(place, act)]
        return max(live, key=lambda one: one.expires_at, default=None)

    def expired(self, now: datetime) -> tuple[Exemption, ...]:
        return tuple(one for one in self.stored if not one.is_live(now))


class ExemptionStore:
    """Writes exemptions: one for each scope and kind of act. `GateStore.load` reads them."""

    def __init__(self, table: "Table") -> None:
        self._table = table

    async def put(self, exemption: Exemption) -> None:
        """Exempt, in the place of the one for the same scope and acts, if any."""
        await swap(self._table, PARTITION, _row(exemption.scope, exemption.acts), CODEC, lambda _: exemption)

    async def clear(self, scope: str, acts: ExemptActs) -> Exemption | None:
        """End an exemption; the one that was there."""
        if not is_scope(scope):
            raise InvalidQuestion(f"scope {scope!r}: give {SCOPE_FORMS}")
        was: list[Exemption | None] = [None]

        def gone(old: Exemption | None) -> None:
            was[0] = old

        await swap(self._table, PARTITION, _row(scope, acts), CODEC, gone)
        return was[0]

    async def forget(self, exemption: Exemption) -> None:
        """Remove this one, which has run out and been announced; one that took its place meanwhile stays."""
        row = _row(exemption.scope, exemption.acts)
        try:
            await swap(self._table, PARTITION, row, CODEC, lambda old: None if old == exemption else old)
        except Conflict:
            return  # the next who loads them announces it again, which nobody hears twice


def read(entity: Entity) -> Exemption:
    return CODEC.decode(value_text(entity))


def _row(scope: str, acts: ExemptActs) -> str:
    return join_key(normal_scope(scope), acts)


CODEC = Codec(Exemption)
