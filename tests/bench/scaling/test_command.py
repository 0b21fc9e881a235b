"""`python -m bench.scaling`, end to end on small loads."""

import csv
import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.scaling import reuse
from bench.scaling.__main__ import main
from bench.scaling.compare import Job, Source, promise_for, run
from bench.scaling.goals import Course, Runner
from shared.decisions import scaling

HOURS = 4
VERDICT = {"goal", "passed", "told", "conditional"}


def write(path: Path, rows: list[tuple[Any, ...]]) -> Path:
    with gzip.open(path, "wt", newline="") as file:
        csv.writer(file).writerows(rows)
    return path


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    """Some hundred requests of half a minute each, most of them in the third hour."""
    rng = np.random.default_rng(1)
    at_s = np.sort(np.concatenate((rng.uniform(0, HOURS * 3600, 200), rng.uniform(7200, 10_800, 600))))
    return write(tmp_path / "mine.csv.gz", [("t_s", "exec_time_seconds"), *((f"{t:.3f}", "30.0") for t in at_s)])


@pytest.fixture
def series(tmp_path: Path) -> Path:
    rows = [
        (f"2026-03-02T{minute // 60:02d}:{minute % 60:02d}:00Z", 20 + round(15 * math.sin(minute / 60)))
        for minute in range(0, HOURS * 60, 5)
    ]
    return write(tmp_path / "rates.csv.gz", [("timestamp", "value"), *rows])


def figures_of(tmp_path: Path, *argv: str) -> dict[str, Any]:
    out = tmp_path / "out.json"
    assert main([*argv, "--json", str(out), "--jobs", "1"]) == 0
    told: dict[str, Any] = json.loads(out.read_text())
    return told


def test_a_trace_of_requests(requests: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = figures_of(tmp_path, "--arrivals", str(requests), "--seeds", "2", "--plots", str(tmp_path / "plots"))
    (contest,) = told["contests"]
    assert contest["learnable"] is None
    assert (contest["cold_start_s"], contest["promise_s"]) == (900.0, 600.0)
    assert {"half", "cost", "reversals", "undone", "nowhere worse"} == {goal["goal"] for goal in contest["goals"]}
    assert all(set(goal) == VERDICT for goal in contest["goals"])
    assert len(contest["peers"]) > 20
    for runner in (contest["ours"], contest["clairvoyant"], *contest["peers"]):
        assert len(runner["seeds"]) == 2
        for seed in runner["seeds"]:
            assert 0 <= seed["late_share"] <= 1
            assert seed["instance_hours"] >= HOURS * 0.99  # at least one instance is always there
    printed = capsys.readouterr()
    assert "mine" in printed.out
    assert "PASS" in printed.out or "FAIL" in printed.out
    assert "2/2" in printed.err
    assert (tmp_path / "plots" / "mine_900.png").stat().st_size > 10_000


def test_a_series_of_rates_with_another_promise_and_cold_start(series: Path, tmp_path: Path) -> None:
    options = ["--cold-start", "120", "--drain-within", "240", "--seeds", "1", "--service", "10", "--column", "value"]
    told = figures_of(tmp_path, "--arrivals", str(series), *options)
    (contest,) = told["contests"]
    assert (contest["cold_start_s"], contest["promise_s"]) == (120.0, 240.0)
    assert {"frontier", "nowhere worse"} == {goal["goal"] for goal in contest["goals"]}


def test_what_was_mended_on_reading_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [(f"2026-03-02T{minute // 60:02d}:{minute % 60:02d}:00Z", 20) for minute in range(0, 120, 5)]
    gap = write(tmp_path / "gap.csv.gz", [("timestamp", "value"), *rows[:10], *rows[12:]])
    (told,) = figures_of(tmp_path, "--arrivals", str(gap), "--seeds", "1", "--service", "10")["mended"]
    assert told.startswith("gap: 2 missing values in 1 gaps were filled")
    assert told in capsys.readouterr().err


def test_azures_terms_are_everybodys(requests: Path, tmp_path: Path) -> None:
    free, bound = (
        figures_of(tmp_path, "--arrivals", str(requests), "--seeds", "1", *terms) for terms in ([], ["--one-operation"])
    )
    assert (free["one_operation"], bound["one_operation"]) == (False, True)
    assert free["contests"][0]["peers"] != bound["contests"][0]["peers"]


def test_another_decision_changes_our_figures_and_no_others(requests: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Job(source=Source(path=requests), index=0, cold_start_s=900.0, seed=0)
    before, decide = run(job), scaling.decide
    monkeypatch.setattr(scaling, "decide", lambda *seen: ((), decide(*seen)[1]))
    after = run(job)
    assert after.ours != before.ours
    assert (after.peers, after.clairvoyant) == (before.peers, before.clairvoyant)


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--arrivals", "{}/absent.csv"], "cannot be read"),
        (["--arrivals", "{}/bad.csv"], "cannot be used"),
        (["--arrivals", "{}/bad.csv", "--workload", "step"], "leave one of them out"),
        (["--column", "value"], "--arrivals FILE"),
    ],
)
def test_what_cannot_be_used_is_told(
    argv: list[str], words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.csv").write_text("when,what\n1,2\n")
    assert main([part.replace("{}", str(tmp_path)) for part in argv]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    "argv",
    [
        ["--seeds", "0"],
        ["--cold-start", "-3"],
        ["--workload", "none such"],
        ["--drain-within", "soon"],
        ["--drain-within", "0.05"],
        ["--json", "/no/such/folder/out.json"],
    ],
)
def test_bad_options_end_with_two(argv: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(argv)
    assert ended.value.code == 2


@pytest.mark.parametrize("service", ["20000", "800000"])
def test_long_work_is_played_or_refused_in_words(
    service: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trace of a few requests a day takes hours of four instances for each."""
    path = write(tmp_path / "few.csv.gz", [("t_s",), *((str(6000 * n),) for n in range(12))])
    ended = main(["--arrivals", str(path), "--seeds", "1", "--jobs", "1", "--service", service])
    told = capsys.readouterr()
    assert (ended, "few" in told.out) == ((0, True) if service == "20000" else (2, False))
    assert (service == "20000") or "give --service SECONDS" in told.err


def test_promises_were_fixed_before() -> None:
    assert [promise_for(cold_start_s, 10.0) for cold_start_s in (900.0, 180.0, 30.0)] == [600.0, 600.0, 120.0]
    assert promise_for(30.0, 100.0) == 400.0
    assert promise_for(900.0, 200.0) == 800.0


def test_what_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    course = Course(
        late_share=0.1,
        p99_delay_s=math.inf,
        instance_hours=3.0,
        reversals_per_day=1.0,
        changes_per_day=2.0,
        undone=0.0,
    )
    runners = [Runner(name="one", courses=(course,)), Runner(name="two", courses=(course,), queue_per_target=True)]
    path = tmp_path / "new" / "kept.json"
    assert reuse.load(path) is None
    reuse.save(path, runners)
    assert reuse.load(path) == runners
