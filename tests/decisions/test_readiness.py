"""The verdict of readiness, and the shadow queue that it rests on, by what must always hold."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling.evidence.readiness import KEPT_SHARE, Evidence, Forecasted, judge, wilson
from shared.decisions.scaling.evidence.shadow import MOST_DAYS, watched
from shared.domain import Fresh, Missing, ScalingMemory, ScalingSnapshot, Shadow, ShadowDay
from shared.policy import KnownRate, Scaling
from tests.decisions.anything import memories, policies, snapshots
from tests.decisions.builders import NOW, policy, snapshot

MONDAY = date(2026, 1, 5)


def days(number: int = 9, **fields: Any) -> tuple[ShadowDay, ...]:
    """Whole days in which all went well, but for `fields`."""
    usual = {"looks": 2880, "fresh": 2880, "hours": 24, "kept": 24, "kept_as_is": 24, "changes": 4, "reversals": 2}
    whole: dict[str, Any] = usual | fields
    return tuple(ShadowDay(day=(MONDAY + timedelta(days=n)).isoformat(), **whole) for n in range(number))


def forecasted(mode: str, error_per_s: float, judged: int) -> Forecasted:
    return Forecasted(mode=mode, error_per_s=error_per_s, mean_per_s=10, judged=judged)


def findings(evidence: Evidence) -> dict[str, str]:
    return {check.name: check.finding for check in judge(evidence).checks}


def test_a_good_week_is_ready() -> None:
    judged = judge(Evidence(days=days(), promise_s=600, decisions=36))
    assert judged.verdict == "ready"
    assert judged.kept_low > KEPT_SHARE
    assert {check.finding for check in judged.checks} == {"good"}


def test_what_speaks_against_it_is_told_with_what_to_do() -> None:
    good = Evidence(days=days(), decisions=10)
    for other, name, finding in (
        (replace(good, days=()), "days", "too_early"),
        (replace(good, days=days(5)), "days", "too_early"),
        (replace(good, days=days(fresh=2600)), "data", "too_early"),
        (replace(good, days=days(fresh=2000)), "data", "bad"),
        (replace(good, days=days(kept=12)), "promise", "bad"),
        (replace(good, days=days(hours=1, kept=1)), "promise", "too_early"),
        (replace(good, days=days(changes=40, reversals=31), flapping_per_day=60), "calm", "bad"),
        (replace(good, refused={"frozen": 5}), "gates", "too_early"),
        (replace(good, shut={"frozen": "Wait until the freeze is over."}), "gates", "too_early"),
        (replace(good, blind="The queue depth could not be read."), "sight", "bad"),
        (replace(good, forecast=Forecasted(mode="on", error_per_s=9, mean_per_s=10, judged=90)), "forecast", "bad"),
        (
            replace(good, forecast=Forecasted(mode="on", error_per_s=1, mean_per_s=10, judged=3)),
            "forecast",
            "too_early",
        ),
    ):
        judged = judge(other)
        assert findings(other)[name] == finding, name
        assert judged.verdict == ("no" if finding == "bad" else "not_yet"), name
        assert all(bool(check.remedy) == (check.finding != "good") for check in judged.checks)
    assert judge(replace(good, forecast=forecasted("shadow", 9, 90))).verdict == "ready"


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_the_interval_holds_the_share_and_narrows(successes: int, failures: int) -> None:
    trials = successes + failures
    low, high = wilson(successes, trials)
    assert 0 <= low <= high <= 1
    if trials:
        assert low <= successes / trials <= high
        more_low, more_high = wilson(4 * successes, 4 * trials)
        assert more_high - more_low < high - low


@given(st.integers(0, 24), st.integers(1, 14), st.randoms())
def test_the_verdict_does_not_depend_on_the_order_of_days(kept: int, number: int, chance: Random) -> None:
    some = list(days(number, kept=kept))
    before = judge(Evidence(days=some))
    chance.shuffle(some)
    assert judge(Evidence(days=some)) == before


ORDER = {"no": 0, "not_yet": 1, "ready": 2}


@given(st.integers(0, 23), st.integers(1, 14))
def test_an_hour_more_that_is_kept_never_makes_it_worse(kept: int, number: int) -> None:
    less, more = (judge(Evidence(days=days(number, kept=kept + one))) for one in (0, 1))
    assert ORDER[more.verdict] >= ORDER[less.verdict]
    assert more.kept_low >= less.kept_low


@given(st.integers(0, 24), st.integers(0, 15))
def test_never_ready_without_a_week_or_on_a_guess(kept: int, number: int) -> None:
    judged = judge(Evidence(days=days(number, kept=kept)))
    if judged.verdict == "ready":
        assert number > 7
        assert judged.kept_low >= KEPT_SHARE


# ---- the shadow

RATE = 0.1
RULES = policy(drain_within_s=600.0, cold_start_s=300.0, service_rate=KnownRate(per_instance_per_s=RATE))


def course(wanted: int | None, arrivals_per_s: float, *, hours: float, depth: float = 0.0, capacity: int = 2) -> Shadow:
    """A look a minute at a queue that is empty at first, and then has `depth` messages whatever is decided."""
    shadow, start = Shadow(), NOW.replace(minute=0, second=0, microsecond=0)
    for n in range(int(hours * 60) + 1):
        at = start + timedelta(minutes=n)
        rates = {"arrivals_per_s": arrivals_per_s, "completions_per_s": arrivals_per_s}
        seen = snapshot(at, depth=depth if n else 0, capacity=capacity, ready=capacity, **rates)
        shadow = watched(shadow, seen, ScalingMemory(), RULES, wanted, at)
    return shadow


def total(shadow: Shadow, name: str) -> float:
    return float(sum(getattr(day, name) for day in shadow.days))


def test_enough_instances_keep_every_hour_and_too_few_keep_none_after_a_while() -> None:
    enough = course(6, 0.5, hours=8, depth=5000)
    assert (total(enough, "hours"), total(enough, "kept")) == (8, 8)
    assert total(enough, "kept_as_is") == 0  # 5000 messages wait for two instances
    few = course(2, 0.5, hours=8)
    assert total(few, "hours") == 8
    assert total(few, "kept") <= 1
    assert total(enough, "changes") == 1
    assert total(enough, "decided_instance_s") > total(few, "decided_instance_s")


def test_what_is_given_back_is_judged_too() -> None:
    shrunk = course(1, 0.15, hours=8, capacity=4)
    assert total(shrunk, "kept") < total(shrunk, "kept_as_is") == 8
    assert total(shrunk, "decided_instance_s") < total(shrunk, "instance_s")


def test_an_hour_without_work_proves_nothing() -> None:
    assert total(course(1, 0.0, hours=5), "hours") == 0


def test_a_hesitation_changes_nothing_in_the_shadow() -> None:
    assert total(course(None, 0.1, hours=3), "changes") == 0


def test_missing_data_is_counted_and_not_judged() -> None:
    shadow = Shadow()
    for n in range(180):
        at = NOW + timedelta(minutes=n)
        seen = replace(snapshot(at, depth=5, capacity=2), depth=Missing(reason="429", source="arm"))
        shadow = watched(shadow, seen, ScalingMemory(), RULES, 3, at)
    assert (total(shadow, "looks"), total(shadow, "fresh"), total(shadow, "hours")) == (180, 0, 0)


look = st.tuples(snapshots, memories, st.none() | st.integers(1, 50), st.floats(1, 200_000))


@given(st.lists(look, min_size=1, max_size=30), policies())
def test_the_shadow_stays_consistent_whatever_is_seen(
    looks: list[tuple[ScalingSnapshot, ScalingMemory, int | None, float]], rules: Scaling
) -> None:
    shadow, at = Shadow(), NOW
    for seen, memory, wanted, later_s in looks:
        at += timedelta(seconds=later_s)
        shadow = watched(shadow, of(at, seen), memory, rules, wanted, at)
        waiting = sum(order.instances for order in shadow.pending)
        assert shadow.ready + waiting == shadow.capacity
        assert min(shadow.ready, waiting, shadow.backlog) >= 0
        assert len(shadow.days) <= MOST_DAYS
        for day in shadow.days:
            assert 0 <= day.fresh <= day.looks
            assert max(day.kept, day.kept_as_is) <= day.hours <= 24
            assert day.reversals <= day.changes
        if shadow.at == at:
            assert watched(shadow, seen, memory, rules, wanted, at) == shadow  # the same look twice is one


def of(at: datetime, seen: ScalingSnapshot) -> ScalingSnapshot:
    """The snapshot as one of `at`: what was fresh is fresh."""
    names = ("depth", "arrivals_per_s", "completions_per_s", "capacity", "ready")
    measured = {name: getattr(seen, name) for name in names}
    fresh: dict[str, Any] = {name: replace(one, at=at) for name, one in measured.items() if isinstance(one, Fresh)}
    return replace(seen, taken_at=at, **fresh)
