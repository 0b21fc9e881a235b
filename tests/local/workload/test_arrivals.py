"""Arrival times from lists, surges and traces; the player sends exactly one message for each."""

import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.workload import Arrivals, ArrivalsError, Player, Surge
from tests.local.workload.harness import World

TRACE = Path(__file__).parents[4] / "shared" / "data" / "traces" / "azure_llm_2023_conv.csv.gz"
SURGE = Surge(base_rate=1, surge_rate=20, starts_at_s=60, lasts_s=30, duration_s=120)


async def test_every_arrival_is_one_message_at_its_time() -> None:
    world = World()
    player = world.play(Arrivals.at([0, 1, 1, 2.5, 10]))
    seen = list[tuple[float, int]]()
    for at_s in (0, 1, 2.4, 2.6, 9.9, 10):
        await world.clock.advance(at_s - (seen[-1][0] if seen else 0))
        seen.append((at_s, world.queue.counts().active))
    assert seen == [(0, 1), (1, 3), (2.4, 3), (2.6, 4), (9.9, 4), (10, 5)]
    await player.finished()
    assert player.sent == 5
    assert [delivery.body for delivery in world.queue.receive(9)] == [b'{"n": %d}' % n for n in range(5)]


async def test_depth_is_what_came_minus_what_was_done() -> None:
    world = World()
    world.estate.add("blue", 4)
    world.dispatcher(concurrency=16)
    surge = Surge(base_rate=1, surge_rate=15, starts_at_s=5, lasts_s=10, duration_s=20)
    arrivals = Arrivals.of_surge(surge, random.Random(2))
    player = world.play(arrivals)
    await world.clock.advance(15)
    held = world.queue.counts().locked
    assert world.queue.counts().active == player.sent - world.completions - held
    assert 70 <= world.queue.counts().active <= 130, "15 a second come and 4 a second go for 10 s"
    await world.clock.advance(40)
    assert world.completions == player.sent == len(arrivals.times_s)


def test_a_surge_has_its_rates_in_its_phases_and_the_same_seed_gives_the_same_times() -> None:
    arrivals = Arrivals.of_surge(SURGE, random.Random(1))
    inside = sum(60 <= time_s < 90 for time_s in arrivals.times_s)
    outside = len(arrivals.times_s) - inside
    assert 500 <= inside <= 700
    assert 60 <= outside <= 120
    assert arrivals.duration_s == 120
    assert arrivals == Arrivals.of_surge(SURGE, random.Random(1)) != Arrivals.of_surge(SURGE, random.Random(2))


def test_a_rate_of_zero_brings_nothing() -> None:
    quiet = Surge(base_rate=0, surge_rate=5, starts_at_s=10, lasts_s=10, duration_s=60)
    times_s = Arrivals.of_surge(quiet, random.Random(1)).times_s
    assert times_s
    assert all(10 <= time_s < 20 for time_s in times_s)


@pytest.mark.parametrize("wrong", [{"base_rate": -1}, {"lasts_s": 100}, {"starts_at_s": -5}])
def test_a_surge_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    shape = {"base_rate": 1, "surge_rate": 20, "starts_at_s": 60, "lasts_s": 30, "duration_s": 120, **wrong}
    with pytest.raises(ArrivalsError):
        Surge(**shape)


@pytest.mark.parametrize("time_s", [-1, float("nan"), float("inf")])
def test_a_time_that_is_none_is_refused(time_s: float) -> None:
    with pytest.raises(ArrivalsError, match="seconds from 0"):
        Arrivals.at([1, time_s])


@given(times_s=st.lists(st.floats(0, 1e6), max_size=60), speed_up=st.floats(0.01, 1000), scale=st.floats(0.05, 5))
def test_scaling_keeps_order_and_shape(times_s: list[float], speed_up: float, scale: float) -> None:
    original = Arrivals.at(times_s)
    scaled = original.scaled(speed_up=speed_up, scale=scale)
    assert len(scaled.times_s) == int(len(times_s) * scale)
    assert list(scaled.times_s) == sorted(scaled.times_s)
    assert set(scaled.times_s) <= {time_s / speed_up for time_s in original.times_s}
    assert all(time_s <= scaled.duration_s for time_s in scaled.times_s)


@pytest.mark.parametrize(("speed_up", "scale"), [(0, 1), (1, 0), (-1, 1), (float("nan"), 1)])
def test_a_factor_must_be_above_zero(speed_up: float, scale: float) -> None:
    with pytest.raises(ArrivalsError, match="above 0"):
        Arrivals.at([1]).scaled(speed_up=speed_up, scale=scale)


@pytest.mark.parametrize("packed", [False, True])
def test_a_trace_is_read_from_its_column(tmp_path: Path, packed: bool) -> None:
    text = b"name,t_s\na,3.5\nb,0\n\nc,1e1\n"
    path = tmp_path / ("trace.csv.gz" if packed else "trace.csv")
    path.write_bytes(gzip.compress(text) if packed else text)
    assert Arrivals.from_csv(path) == Arrivals((0, 3.5, 10), 10)


BAD_FILES = [
    ("a.csv", b"", r"line 1: no column t_s, found nothing"),
    ("a.csv", b"t_ms,x\n1,2\n", r"line 1: no column t_s, found t_ms, x; name the column"),
    ("a.csv", b"t_s\n", r"no rows after the header"),
    ("a.csv", b"t_s,x\n1,2\nsoon,3\n", r"a\.csv, line 3, column t_s: 'soon' is no number of seconds"),
    ("a.csv", b"t_s,x\n-1,2\n", r"line 2, column t_s: '-1'"),
    ("a.csv", b"t_s\nnan\n", r"line 2, column t_s: 'nan'"),
    ("a.csv", b"x,t_s\n1\n", r"line 2, column t_s: None"),
    ("a.csv", b"t_s\n\xff\xfe\n", r"not a CSV file in UTF-8"),
    ("a.csv", gzip.compress(b"t_s\n1\n", mtime=0), r"not a CSV file in UTF-8 .* must end in \.gz"),
    ("a.csv.gz", b"t_s\n1\n", r"is it a gzip file\?"),
    ("a.csv.gz", gzip.compress(b"t_s\n" + b"1\n" * 1000, mtime=0)[:-12], r"gzip file is damaged"),
]


@pytest.mark.parametrize(("name", "content", "complaint"), BAD_FILES, ids=range(len(BAD_FILES)))
def test_a_bad_file_gets_a_clear_error(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ArrivalsError, match=complaint):
        Arrivals.from_csv(tmp_path / name)


def test_a_missing_file_or_a_folder_gets_a_clear_error(tmp_path: Path) -> None:
    for path in (tmp_path / "nowhere.csv", tmp_path, tmp_path / "nowhere.csv.gz"):
        with pytest.raises(ArrivalsError, match="is the path right"):
            Arrivals.from_csv(path)


def test_a_public_trace_can_be_played() -> None:
    if not TRACE.exists():
        pytest.skip(f"the public trace {TRACE.name} is not here")
    arrivals = Arrivals.from_csv(TRACE).scaled(speed_up=60, scale=0.1)
    assert len(arrivals.times_s) > 1900
    assert 0 < arrivals.duration_s < 100


async def test_a_failure_to_send_ends_the_play_and_is_told() -> None:
    class Closed:
        async def send(self, bodies: Sequence[bytes]) -> None:
            raise ConnectionError("the broker is away")

        def busy(self) -> bool:
            return False

    world = World()
    player = Player(Arrivals.at([1, 2]), Closed(), world.clock)
    world.clock.add_busy_probe(player.busy)
    with pytest.raises(RuntimeError, match="not started"):
        await player.finished()
    player.start()
    await world.clock.advance(5)
    with pytest.raises(ConnectionError, match="the broker is away"):
        await player.finished()
    assert player.sent == 0


async def test_nothing_is_sent_after_stop() -> None:
    world = World()
    player = world.play(Arrivals.at([1, 100]))
    await world.clock.advance(5)
    await player.stop()
    await world.clock.advance(200)
    assert player.sent == world.queue.counts().active == 1
