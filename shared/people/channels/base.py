"""What a way to people is asked, and what it can answer."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Literal, Protocol

from shared.domain import Notice
from shared.people.templates import Message
from shared.policy.notices import Channel

SEND_TIMEOUT_S = 10.0
"""For one request to the other side, in real seconds."""

LONGEST_RETRY_AFTER_S = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One notice for one recipient ("" for whoever reads the channel).

    `operation` is the same at every attempt of a delivery, for services that can tell a repetition by it. `tried`
    says that it may have arrived already.
    """

    channel: Channel
    notice: Notice
    message: Message
    recipient: str
    operation: str
    tried: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of an attempt.

    `delivered`: the other side has it, and calls it `receipt`. `accepted`: it works on it; ask later. `refused`: never
    so, a repetition would not help. `later`: no, or no answer; again after `retry_after_s` if the other side said so.
    """

    kind: Literal["delivered", "accepted", "refused", "later"]
    receipt: str = ""
    problem: str = ""
    retry_after_s: float | None = None


class Sender(Protocol):
    """Sends through the channels of one kind. Raises nothing that is the other side's fault."""

    async def send(self, parcel: Parcel) -> Result: ...

    async def follow(self, parcel: Parcel) -> Result:
        """How it goes with what was accepted."""
        ...

    async def close(self) -> None: ...


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds of a Retry-After header, which is a number or a date; None if it is neither. Never more than an hour.

    A date is taken relative to the answer's own Date, so that nobody's clock must be right.
    """
    wish = headers.get("Retry-After") or ""
    try:
        seconds = float(wish)
    except ValueError:
        try:
            since = parsedate_to_datetime(headers.get("Date") or "")
            seconds = (parsedate_to_datetime(wish) - since).total_seconds()
        except (ValueError, TypeError):
            return None
    return None if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_RETRY_AFTER_S)


def judged(status: int, words: str, remedy: str, after_s: float | None) -> Result:
    """What an HTTP status that is no success means; `words` say what was asked, `remedy` what a person can do."""
    problem = f"{words} answered {status}"
    if status in (408, 425, 429) or status >= 500:
        return Result(kind="later", problem=problem, retry_after_s=after_s)
    return Result(kind="refused", problem=f"{problem}: {remedy}")
