"""An idle queue gives its instances back, whether Azure Monitor shows zeros for it or nothing at all."""

from datetime import timedelta

import pytest

from shared.domain import Intent, Missing
from shared.estate.idle import EmptySpells, bridged
from shared.estate.metrics import LOOK_BACK, QueueRates
from tests.decisions.builders import Watch, later, policy

NO_TOTAL = Missing(reason="no complete interval in the last 6 minutes", source="metric")
SILENT = QueueRates(arrivals_per_s=NO_TOTAL, completions_per_s=NO_TOTAL, silent=True)
NOT_READ = Missing(reason="metrics of westeurope could not be read: 503", source="metric")
FAILED = QueueRates(arrivals_per_s=NOT_READ, completions_per_s=NOT_READ)
HOLD_S = 300


def watch_idle(
    rates: QueueRates, seconds: int, every_s: int = 15, depths: dict[int, int] | None = None
) -> list[Intent]:
    """The intents on four instances over a queue that is empty at each look but those of `depths`."""
    watch, spells, intents = Watch(policy(scale_in_hold_s=HOLD_S)), EmptySpells(), []
    for t in range(0, seconds + 1, every_s):
        depth = (depths or {}).get(t, 0)
        spells.note("queue", depth, later(t))
        seen = bridged(rates, spells.of("queue"))
        rate = {"arrivals_per_s": seen.arrivals_per_s, "completions_per_s": seen.completions_per_s}
        intents.append(watch.look(t, depth=depth, capacity=4, **rate))
    return intents


def test_silence_over_an_empty_queue_shrinks_after_the_look_back_and_the_hold() -> None:
    idle_s = int(LOOK_BACK.total_seconds())
    held = watch_idle(SILENT, idle_s + HOLD_S - 15)
    assert {intent.rule for intent in held[: idle_s // 15]} == {"data_incomplete"}
    assert {intent.rule for intent in held[idle_s // 15 :]} == {"waiting_to_shrink"}
    last = watch_idle(SILENT, idle_s + HOLD_S)[-1]
    assert (last.kind, last.rule, last.value) == ("wish", "less_suffices", 1)


def test_metrics_that_fail_are_not_silence_however_empty_the_queue() -> None:
    assert {intent.rule for intent in watch_idle(FAILED, 3600)} == {"data_incomplete"}


def test_a_message_now_and_then_keeps_the_instances_while_its_minute_is_not_seen() -> None:
    now_and_then = dict.fromkeys(range(0, 3601, int(LOOK_BACK.total_seconds())), 1)
    assert "wish" not in {intent.kind for intent in watch_idle(SILENT, 3600, depths=now_and_then)}


@pytest.mark.parametrize(("every_s", "shrinks"), [(180, True), (195, False)])
def test_a_queue_that_is_hardly_looked_at_is_not_known_to_be_idle(every_s: int, shrinks: bool) -> None:
    assert timedelta(seconds=180) * 2 <= LOOK_BACK
    assert ("wish" in {intent.kind for intent in watch_idle(SILENT, 3600, every_s)}) == shrinks
