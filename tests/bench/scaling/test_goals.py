"""The goals by worked examples: two seeds each, numbers that can be checked by hand."""

import pytest

from bench.scaling.goals import Contest, Course, Runner, Verdict, best_peer, best_queue_peer, tally, verdicts


def runner(
    name: str,
    late: float | tuple[float, ...],
    hours: float | tuple[float, ...],
    *,
    reversals: float = 0.0,
    undone: float = 0.0,
    queue_per_target: bool = False,
) -> Runner:
    """Late in shares; a single number is that of both seeds."""
    late_of = late if isinstance(late, tuple) else (late, late)
    hours_of = hours if isinstance(hours, tuple) else (hours,) * len(late_of)
    courses = tuple(
        Course(
            late_share=share,
            p99_delay_s=100.0,
            instance_hours=took,
            reversals_per_day=reversals,
            changes_per_day=2 * reversals,
            undone=undone,
        )
        for share, took in zip(late_of, hours_of, strict=True)
    )
    return Runner(name=name, courses=courses, queue_per_target=queue_per_target)


def contest(
    ours: Runner,
    *peers: Runner,
    learnable: bool | None = True,
    cold_start_s: float = 900.0,
) -> Contest:
    return Contest(
        workload="made up",
        learnable=learnable,
        cold_start_s=cold_start_s,
        promise_s=600.0,
        ours=ours,
        clairvoyant=runner("clairvoyant", 0.001, 100.0),
        peers=peers,
    )


def verdict(of: Contest, goal: str) -> Verdict:
    (found,) = (each for each in verdicts(of) if each.goal == goal)
    return found


CHEAP = [runner(f"cheap {n}", 0.011 + n / 100, 110.0 - n) for n in range(3)]
DEAR = runner("dear", 0.001, 300.0)


@pytest.mark.parametrize(("late", "passed"), [(0.006, True), (0.0061, False)])
def test_half_of_the_excess_of_every_point_with_no_more_hours(late: float, passed: bool) -> None:
    """The best of the three is late by 1.1 %, one point beyond the limit: half of that is 0.5 beyond it."""
    found = verdict(contest(runner("ours", late, 110.0), *CHEAP, DEAR), "half")
    assert found.passed is passed
    assert "3 points" in found.told
    assert "1.00 %" in found.told


def test_no_excess_at_all_is_enough_whoever_has_none_too() -> None:
    peers = [runner(f"peer {n}", 0.0005, 100.0) for n in range(3)]
    assert verdict(contest(runner("ours", 0.001, 110.0), *peers), "half").passed


@pytest.mark.parametrize(("hours", "passed"), [(299.0, True), (301.0, False)])
def test_where_few_points_are_as_cheap_hours_at_equal_lateness_count_too(hours: float, passed: bool) -> None:
    """The only point that is no later has 300 h: at 301 h it is as cheap, and better."""
    found = verdict(contest(runner("ours", 0.0010, hours), DEAR), "half")
    assert found.passed is passed
    assert f"{hours:.0f} h against 300 h" in found.told


@pytest.mark.parametrize(
    ("late", "hours", "passed"),
    [(0.011, 130.0, True), (0.0111, 130.0, False), (0.001, 130.1, False)],
)
def test_cost_is_a_ratio_of_hours_at_little_excess(late: float, hours: float, passed: bool) -> None:
    assert verdict(contest(runner("ours", late, hours)), "cost").passed is passed


def test_loads_that_are_not_learnable_have_neither_and_unknown_ones_have_both_with_a_condition() -> None:
    ours = runner("ours", 0.5, 500.0)
    not_learnable = {found.goal for found in verdicts(contest(ours, DEAR, learnable=False))}
    assert not_learnable == {"reversals", "undone", "nowhere worse"}
    unknown = verdicts(contest(ours, DEAR, learnable=None))
    assert {found.goal for found in unknown if found.conditional} == {"half", "cost"}


def test_reversals_against_the_queue_peer_that_is_least_late_for_a_tenth_more_hours() -> None:
    peers = [
        runner("affordable", 0.02, 109.0, reversals=9.0, queue_per_target=True),
        runner("too dear", 0.01, 111.0, reversals=90.0, queue_per_target=True),
        runner("no queue", 0.01, 100.0, reversals=90.0),
    ]
    assert verdict(contest(runner("ours", 0.0, 100.0, reversals=3.0), *peers), "reversals").passed
    assert not verdict(contest(runner("ours", 0.0, 100.0, reversals=3.1), *peers), "reversals").passed
    chosen = best_queue_peer(contest(runner("ours", 0.0, 50.0), *peers))
    assert chosen is not None
    assert chosen.name == "too dear"  # none is affordable: the least late of all


def test_one_instance_given_up_before_it_was_ready_is_one_too_many() -> None:
    assert verdict(contest(runner("ours", 0.0, 100.0)), "undone").passed
    assert not verdict(contest(runner("ours", 0.0, 100.0, undone=1.0)), "undone").passed


def test_worse_by_more_than_the_noise_of_seeds() -> None:
    """Differences of 1 and 3 points: a mean of 2, an error of 1, so two errors are no more than chance."""
    peer = runner("peer", (0.01, 0.01), 100.0)
    assert verdict(contest(runner("ours", (0.02, 0.04), 100.0), peer), "nowhere worse").passed
    assert not verdict(contest(runner("ours", (0.025, 0.035), 100.0), peer), "nowhere worse").passed
    assert verdict(contest(runner("ours", (0.0104, 0.0104), 100.0), peer), "nowhere worse").passed  # below 0.05 points
    assert verdict(contest(runner("ours", (0.025, 0.035), 99.0), peer), "nowhere worse").passed  # the peer is dearer


def test_short_cold_starts_ask_for_the_frontier() -> None:
    inside = runner("better in both", 0.01, 90.0)
    beside = runner("cheaper and later", 0.03, 80.0), runner("dearer and in time", 0.0, 120.0)
    ours = runner("ours", 0.02, 100.0)
    short = contest(ours, *beside, cold_start_s=180.0)
    assert {found.goal for found in verdicts(short)} == {"frontier", "nowhere worse"}
    assert verdict(short, "frontier").passed
    failed = verdict(contest(ours, *beside, inside, cold_start_s=180.0), "frontier")
    assert not failed.passed
    assert "better in both" in failed.told


def test_the_peer_to_show() -> None:
    cheap, cheaper = runner("cheap", 0.02, 100.0), runner("cheaper", 0.03, 90.0)
    assert best_peer(contest(runner("ours", 0.01, 100.0), cheap, cheaper, DEAR)).name == "cheap"
    assert best_peer(contest(runner("ours", 0.01, 80.0), cheap, DEAR)).name == "dear"
    assert best_peer(contest(runner("ours", 0.0, 80.0), cheap, cheaper)).name == "cheap"


def test_tally() -> None:
    assert tally([Verdict(goal="a", passed=True, told=""), Verdict(goal="a", passed=False, told="")]) == {"a": (1, 2)}
