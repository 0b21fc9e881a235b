"""The workloads that the scaling decision is measured on."""

from pathlib import Path

import numpy as np
import pytest

from bench.scaling.families import FAMILIES, family
from bench.scaling.traces import FOLDER, read
from bench.scaling.workloads import LEARNABLE, NAMES, listed
from shared.simulation.workload import Floats, Workload

LEARNABLE_FAMILIES = ("daily", "weekly", "batch", "trend", "changing")


def hourly(load: Workload) -> Floats:
    """Busy instances, a row a day and a column an hour."""
    return (load.work_s / load.tick_s).reshape(-1, 24, 60).mean(axis=2)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("seed", [0, 7])
def test_each_family_keeps_four_instances_busy_with_jobs_of_10_to_30_s(name: str, seed: int) -> None:
    load = family(name, seed)
    assert load.work_s.sum() / (load.ticks * load.tick_s) == pytest.approx(4, rel=0.15)
    assert 9 < load.service_s < 31
    assert load.days == 28 if name in LEARNABLE_FAMILIES else 2 <= load.days <= 7
    assert load.starts_at.weekday() == load.starts_at.hour == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_a_seed_gives_the_same_again_and_another_seed_another(name: str) -> None:
    assert np.array_equal(family(name, 3).work_s, family(name, 3).work_s)
    assert not np.array_equal(family(name, 3).work_s, family(name, 4).work_s)


def test_arrivals_are_clumped() -> None:
    """At a steady load more than Poisson's scatter, after the slow wandering is taken out."""
    items = family("step", 0).items[: 12 * 60]
    scatter = np.diff(items).var() / 2
    assert scatter > 2 * items.mean()


def test_days_are_alike_in_a_season_and_not_after_it_changed() -> None:
    daily, changing = hourly(family("daily")), hourly(family("changing"))
    assert np.corrcoef(daily[:14].mean(axis=0), daily[14:].mean(axis=0))[0, 1] > 0.95
    assert np.corrcoef(changing[:14].mean(axis=0), changing[14:].mean(axis=0))[0, 1] < 0.5


def test_the_week_has_its_weekend() -> None:
    days = hourly(family("weekly")).mean(axis=1).reshape(4, 7)
    assert (days[:, 5:].max(axis=1) < days[:, :5].min(axis=1)).all()


def test_the_batch_comes_at_its_hour_every_night() -> None:
    load = hourly(family("batch"))
    assert (load[:, 3] > 5 * load[:, 12]).all()


def test_silence_lasts_for_days() -> None:
    quiet = family("silence").items == 0
    longest = max(len(run) for run in "".join("q" if q else "." for q in quiet).split("."))
    assert longest > 2 * 24 * 60


def test_the_trend_grows_and_the_crowd_comes_at_once() -> None:
    trend = hourly(family("trend")).mean(axis=1)
    assert trend[-7:].mean() > 2.5 * trend[:7].mean()
    crowd = family("flash_crowd").work_s
    by_quarter = crowd[: len(crowd) // 15 * 15].reshape(-1, 15).sum(axis=1)
    assert (by_quarter[2:] / by_quarter[:-2]).max() > 3


def test_what_is_learnable_is_what_was_fixed() -> None:
    found, skipped = listed()
    assert {one.group for one in found if one.learnable} <= LEARNABLE
    assert {one.group for one in found if not one.learnable}.isdisjoint(LEARNABLE)
    assert {one.group for one in found} | {words.split()[0] for words in skipped} == set(NAMES)


def test_an_absent_trace_is_skipped_with_a_word(tmp_path: Path) -> None:
    found, skipped = listed(["lora", "step"], folder=tmp_path)
    assert [one.group for one in found] == ["step"]
    (words,) = skipped
    assert words.startswith("lora is skipped: there is no ")


def test_the_known_traces() -> None:
    if not FOLDER.is_dir():
        pytest.skip(f"no traces at {FOLDER}")
    found, _ = listed(["lora", "nab_elb", "nab_twitter", "azure_llm_2023_conv", "mooncake_synthetic"])
    loads = {one.workload.name: one.workload for one in found}
    assert len(loads) == 8
    assert loads["lora"].items.sum() == 14_279
    assert loads["lora"].service_s == pytest.approx(26.424, abs=0.001)
    assert loads["lora"].starts_at.weekday() == 4
    assert loads["nab_elb"].starts_at.hour == 0
    assert {load.tick_s for load in loads.values() if load.days > 1} == {60}
    assert loads["azure_llm_2023_conv"].tick_s == loads["mooncake_synthetic"].tick_s == 15
    for name, load in loads.items():
        if name != "lora":
            assert load.work_s.sum() / (load.ticks * load.tick_s) == pytest.approx(4), name


def test_any_other_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("series,timestamp,value\nA,2026-01-05T00:00Z,1\nA,2026-01-05T00:05Z,2\n", encoding="utf-8")
    ((load, mended),) = read(path, service="30")
    assert (load.name, load.service_s, mended) == ("mine_A", 30, ())
