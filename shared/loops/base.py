"""What a loop is: one module here that offers `make_loop`. Sweep and intake run all of them; nothing lists them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from shared.domain import Decision, Dimension, Intent, Mode, ScalingSnapshot, Signal, TargetRecord
from shared.estate.reader import EstateReader
from shared.policy import Policy, Target


class Loop(Protocol):
    """One concern, such as scaling: what wakes it, what it reads, its pure decision, its dimensions, its story."""

    name: str
    dimensions: tuple[Dimension, ...]
    waking_kinds: frozenset[str]
    """Kinds of signals that it handles; another kind wakes it never."""

    def mode(self, policy: Policy, target: Target) -> Mode:
        """How far it may go on this target."""
        ...

    def policy_version(self, policy: Policy, target: Target) -> str:
        """Names what of the policy its decisions rest on; independent of the mode."""
        ...

    def woken_by(self, signal: Signal, targets: Sequence[Target]) -> Sequence[Target]:
        """The targets that this signal asks to look at now."""
        ...

    async def observe(
        self, policy: Policy, targets: Sequence[Target], *, closely: bool
    ) -> Mapping[str, ScalingSnapshot]:
        """Snapshots by deployment key; `closely` reads afresh for a few woken targets, else in bulk."""
        ...

    def decide(
        self, snapshot: ScalingSnapshot, record: TargetRecord, target: Target, now: datetime
    ) -> tuple[tuple[Intent, ...], TargetRecord]:
        """Pure."""
        ...

    def after_change(self, record: TargetRecord, decision: Decision) -> TargetRecord:
        """What it remembers of a change that was decided. Pure."""
        ...

    def after_look(
        self, record: TargetRecord, snapshot: ScalingSnapshot, target: Target, wanted: int | None, now: datetime
    ) -> TargetRecord:
        """What it remembers of a look at its end: `wanted` instances were decided (None: nothing, or to wait). Pure."""
        ...


LoopFactory = Callable[[EstateReader], Loop]
