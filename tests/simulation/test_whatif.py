"""A what-if: the same decision on the same load, so that only the policy differs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared import whatif as command
from shared.decisions import scaling
from shared.estate.metrics import Point
from shared.policy.scaling import KnownRate, Scaling
from shared.simulation.recorded import trace_of_points
from shared.simulation.variants import VariantInvalid, variant_of, variants_of
from shared.simulation.whatif import Setting, TooLarge, compare, csv_of, trace_of
from tests.policy.documents import as_yaml, document

BASE = Scaling(max=10, service_rate=KnownRate(per_instance_per_s=0.1), drain_within_s=600.0, cold_start_s=300.0)
SURGE = csv_of([{"t_s": 60 * n, "value": 30 if 20 <= n < 60 else 2} for n in range(240)])


def test_a_replay_is_the_same_each_time_and_todays_policy_comes_first() -> None:
    trace = trace_of(SURGE, "t")
    variants = variants_of(BASE, [{"max": 2}, {}])
    found = compare(trace, variants, Setting(price_usd_per_hour=2.0, price_source="policy"))
    assert found == compare(trace, variants, Setting(price_usd_per_hour=2.0, price_source="policy"))
    today, small, same = found.courses
    assert replace(same, variant=today.variant) == today
    assert small.instances_most <= 2 < today.instances_most
    assert small.late_share > today.late_share


def test_it_is_the_decision_of_production_that_is_replayed(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, variants = trace_of(SURGE, "t"), variants_of(BASE, [])
    before = compare(trace, variants, Setting())
    monkeypatch.setattr(scaling, "decide", lambda snapshot, memory, policy, now: ((), memory))
    after = compare(trace, variants, Setting())
    assert after.courses[0].instances_most == 1 < before.courses[0].instances_most


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 5), st.integers(0, 5), st.floats(0, 100), st.floats(0.02, 1.0))
def test_figures_stay_within_what_is_possible(least: int, more: int, price: float, rate: float) -> None:
    policy = Scaling(min=least, max=least + more, service_rate=KnownRate(per_instance_per_s=rate))
    trace = trace_of(csv_of([{"t_s": 60 * n, "value": 5 + 20 * (n % 7 == 0)} for n in range(30)]), "t")
    (one,) = compare(trace, variants_of(policy, []), Setting(price_usd_per_hour=price)).courses
    assert 0 <= one.late_share <= 1
    assert 0 <= one.share_at_max <= 1
    assert least <= one.instances_most <= least + more
    assert one.instance_hours_per_day >= 24 * least * 0.999
    assert one.cost_usd_per_day == pytest.approx(price * one.instance_hours_per_day)
    assert one.late_share == one.late_share_as_today


def test_what_was_learned_of_the_target_counts_where_neither_trace_nor_policy_knows() -> None:
    policy, trace = Scaling(max=10), trace_of(SURGE, "t")
    learned = compare(trace, variants_of(policy, []), Setting(service_rate_per_s=0.1, cold_start_s=200.0))
    assert learned.service_s == pytest.approx(10)
    assert learned.cold_start_s == 200
    assert any("as it was learned of this target" in one for one in learned.assumed)
    assert compare(trace, variants_of(policy, []), Setting()).service_s == pytest.approx(1)


def test_a_trace_and_a_policy_that_disagree_are_told() -> None:
    trace = trace_of(b"t_s,exec_time_seconds\n0,5\n60,5\n", "t")
    found = compare(trace, variants_of(BASE, []), Setting())
    assert any("one of the two should be mended" in one for one in found.assumed)


def test_more_than_a_month_is_refused() -> None:
    with pytest.raises(TooLarge, match=r"32\.0 days"):
        compare(trace_of(b"t_s\n0\n2764800\n", "t"), variants_of(BASE, []), Setting())


def test_a_change_is_judged_as_a_document_is() -> None:
    with pytest.raises(VariantInvalid, match=r"max: is 70, which is too large.*headroom_pct: is the text 'much'"):
        variant_of(BASE, {"max": 70, "headroom_pct": "much"})
    assert variant_of(replace_max(5), {"max_step_out": None}).policy.max_step_out is None
    (warning,) = variant_of(BASE, {"drain_within_s": 60}).warnings
    assert warning.startswith("drain_within_s is 60")


def replace_max(step: int) -> Scaling:
    return BASE.model_copy(update={"max_step_out": step})


START = datetime(2026, 1, 5, tzinfo=UTC)


@given(st.dictionaries(st.integers(0, 50), st.integers(1, 100), min_size=2))
def test_recorded_intervals_without_a_value_count_as_nothing(totals: dict[int, int]) -> None:
    minute = timedelta(minutes=1)
    points = [Point(start=START + n * minute, interval=minute, value=v, dimensions={}) for n, v in totals.items()]
    trace = trace_of_points(points, "q")
    assert trace.values is not None
    assert sum(trace.values) == sum(totals.values())
    assert trace.starts_at == START + min(totals) * minute
    assert len(trace.values) == max(totals) - min(totals) + 1
    assert ("no value" in " ".join(trace.notes)) == (len(trace.values) > len(totals))


# ---- the command


def test_the_command_prints_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    policy, trace = tmp_path / "policy.yaml", tmp_path / "t.csv"
    policy.write_text(as_yaml(document()), encoding="utf-8")
    trace.write_bytes(SURGE)
    said = ["--policy", str(policy), "--target", "chat", "--trace", str(trace)]
    assert command.main([*said, "--set", "max=3,headroom_pct=0", "--price", "2", "--service", "5"]) == 0
    out = capsys.readouterr().out
    assert "| today | " in out
    assert "| max=3, headroom_pct=0 | " in out
    assert command.main([*said, "--set", "max"]) == 1
    assert "'max' is no change" in capsys.readouterr().err
    assert command.main([*said[:3], "nobody", *said[4:]]) == 1
    assert "no target is named 'nobody'; there are: chat" in capsys.readouterr().out
    assert command.main([*said[:-1], str(tmp_path / "none.csv")]) == 1
