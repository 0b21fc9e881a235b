"""The desk as several processes have it, over the same tables; processes that die at a write; who is asked what."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from shared.domain import Answer, ApprovalRequest, Decision
from shared.policy.approvals import Change, requirement
from shared.records import ApprovalStore, Ledger, Outbox, StateStore, Tables
from shared.safety.approvals.desk import ApprovalDesk
from shared.safety.approvals.links import LinkSigner
from tests.safety.builders import NOW, plan, policy

ADA, BEA = "ada@example.com", "bea@example.com"
RULE = {"name": "every", "who": [ADA, BEA], "needed": 2, "deadline_s": 3600.0}
POLICY = policy(approvals=[RULE])
(TARGET,) = POLICY.targets
KEY = TARGET.deployment_id.endpoint_key


@dataclass(frozen=True)
class Version:
    """One version of the signing key."""

    version: str
    value: str = "k" * 48

    @property
    def reveal(self) -> Callable[[], str]:
        return lambda: self.value


class Keys:
    """The versions of the signing key as a process knows them; `vault` has them all."""

    def __init__(self) -> None:
        self.vault = [Version("v1")]
        self.known = list(self.vault)
        self.failure: Exception | None = None
        self.refetched = 0

    async def versions(self, name: str, newest: int = 2) -> list[Version]:
        assert name == "watchkeeper-link-key"
        if self.failure is not None:
            raise self.failure
        return self.known[:newest]

    async def refetch(self, name: str, because: str) -> Version:
        self.refetched += 1
        self.known = list(self.vault)
        return self.known[0]


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> datetime:
        return self.at


class Died(Exception):
    """The process is gone."""


class Mortal:
    """A store whose process dies right before or right after its n-th write."""

    def __init__(self, inner: Any, strokes: Iterator[int], *, after: bool) -> None:
        self._inner, self._strokes, self._after = inner, strokes, after

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name not in ("insert", "change", "mark_open", "unmark_open", "set_rest", "append", "put"):
            return found

        async def stroke(*args: Any, **kwargs: Any) -> Any:
            dies = next(self._strokes) == 0
            if dies and not self._after:
                raise Died
            result = await found(*args, **kwargs)
            if dies:
                raise Died
            return result

        return stroke


@dataclass
class Office:
    """Desks over the same tables, as several processes have them."""

    tables: Tables
    clock: Clock
    keys: Keys

    def desk(self, strokes: Iterator[int] | None = None, *, after: bool = False) -> ApprovalDesk:
        store, ledger, outbox = ApprovalStore(self.tables), Ledger(self.tables), Outbox(self.tables)
        parts: list[Any] = [store, ledger, outbox]
        if strokes is not None:
            parts = [Mortal(part, strokes, after=after) for part in parts]
        return ApprovalDesk(
            store=parts[0],
            state=StateStore(self.tables),
            ledger=parts[1],
            outbox=parts[2],
            signer=LinkSigner(self.keys, "https://watch.example.com"),
            now=self.clock,
        )

    async def want(self, decision: Decision) -> None:
        await StateStore(self.tables).put_desired(KEY, decision.target, "capacity", decision, None)

    async def ledger(self) -> list[str]:
        page = await Ledger(self.tables).query(NOW - timedelta(days=1), NOW + timedelta(days=2), kind="approval")
        return [entry.summary.partition(" ")[0] for entry in reversed(page.entries)]

    async def told(self) -> list[tuple[str, str]]:
        page = await Outbox(self.tables).query(since=NOW - timedelta(days=1), until=NOW + timedelta(days=2))
        return sorted((posted.notice.kind, posted.notice.recipient) for posted in page.notices)


GROW = plan(3, 6, id="20260311T000001-grow")
NEEDS = requirement(
    POLICY.approvals, TARGET.place("scaling"), "prod", Change(dimension="capacity", by=3, price_usd_per_hour=None)
)


async def ask(desk: ApprovalDesk, decision: Decision = GROW) -> ApprovalRequest:
    assert NEEDS is not None
    return await desk.ask(decision, TARGET, "scaling", NEEDS)


def said(who: str, verdict: Any = "approve", at: datetime = NOW) -> Answer:
    return Answer(who=who, verdict=verdict, why="", at=at, how="link", link=f"{who}-{verdict}")
