"""What looks after signals: finishes those whose taker died, counts the days that are over, forgets old claims."""

import logging
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.upkeep.base import Chore, Done, Run

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from shared.domain import Order

log = logging.getLogger("watchkeeper")


async def _run(run: Run) -> Done:
    """Each of the three, whatever becomes of the others: a signal that cannot be finished must not fill the tables."""
    intake, words, failures = run.made.intake, [], []
    steps: tuple[tuple[str, Callable[[], Awaitable[int]]], ...] = (
        ("forgot {} claims", intake.forget_old),
        ("counted {} days", lambda: intake.kinds.keep(run.now)),
        ("finished {} signals that were left in the middle", lambda: intake.finish_left(_leave_to_the_sweep)),
    )
    for said, step in steps:
        try:
            if number := await step():
                words.append(said.format(number))
        except Exception as error:
            log.exception("signals: %s", said.format("no"))
            failures.append(error)
    if failures:
        raise failures[0]
    return Done("; ".join(words))


async def _leave_to_the_sweep(orders: "Sequence[Order]") -> None:
    """Orders wait in their rows; the next sweep starts them."""


CHORE = Chore(name="signals", every=timedelta(minutes=5), run=_run)
