"""Scale to zero: what it would save and harm, what the decision says of it, and the way back."""

import math
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.decisions.scaling.forecast.ahead import Forecast
from shared.decisions.scaling.load import Load
from shared.decisions.scaling.zero.idle import BOUNDS_S, SHORTEST_S, expected_s, remember
from shared.decisions.scaling.zero.weighing import ZeroCase, weigh
from shared.domain import IdleSpells, ScalingMemory
from shared.policy import Scaling
from shared.policy.zero import Zero
from tests.decisions.builders import NOW, Watch, later, missing, policy, snapshot, wanted

HOUR_S = 3600.0


def rules(drain_within_s: float = 1800.0, **zero: Any) -> Scaling:
    return policy(drain_within_s=drain_within_s, zero=Zero(**zero))


def idle_load(**fields: Any) -> Load:
    usual: dict[str, Any] = {
        "depth": 0.0,
        "arrivals_per_s": 0.0,
        "completions_per_s": 0.0,
        "service_rate_per_s": 1.0,
        "capacity": 1,
        "ready": 1,
        "pending": (),
        "cold_start_s": 180.0,
        "looks_every_s": 15.0,
        "forecast": Forecast(
            source="level", stays_per_s=0.0, pieces=((math.inf, 0.0, 0.0),), error_per_s=0.0, judged=0, doubted=False
        ),
        "doubts": (),
    }
    return Load(**usual | fields)


def spells(idle_s: float, *lengths_s: float) -> IdleSpells:
    """So long idle, after spells of these lengths."""
    known, at = IdleSpells(), 0.0
    for length_s in lengths_s:
        known = remember(known, snapshot(later(at)), 1200, later(at))
        known = remember(known, snapshot(later(at + length_s), depth=5), 1200, later(at + length_s))
        at += length_s + 60
    return IdleSpells(ended=known.ended, ended_at=known.ended_at, idle_since=NOW - timedelta(seconds=idle_s))


def case(scaling: Scaling, known: IdleSpells, price: float | None = 3.0, **load: Any) -> ZeroCase | None:
    assert scaling.zero is not None
    return weigh(scaling, scaling.zero, known, idle_load(**load), price, NOW)


def some(scaling: Scaling, known: IdleSpells, price: float | None = 3.0, **load: Any) -> ZeroCase:
    found = case(scaling, known, price, **load)
    assert found is not None
    return found


lengths = st.lists(st.floats(SHORTEST_S, 5e6), max_size=8)
idle_times = st.floats(3600, 1e6)


class TestHowLongItWillBeIdle:
    def test_by_what_it_was_before(self) -> None:
        """Nights of ten hours, and pauses of half an hour: after an hour it is a night."""
        known = spells(0, *([36_000.0, 1800.0] * 20))
        assert 20_000 < expected_s(known, HOUR_S) < 45_000
        assert expected_s(known, 600) < expected_s(known, HOUR_S)

    @given(lengths, st.floats(0, 1e7))
    def test_never_negative_and_never_beyond_what_was_ever_seen_or_as_long_again(
        self, known: list[float], idle_s: float
    ) -> None:
        expected = expected_s(spells(0, *known), idle_s)
        assert 0 <= expected <= max(idle_s, 2 * max(known, default=0), 2 * BOUNDS_S[0])

    def test_without_any_history_as_long_again(self) -> None:
        assert expected_s(IdleSpells(), HOUR_S) == HOUR_S

    def test_old_spells_fade(self) -> None:
        long_ago = spells(0, *[86_400.0] * 5)
        assert max(spells(0, *[86_400.0] * 5, *[100 * 86_400.0]).ended[:10]) < 0.1 * max(long_ago.ended)

    @given(st.lists(st.tuples(st.floats(1, 5000), st.integers(0, 3), st.floats(0, 5) | st.none()), max_size=30))
    def test_the_memory_stays_small_and_counts_each_spell_once(self, looks: list[tuple[float, int, Any]]) -> None:
        known, at = IdleSpells(), 0.0
        for wait_s, depth, arrivals in looks:
            at += wait_s
            seen = snapshot(later(at), depth=depth, arrivals_per_s=missing() if arrivals is None else arrivals)
            known = remember(known, seen, 1200, later(at))
            assert depth == 0 or known.idle_since is None
        assert len(known.ended) in (0, len(BOUNDS_S))
        assert sum(known.ended) <= len(looks) / 2

    def test_an_idle_queue_writes_nothing_anew(self) -> None:
        known = remember(IdleSpells(), snapshot(), 1200, NOW)
        assert remember(known, snapshot(later(60)), 1200, later(60)) is known

    def test_what_cannot_be_read_begins_no_spell(self) -> None:
        assert remember(IdleSpells(), snapshot(arrivals_per_s=missing()), 1200, NOW).idle_since is None
        assert remember(IdleSpells(), snapshot(depth=missing()), 1200, NOW).idle_since is None

    def test_how_much_arrives_after_a_spell_is_learned(self) -> None:
        known = remember(IdleSpells(), snapshot(), 1200, NOW)
        for t, rate in ((600, 0.5), (700, 2.0), (1500, 1.0), (1900, 9.0)):
            known = remember(known, snapshot(later(t), depth=1, arrivals_per_s=rate), 1200, later(t))
        assert known.wakes_per_s == 2.0, "what comes once it would have been restored does not count"


class TestTheCase:
    def test_not_while_there_is_work_nor_before_its_time(self) -> None:
        assert case(rules(), spells(7200), depth=1.0) is None
        assert case(rules(), spells(7200), arrivals_per_s=0.1) is None
        assert case(rules(), spells(3599)) is None
        assert case(rules(), IdleSpells()) is None

    def test_a_patient_queue_that_is_idle_for_long(self) -> None:
        found = some(rules(), spells(2 * HOUR_S), price=3.1)
        assert found.verdict == "worth_it"
        assert found.saves_usd_per_day == pytest.approx(74.4)
        assert (found.harm_usd, found.late_messages) == (0.0, 0.0)
        assert found.saves_usd == pytest.approx(3.1 * (7200 - 1200) / 3600)
        assert found.sentence.startswith(
            "Zero would save 74.40 USD a day (idle for 2.0 h, 2.0 h more are expected): it"
        )
        assert "not built yet" in found.sentence

    def test_a_promise_shorter_than_the_restoring_is_not_broken_for_money_that_nobody_named(self) -> None:
        found = some(rules(600.0), spells(24 * HOUR_S))
        assert (found.verdict, found.harm_usd) == ("promise", None)
        assert "at least one message would be late by up to 10 min" in found.sentence

    @pytest.mark.parametrize(("late_message_usd", "verdict"), [(0.01, "worth_it"), (1000.0, "harm")])
    def test_what_a_late_message_costs_is_weighed(self, late_message_usd: float, verdict: str) -> None:
        assert some(rules(600.0, late_message_usd=late_message_usd), spells(24 * HOUR_S)).verdict == verdict

    def test_more_messages_after_a_spell_harm_more(self) -> None:
        scaling, known = rules(600.0, late_message_usd=1.0), spells(24 * HOUR_S)
        busy = IdleSpells(idle_since=known.idle_since, wakes_per_s=2.0)
        assert some(scaling, busy).late_messages == 2.0 * (1200 - 600)
        assert some(scaling, known).late_messages == 1.0

    def test_without_a_price_or_on_incomplete_data_it_is_not_judged(self) -> None:
        assert some(rules(), spells(7200), price=None).verdict == "price_unknown"
        assert some(rules(), spells(7200), doubts=("arrivals missing (503)",)).verdict == "data_incomplete"

    def test_a_scheduled_load_ends_the_idleness(self) -> None:
        """12:30 now, and a load at 12:45: a restoring takes twenty minutes."""
        known = {"name": "n", "zone": "UTC", "weekly": {"days": ["mon"], "from": "12:45", "until": "13:00"}, "min": 1}
        scaling = Scaling.model_validate(rules().model_dump() | {"schedule": (known,)})
        found = some(scaling, spells(24 * HOUR_S))
        assert (found.expected_idle_s, found.verdict) == (900.0, "too_short")

    @settings(max_examples=200)
    @given(lengths, idle_times, st.floats(0, 100), st.floats(1, 4), st.floats(60, 7200), st.none() | st.floats(0, 100))
    def test_worth_it_means_that_more_is_saved_than_harmed_and_more_money_never_speaks_against(
        self, known: list[float], idle_s: float, price: float, times: float, promise_s: float, late_usd: float | None
    ) -> None:
        scaling = rules(promise_s, late_message_usd=late_usd)
        found, dearer = (some(scaling, spells(idle_s, *known), one) for one in (price, price * times))
        assert (found.verdict == "worth_it") == (found.harm_usd is not None and found.saves_usd > found.harm_usd)
        assert found.verdict != "worth_it" or dearer.verdict == "worth_it"
        assert found.saves_usd >= 0
        assert found.late_messages == 0 or found.late_s > 0
        assert found.sentence.endswith(".")


class TestTheDecision:
    def test_says_it_in_numbers_and_never_wishes_it(self) -> None:
        watch = Watch(rules())
        idle = watch.looks(0, 3 * HOUR_S, capacity=1, price_usd_per_hour=3.1)
        assert {intent.value for intent in idle} <= {None, 1}
        assert "Zero" not in idle[0].reason
        assert "Zero would save 74.40 USD a day" in idle[-1].reason
        assert idle[-1].numbers["zero_worth_it"] == 1.0

    def test_is_silent_where_it_is_not_allowed(self) -> None:
        watch = Watch(policy())
        assert "Zero" not in watch.looks(0, 3 * HOUR_S, capacity=1, price_usd_per_hour=3.1)[-1].reason
        assert watch.memory.idle is None

    @pytest.mark.parametrize("waiting", [{"depth": 1}, {"arrivals_per_s": 0.01}])
    def test_comes_back_as_soon_as_one_message_waits(self, waiting: dict[str, Any]) -> None:
        just_changed = ScalingMemory(changed_at=NOW - timedelta(seconds=1))
        intent = wanted(snapshot(capacity=0, **waiting), just_changed, rules())
        assert (intent.kind, intent.value, intent.rule) == ("wish", 1, "back_from_zero")

    def test_comes_back_at_the_size_that_is_needed(self) -> None:
        intent = wanted(snapshot(capacity=0, depth=5000, arrivals_per_s=2), rules=rules())
        assert intent.value is not None
        assert intent.value > 2

    def test_comes_back_for_what_is_scheduled_and_stays_otherwise(self) -> None:
        known = {"name": "n", "zone": "UTC", "weekly": {"days": ["mon"]}, "min": 3}
        scaling = Scaling.model_validate(rules().model_dump() | {"schedule": (known,)})
        assert wanted(snapshot(capacity=0), rules=scaling).value == 3
        assert wanted(snapshot(capacity=0), rules=rules()).rule == "at_zero"
        assert wanted(snapshot(capacity=0, depth=1, quota_headroom=0), rules=rules()).rule == "limited_by_quota"

    def test_where_zero_is_not_allowed_it_goes_up_to_min(self) -> None:
        assert wanted(snapshot(capacity=0), rules=policy()).value == 1
