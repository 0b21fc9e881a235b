"""Arrivals: when messages come, and the player that sends them.

Times are known before the play begins, from a list, a surge, or a trace, so that its length can be told in advance.
"""

import asyncio
import csv
import gzip
import io
import itertools
import math
import random
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Protocol

from local.activity import Activity
from local.clock import Clock

TIME_COLUMN = "t_s"


class ArrivalsError(ValueError):
    """Arrival times that cannot be played; the message says where and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surge:
    """A base rate with a higher one from `starts_at_s` on, for `lasts_s`; rates are messages a second."""

    base_rate: float
    surge_rate: float
    starts_at_s: float
    lasts_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if min(self.base_rate, self.surge_rate, self.starts_at_s, self.lasts_s) < 0:
            raise ArrivalsError(f"rates and times of a surge must not be negative: {self}")
        if self.starts_at_s + self.lasts_s > self.duration_s:
            raise ArrivalsError(f"the surge ends after the play, at {self.starts_at_s + self.lasts_s:g} s: {self}")

    def phases(self) -> Sequence[tuple[float, float, float]]:
        """(rate, from, until) in order of time."""
        end_s = self.starts_at_s + self.lasts_s
        return [
            (self.base_rate, 0.0, self.starts_at_s),
            (self.surge_rate, self.starts_at_s, end_s),
            (self.base_rate, end_s, self.duration_s),
        ]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Times in seconds from the start, ascending, and how long the play lasts: at least until the last of them."""

    times_s: tuple[float, ...]
    duration_s: float

    @classmethod
    def at(cls, times_s: Iterable[float], duration_s: float | None = None) -> "Arrivals":
        """From a list, in any order. Raises `ArrivalsError` for a time that is negative or no number."""
        times = sorted(times_s)
        for time_s in times:
            if not math.isfinite(time_s) or time_s < 0:
                raise ArrivalsError(f"an arrival must be a number of seconds from 0, got {time_s!r}")
        last_s = times[-1] if times else 0.0
        return cls(tuple(times), last_s if duration_s is None else max(duration_s, last_s))

    @classmethod
    def of_surge(cls, surge: Surge, rng: random.Random) -> "Arrivals":
        """A Poisson process with the rates of the surge."""
        times = itertools.chain.from_iterable(_poisson(rng, *phase) for phase in surge.phases())
        return cls.at(times, surge.duration_s)

    @classmethod
    def from_csv(cls, path: Path) -> "Arrivals":
        """From the column `t_s` of a CSV file, or of a gzipped one (`.gz`). Raises `ArrivalsError`."""
        times = [_time_of(row, path, line) for line, row in _rows(path)]
        if not times:
            raise ArrivalsError(f"{path.name}: no rows after the header; give a file with at least one arrival")
        return cls.at(times)

    def scaled(self, *, speed_up: float = 1.0, scale: float = 1.0) -> "Arrivals":
        """`speed_up` times as fast, `scale` times as many messages, evenly (2: each twice; 0.5: every other one)."""
        if not (math.isfinite(speed_up) and speed_up > 0 and math.isfinite(scale) and scale > 0):
            raise ArrivalsError(f"speed_up and scale must be above 0, got {speed_up:g} and {scale:g}")
        times = [
            time_s / speed_up
            for n, time_s in enumerate(self.times_s)
            for _ in range(math.floor((n + 1) * scale) - math.floor(n * scale))
        ]
        return Arrivals(tuple(times), self.duration_s / speed_up)


class Outbox(Protocol):
    """A queue as a sender sees it."""

    async def send(self, bodies: Sequence[bytes]) -> None: ...

    def busy(self) -> bool: ...


def numbered(n: int) -> bytes:
    """The body of the n-th message, if nobody wants another."""
    return b'{"n": %d}' % n


class Player:
    """Sends one message an arrival. `start()` it on an event loop; `sent` counts up to `len(arrivals.times_s)`.

    Arrivals are sent in bunches of `step_s`, late by at most that: one instant of virtual time a step, not a message.
    A failure to send ends the play; `await finished()` raises it.
    """

    def __init__(
        self,
        arrivals: Arrivals,
        outbox: Outbox,
        clock: Clock,
        *,
        body_of: Callable[[int], bytes] = numbered,
        step_s: float = 0.1,
    ) -> None:
        self.arrivals = arrivals
        self.sent = 0
        self._outbox = outbox
        self._body_of = body_of
        self._step_s = step_s
        self._activity = Activity(clock)
        self._finished: asyncio.Future[None] | None = None

    def busy(self) -> bool:
        return self._activity.busy() or self._outbox.busy()

    def start(self) -> None:
        self._activity.open()
        self._finished = asyncio.get_running_loop().create_future()
        self._activity.spawn(self._play_to_the_end(self._finished))

    async def stop(self) -> None:
        """Send nothing more."""
        await self._activity.close()

    async def finished(self) -> None:
        """Wait until everything is sent. Raises what the outbox raised, and `CancelledError` after `stop()`."""
        if self._finished is None:
            raise RuntimeError("not started: call start() first")
        await asyncio.shield(self._finished)

    async def _play_to_the_end(self, finished: asyncio.Future[None]) -> None:
        try:
            await self._play()
        except Exception as error:
            finished.set_exception(error)
        except asyncio.CancelledError:
            finished.cancel()
            raise
        else:
            finished.set_result(None)

    async def _play(self) -> None:
        clock = self._activity.clock
        start = clock.now()
        for step, bunch in itertools.groupby(self.arrivals.times_s, self._step_of):
            count = len(list(bunch))
            due = start + timedelta(seconds=step * self._step_s)
            await self._activity.sleep((due - clock.now()).total_seconds())
            bodies = [self._body_of(n) for n in range(self.sent, self.sent + count)]
            await self._activity.uncounted(self._outbox.send(bodies))
            self.sent += count

    def _step_of(self, time_s: float) -> int:
        return math.ceil(round(time_s / self._step_s, 6))


def _poisson(rng: random.Random, rate: float, from_s: float, until_s: float) -> Iterable[float]:
    time_s = from_s
    while rate > 0:
        time_s += rng.expovariate(rate)
        if time_s >= until_s:
            return
        yield time_s


def _rows(path: Path) -> Iterable[tuple[int, dict[str, str | None]]]:
    """(line, row) of the file; every way in which it cannot be read becomes an `ArrivalsError`."""
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as raw:
            reader = csv.DictReader(io.TextIOWrapper(raw, encoding="utf-8", newline=""))
            if TIME_COLUMN not in (reader.fieldnames or ()):
                found = ", ".join(reader.fieldnames or ()) or "nothing"
                remedy = f"name the column of seconds {TIME_COLUMN}"
                raise ArrivalsError(f"{path.name}, line 1: no column {TIME_COLUMN}, found {found}; {remedy}")
            for row in reader:
                yield reader.line_num, row
    except OSError as error:
        remedy = "is it a gzip file?" if isinstance(error, gzip.BadGzipFile) else "is the path right?"
        raise ArrivalsError(f"{path}: {error.strerror or error}; {remedy}") from error
    except (EOFError, zlib.error) as error:
        raise ArrivalsError(f"{path.name}: the gzip file is damaged ({error}); fetch it again") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ArrivalsError(f"{path.name}: not a CSV file in UTF-8 ({error}); a gzipped one must end in .gz") from error


def _time_of(row: dict[str, str | None], path: Path, line: int) -> float:
    text = row[TIME_COLUMN]
    try:
        time_s = float(text or "")
    except ValueError:
        time_s = math.nan
    if not math.isfinite(time_s) or time_s < 0:
        problem = f"{text!r} is no number of seconds from 0; correct or remove it"
        raise ArrivalsError(f"{path.name}, line {line}, column {TIME_COLUMN}: {problem}")
    return time_s
