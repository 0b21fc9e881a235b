"""Reads recorded arrivals from CSV: one row per request, or a rate series. Needs no numpy.

One row per request: a time column (`t_s`, `t_ms`, `timestamp`, `created`) and, where there are any, a column of service
times (`exec_time_seconds`) or two of token counts. A rate series: a time column and `value`, the arrivals from that
time on until the next; `series` tells several apart. Headers are compared without case, blanks and underscores.
"""

import csv
import gzip
import io
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

from shared.policy.problems import Problem
from shared.simulation.cells import amount, clock, key, missing

TIMES = ("ts", "tms", "timestamp", "timestampms", "time", "datetime", "created", "createdat", "arrival", "arrivaltime")
# Seconds or milliseconds from the start tell of single requests, whatever stands beside them.
RELATIVE = ("ts", "tms")
VALUES = ("value", "count", "requests")
SERVICES = ("exectimeseconds", "exectimes", "exectimems", "servicetimeseconds", "servicetimes", "servicetimems",
            "services", "durations", "durationseconds", "durationms")  # fmt: skip
PROMPTS = ("contexttokens", "inputlength", "inputtokens", "prompttokens", "promptlength", "requesttokens")
OUTPUTS = ("generatedtokens", "outputlength", "outputtokens", "completiontokens", "responsetokens")

MOST_BYTES = 1_000_000_000
MOST_DAYS = 800
MOST_MISSING_PCT = 25
SHOWN = 20


class TraceInvalid(Exception):
    """The file is no trace. `problems` has what is wrong, with lines; `count` says how many there are in all."""

    def __init__(self, source: str, problems: list[Problem], count: int | None = None) -> None:
        self.source, self.count = source, len(problems) if count is None else count
        self.problems = tuple(problems[:SHOWN])
        head = f"{source} cannot be read as a trace ({self.count} problem{'s' if self.count != 1 else ''}):"
        lines = [head, *(f"  {problem.at(source)}" for problem in self.problems)]
        if self.count > len(self.problems):
            lines.append(f"  and {self.count - len(self.problems)} more.")
        super().__init__("\n".join(lines))


@dataclass(slots=True, kw_only=True)
class Trace:
    """Recorded arrivals. `times_s` rise and begin with 0, which is `starts_at` (None where the file has no date).

    One row per request: `values` is None; `service_s` and `tokens` (prompt, output) one for each where known.
    A rate series: `values` has the arrivals from each time on, for `step_s`, the usual distance of two rows.
    `constant_s` is the service time that was given for all. `notes` say what was mended on reading.
    """

    name: str
    starts_at: datetime | None
    times_s: array[float]
    values: array[float] | None = None
    step_s: float = 0.0
    service_s: array[float] | None = None
    tokens: tuple[array[float], array[float]] | None = None
    constant_s: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def span_s(self) -> float:
        return self.times_s[-1] + self.step_s


def parse(raw: bytes, source: str, *, column: str | None = None, service: str | None = None) -> list[Trace]:
    """All traces of a file (CSV, also gzipped), one a series.

    `column`: the values of a rate series, or the times of requests. `service`: the column of service times, or seconds.
    Raises TraceInvalid with all that is wrong.
    """
    table = _Table(source, _text(raw, source))
    return _Reading(table, column, service).traces()


def _refused(source: str, path: str, reason: str, remedy: str, line: int | None = None) -> TraceInvalid:
    return TraceInvalid(source, [Problem(path=path, reason=reason, remedy=remedy, line=line)])


def _text(raw: bytes, source: str) -> str:
    if raw[:2] == b"\x1f\x8b":
        try:
            with gzip.open(io.BytesIO(raw)) as packed:
                raw = packed.read(MOST_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            reason = f"is no whole gzip file: {error}"
            raise _refused(source, "file", reason, "Copy it again, or give the CSV itself.") from None
    if len(raw) > MOST_BYTES:
        raise _refused(source, "file", f"is longer than {MOST_BYTES:,} bytes", "Give a part of it.")
    try:
        return raw.decode("utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise _refused(source, "file", "is not UTF-8 text", "Save it as CSV in UTF-8.", line) from None


class _Table:
    """The header and the rows that are not blank, with their lines."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        first = next((line for line in text.splitlines() if line.strip()), "")
        counts = {mark: first.count(mark) for mark in (",", ";", "\t")}
        self._rows = csv.reader(io.StringIO(text, newline=""), delimiter=max(counts, key=lambda mark: counts[mark]))
        self.header = [cell.strip() for cell in next((row for row in self._rows if any(row)), [])]
        if not self.header:
            raise _refused(source, "file", "is empty", "Give a header and one row per request or value.")
        self.keys = [key(cell) for cell in self.header]

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        try:
            for row in self._rows:
                if any(cell.strip() for cell in row):
                    yield self._rows.line_num, row
        except csv.Error as error:
            raise _refused(self.source, "row", str(error), "Mend the line.", self._rows.line_num) from None

    def find(self, names: tuple[str, ...]) -> int | None:
        return next((self.keys.index(name) for name in names if name in self.keys), None)

    def must_find(self, name: str, option: str) -> int:
        found = self.find((key(name),))
        if found is None:
            have = ", ".join(self.header)
            raise _refused(self.source, option, f"there is no column {name!r}", f"Name one of: {have}.", 1)
        return found


@dataclass(slots=True)
class _Rows:
    """What was read of one series, as it stands in the file."""

    lines: array[int] = field(default_factory=lambda: array("l"))
    times_s: array[float] = field(default_factory=lambda: array("d"))
    values: list[array[float]] = field(default_factory=list)
    missing: int = 0


class _Reading:
    """One file being read: which columns count, what is wrong."""

    def __init__(self, table: _Table, column: str | None, service: str | None) -> None:
        self.table = table
        self.problems: list[Problem] = []
        self.count = 0
        self.absolute = False
        self.start_s: float | None = None
        self.constant_s = self._seconds(service)
        service = service if self.constant_s is None else None
        self._choose(column, service)
        self._choose_cells(service)

    def _seconds(self, service: str | None) -> float | None:
        if service is None or key(service) in self.table.keys:
            return None
        try:
            seconds = amount(service)
        except ValueError as error:
            if "negative" not in str(error):
                return None  # a column's name, looked up later
            seconds = 0.0
        if seconds <= 0:
            raise _refused(self.table.source, "service", f"is {service}", "Give seconds above 0, or a column.")
        return seconds

    def _choose(self, column: str | None, service: str | None) -> None:
        """The column of times and that of values (None: one row per request, which a service time of each says too)."""
        table = self.table
        named = None if column is None else table.must_find(column, "column")
        is_time = named is not None and table.keys[named] in TIMES
        time = named if is_time else table.find(TIMES)
        if time is None:
            have = ", ".join(table.header)
            remedy = "Name it t_s (seconds), t_ms, or timestamp (ISO 8601), in the first line."
            raise _refused(table.source, "header", f"there is no column of times among: {have}", remedy, 1)
        self.time = time
        self.value = None if is_time else named if named is not None else table.find(VALUES)
        self.series = table.find(("series",)) if self.value is not None else None
        others = [n for n in range(len(table.header)) if n != time]
        said = column is not None or service is not None or table.keys[time] in RELATIVE
        if not said and self.value is None and len(others) == 1 and not self._known(others[0]):
            name = table.header[others[0]]
            reason = f"it is not clear whether {name!r} counts arrivals or tells of one request"
            remedy = f"Say --column {name} for a rate series, --column {table.header[time]} for one row per request."
            raise _refused(table.source, "header", reason, remedy, 1)

    def _known(self, column: int) -> bool:
        return self.table.keys[column] in (*TIMES, *SERVICES, *PROMPTS, *OUTPUTS)

    def _choose_cells(self, service: str | None) -> None:
        """The columns of numbers besides the time: the value; or the service time; or the tokens."""
        table, self.kind = self.table, ""
        self.cells: list[tuple[int, float]] = []
        if service is not None and self.value is not None:
            reason = f"{service!r} is no number, and a rate series has no service time of each request"
            raise _refused(table.source, "service", reason, "Give seconds.")
        named = table.must_find(service, "service") if service is not None else table.find(SERVICES)
        prompt, output = table.find(PROMPTS), table.find(OUTPUTS)
        if self.value is not None:
            self.kind, self.cells = "value", [(self.value, 1.0)]
        elif named is not None and self.constant_s is None:
            self.kind, self.cells = "service", [(named, 1e-3 if table.keys[named].endswith("ms") else 1.0)]
        elif prompt is not None and output is not None and self.constant_s is None:
            self.kind, self.cells = "tokens", [(prompt, 1.0), (output, 1.0)]

    def wrong(self, line: int | None, column: str, reason: str, remedy: str) -> None:
        self.count += 1
        if self.count <= SHOWN:
            self.problems.append(Problem(path=column, reason=reason, remedy=remedy, line=line))

    def traces(self) -> list[Trace]:
        series = self._read()
        if not series and not self.count:
            self.wrong(None, "file", "has a header but no rows", "Give one row per request or value.")
        traces = [] if self.count else [self._trace(name, rows) for name, rows in series.items()]
        if self.count:
            raise TraceInvalid(self.table.source, self.problems, self.count)
        return traces

    def _read(self) -> dict[str, _Rows]:
        series: dict[str, _Rows] = {}
        read_time: Callable[[str], float] | None = None
        header = self.table.header
        for line, row in self.table.rows():
            if len(row) != len(header):
                self.wrong(line, "row", f"has {len(row)} cells, the header {len(header)}", "Mend or remove the line.")
                continue
            if read_time is None:
                read_time, self.absolute = clock(header[self.time], row[self.time])
            name = row[self.series].strip() if self.series is not None else ""
            self._read_row(line, row, read_time, series.setdefault(name, _Rows()))
        return series

    def _read_row(self, line: int, row: list[str], read_time: Callable[[str], float], rows: _Rows) -> None:
        header = self.table.header
        try:
            at_s = read_time(row[self.time])
        except ValueError as error:
            remedy = "Give seconds from the start, or ISO 8601 such as 2026-01-05T08:00:00Z; the same in all rows."
            self.wrong(line, header[self.time], str(error), remedy)
            return
        numbers = [float("nan")] * len(self.cells)
        for n, (column, scale) in enumerate(self.cells):
            if missing(row[column]):
                continue
            try:
                numbers[n] = amount(row[column]) * scale
            except ValueError as error:
                remedy = "Give a number of 0 or more, or leave the cell empty where it is not known."
                self.wrong(line, header[column], str(error), remedy)
        if any(number != number for number in numbers):
            rows.missing += 1
            if self.kind == "value":
                return
        if self.start_s is None and not self.absolute:
            self.start_s = self._date(row, at_s)
        rows.lines.append(line)
        rows.times_s.append(at_s)
        rows.values = rows.values or [array("d") for _ in self.cells]
        for kept, value in zip(rows.values, numbers, strict=True):
            kept.append(value)

    def _date(self, row: list[str], at_s: float) -> float | None:
        """Since 1970, of the second 0 of a file that has dates besides."""
        for column, name in enumerate(self.table.keys):
            if name in TIMES and column != self.time and not missing(row[column]):
                try:
                    read, absolute = clock(self.table.header[column], row[column])
                    return read(row[column]) - at_s if absolute else None
                except ValueError:
                    return None
        return None

    def _trace(self, name: str, rows: _Rows) -> Trace:
        notes: list[str] = []
        _sort(rows, notes)
        times_s, label = rows.times_s, f"{self.table.source}{f' {name}' if name else ''}"
        first_s = times_s[0] if times_s else 0.0
        time = self.table.header[self.time]
        self._check_span(rows, time, label)
        since_s = first_s if self.absolute else None if self.start_s is None else self.start_s + first_s
        starts_at = None if since_s is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=since_s)
        trace = Trace(name=name, starts_at=starts_at, times_s=array("d", (at_s - first_s for at_s in times_s)),
                      constant_s=self.constant_s, notes=notes)  # fmt: skip
        if self.kind == "value":
            trace.values = rows.values[0] if rows.values else array("d")
            self._check_rates(trace, rows, time, label)
        elif self.kind and not self.count:
            filled = [_filled(column, rows.missing, notes) for column in rows.values]
            if self.kind == "service":
                trace.service_s = filled[0]
            else:
                trace.tokens = (filled[0], filled[1])
            if sum(filled[0]) <= 0:
                self.wrong(None, self.table.header[self.cells[0][0]], f"of {label} is 0 in all rows",
                           "Give seconds by --service.")  # fmt: skip
        return trace

    def _check_span(self, rows: _Rows, time: str, label: str) -> None:
        times_s = rows.times_s
        if len(times_s) < 2 or times_s[-1] <= times_s[0]:
            reason = f"{label} has {len(times_s)} row{'s' if len(times_s) != 1 else ''} at one time"
            self.wrong(
                rows.lines[0] if rows.lines else None, time, reason, "Give at least two rows of different times."
            )
        elif times_s[-1] - times_s[0] > MOST_DAYS * 86_400:
            days = (times_s[-1] - times_s[0]) / 86_400
            reason = f"{days:,.0f} days lie between the first row (line {rows.lines[0]}) and this one, the last"
            self.wrong(rows.lines[-1], time, reason, f"Mend the times, or give at most {MOST_DAYS} days.")

    def _check_rates(self, trace: Trace, rows: _Rows, time: str, label: str) -> None:
        times_s, values = trace.times_s, trace.values
        steps = [later - earlier for earlier, later in pairwise(times_s)]
        for n, step in enumerate(steps):
            if step <= 0:
                remedy = "Give one value a time; a column named series tells several series apart."
                self.wrong(rows.lines[n + 1], time, f"the time of line {rows.lines[n]} comes again", remedy)
        if self.count or not values:
            return
        trace.step_s = median(steps)
        if sum(values) <= 0:
            self.wrong(None, "value", f"of {label} is 0 in all rows", "Give a trace in which something arrives.")
        gaps = [n for n, step in enumerate(steps) if step > 1.5 * trace.step_s]
        if not gaps:
            return
        lacking = round(sum(steps[n] / trace.step_s - 1 for n in gaps))
        worst = max(gaps, key=lambda n: steps[n])
        where = f"the longest, of {steps[worst]:,.0f} s, before line {rows.lines[worst + 1]}"
        if 100 * lacking > MOST_MISSING_PCT * (lacking + len(values)):
            reason = f"{lacking} values of {lacking + len(values)} are missing in {len(gaps)} gaps ({where})"
            remedy = "Add the rows (with 0 where nothing arrived), or give a part without gaps."
            self.wrong(rows.lines[worst + 1], time, reason, remedy)
        trace.notes.append(f"{lacking} missing values in {len(gaps)} gaps were filled from their neighbours: {where}.")


def _sort(rows: _Rows, notes: list[str]) -> None:
    times_s = rows.times_s
    late = sum(later < earlier for earlier, later in pairwise(times_s))
    if late:
        order = sorted(range(len(times_s)), key=times_s.__getitem__)
        rows.lines = array("l", (rows.lines[n] for n in order))
        rows.times_s = array("d", (times_s[n] for n in order))
        rows.values = [array("d", (column[n] for n in order)) for column in rows.values]
        notes.append(f"{late} rows were earlier than the row before: sorted by time.")


def _filled(column: array[float], lacking: int, notes: list[str]) -> array[float]:
    """NaN replaced by the mean of the others."""
    if not lacking:
        return column
    known = [value for value in column if value == value]
    mean = sum(known) / len(known) if known else 0.0
    note = f"{lacking} of {len(column)} rows lack a service time or tokens: the mean of the others is taken."
    if note not in notes:
        notes.append(note)
    return array("d", (value if value == value else mean for value in column))
