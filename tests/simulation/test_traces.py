"""Reading recorded arrivals: tolerant in how they are written, exact about what is wrong."""

import gzip
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from shared.simulation.traces import SHOWN, Trace, TraceInvalid, parse


def one(text: str, *, column: str | None = None, service: str | None = None) -> Trace:
    (trace,) = parse(text.encode(), "f.csv", column=column, service=service)
    return trace


def refusal(text: str | bytes, *, column: str | None = None, service: str | None = None) -> str:
    with pytest.raises(TraceInvalid) as raised:
        parse(text.encode() if isinstance(text, str) else text, "f.csv", column=column, service=service)
    return str(raised.value)


def test_requests_with_their_service_times() -> None:
    trace = one("created,t_s,exec_time_seconds\n2024-11-15 16:57:50,0,32.0\n2024-11-15 16:58:50,60,43.5\n")
    assert list(trace.times_s) == [0, 60]
    assert trace.service_s is not None
    assert list(trace.service_s) == [32, 43.5]
    assert trace.starts_at == datetime(2024, 11, 15, 16, 57, 50, tzinfo=UTC)


def test_milliseconds_and_tokens() -> None:
    trace = one("t_ms,input_length,output_length\n0,40,6\n1500,30,7\n")
    assert list(trace.times_s) == [0, 1.5]
    assert trace.tokens is not None
    assert [list(tokens) for tokens in trace.tokens] == [[40, 30], [6, 7]]
    assert trace.starts_at is None


def test_a_rate_series_and_its_step() -> None:
    trace = one("timestamp,value\n2014-04-10 00:04:00,94.0\n2014-04-10 00:09:00,56\n")
    assert trace.values is not None
    assert list(trace.values) == [94, 56]
    assert (trace.step_s, trace.span_s) == (300, 600)
    assert trace.starts_at == datetime(2014, 4, 10, 0, 4, tzinfo=UTC)


def test_each_series_is_a_trace_with_its_own_start() -> None:
    rows = ["A,2026-01-05T00:00Z,1", "B,2026-01-06T00:00Z,3", "A,2026-01-05T01:00Z,2", "B,2026-01-06T01:00Z,4"]
    text = "\n".join(["series,timestamp,value", *rows])
    first, second = parse(text.encode(), "f.csv")
    assert (first.name, second.name) == ("A", "B")
    assert second.values is not None
    assert list(second.values) == [3, 4]
    assert second.starts_at == datetime(2026, 1, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "\ufefft_s\n0\n60\n",
        "T_S\r\n0\r\n60\r\n",
        "t_s\n\n0\n  \n60\n\n",
        "t_s\n60\n0\n",
        "t_s;a;b\n0;1,5;x\n60;2,5;y\n",
        "timestamp\n2026-01-05T00:00:00Z\n2026-01-05T00:01:00Z\n",
        "Timestamp\n2026-01-05 00:00:00.0000000\n2026-01-05 00:01:00.0000000\n",
        "timestamp\n2026/01/05 01:00:00+01:00\n2026/01/05 01:01:00+01:00\n",
        "timestamp\n1767571200\n1767571260\n",
        "timestamp\n1767571200000\n1767571260000\n",
        "t_ms\n1767571200000\n1767571260000\n",
        "arrival\n0\n60\n",
    ],
)
def test_ways_to_write_two_requests_a_minute_apart(text: str) -> None:
    trace = one(text)
    assert list(trace.times_s) == [0, 60]
    assert trace.values is None
    assert trace.starts_at in (None, datetime(2026, 1, 5, tzinfo=UTC))


def test_utf_16_and_gzip() -> None:
    raw = gzip.compress("t_s,exec_time_seconds\n0,1\n60,2\n".encode("utf-16"), mtime=0)
    (trace,) = parse(raw, "f.csv.gz")
    assert list(trace.times_s) == [0, 60]


@pytest.mark.parametrize(
    ("text", "service", "expected"),
    [
        ("timestamp,dur\n2026-01-05T00:00:00Z,3\n2026-01-05T00:01:00Z,5\n", "dur", [3, 5]),
        ("t_s,dur\n0,3\n4,5\n", "dur", [3, 5]),
        ("t_s,user\n0,ada\n4,bob\n", None, None),
        ("t_ms,user\n0,ada\n4000,bob\n", None, None),
    ],
)
def test_a_time_from_the_start_or_a_column_of_service_times_tells_of_single_requests(
    text: str, service: str | None, expected: list[float] | None
) -> None:
    trace = one(text, service=service)
    assert trace.values is None
    assert len(trace.times_s) == 2
    assert (None if trace.service_s is None else list(trace.service_s)) == expected


def test_column_says_which_and_service_overrides() -> None:
    text = "t_s,load,wait_ms\n0,3,100\n60,4,300\n"
    rates = one(text, column="load")
    assert rates.values is not None
    assert list(rates.values) == [3, 4]
    requests = one(text, column="T_S", service="wait_ms")
    assert requests.service_s is not None
    assert list(requests.service_s) == pytest.approx([0.1, 0.3])
    assert one(text, column="t_s", service="12.5").constant_s == 12.5


def test_what_was_mended_is_told() -> None:
    assert "2 rows were earlier" in one("t_s,x,y\n60,,\n0,,\n90,,\n30,,\n").notes[0]
    gaps = one("t_s,value\n" + "".join(f"{t},1\n" for t in (0, 60, 120, 180, 240, 360)))
    assert gaps.notes == [
        "1 missing values in 1 gaps were filled from their neighbours: the longest, of 120 s, before line 7."
    ]
    lacking = one("t_s,exec_time_seconds\n0,2\n60,\n90,4\n")
    assert lacking.service_s is not None
    assert list(lacking.service_s) == [2, 3, 4]
    assert "1 of 3 rows lack" in lacking.notes[0]
    assert [len(t.times_s) for t in [one("t_s,value\n0,1\n60,\n120,1\n180,NaN\n240,2\n300,1\n360,1\n420,1\n")]] == [6]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("t_s\n", "no rows"),
        ("t_s\n5\n", "f.csv:2: t_s:"),
        ("t_s\n5\n5\n", "at least two rows of different times"),
        ("when,value\n1,2\n", "f.csv:1: header: there is no column of times among: when, value"),
        ("0,94\n60,95\n", "there is no column of times among: 0, 94"),
        ("timestamp,load\n0,1\n60,2\n", "say --column load for a rate series"),
        ("t_s,value\n0,1\n60,lots\n", "f.csv:3: value: 'lots' is no number"),
        ("t_s,value\n0,1\n60,-2\n", "f.csv:3: value: -2 is negative"),
        ("t_s,value\n0,1\n60,inf\n", "f.csv:3: value: 'inf' is not finite"),
        ("t_s,value\n0,1\n60,2\n60,3\n", "f.csv:4: t_s: the time of line 3 comes again"),
        ("t_s,value\n0,0\n60,0\n", "is 0 in all rows"),
        ("t_s,value\n0,1\n60,2,3\n", "f.csv:3: row: has 3 cells, the header 2"),
        ("t_s\n-5\n5\n", "f.csv:2: t_s: -5 is negative"),
        ("timestamp\n2026-01-05\n05.01.2026\n", "f.csv:3: timestamp: '05.01.2026' is no ISO 8601 time"),
        ("timestamp\n1970-01-01\n2026-01-05\n", "20,458 days"),
        ("t_s,value\n0,1\n60,1\n120,1\n600,1\n", "7 values of 11 are missing"),
        ("t_s,exec_time_seconds\n0,-1\n60,1\n", "exec_time_seconds: -1 is negative"),
        ("t_s,exec_time_seconds\n0,\n60,\n", "is 0 in all rows"),
        (b"t_s\n\xff1\n", "f.csv:2: file: is not UTF-8"),
        (b"\x1f\x8bnonsense", "no whole gzip file"),
        (gzip.compress(b"t_s\n" + b"12345\n" * 5000, mtime=0)[:-20], "no whole gzip file"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str | bytes, says: str) -> None:
    assert says.lower() in refusal(text).lower()


def test_options_that_do_not_fit() -> None:
    text = "t_s,value\n0,1\n60,2\n"
    assert "there is no column 'depth'. Name one of: t_s, value." in refusal(text, column="depth")
    assert "there is no column 'cost'" in refusal("t_s\n0\n1\n", service="cost")
    assert "Give seconds" in refusal(text, service="value")
    assert "Give seconds above 0" in refusal(text, service="-3")


def test_all_that_is_wrong_is_said_at_once_up_to_a_limit() -> None:
    words = refusal("t_s,value\n" + "x,y\n" * 30)
    assert "(30 problems)" in words
    assert words.count("Give seconds from the start") == SHOWN
    assert words.endswith("and 10 more.")


def test_reading_needs_no_numpy() -> None:
    code = "import sys, shared.simulation.traces; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
