"""How far one notice has got on one way to people."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

DeliveryState = Literal[
    "waiting",  # to be sent, or sent again
    "following",  # accepted by the mail service, whose own end is still to be seen
    "delivered",
    "digested",  # told as part of a digest, whose deliveries say how that went
    "failed",  # given up
]

NoticeState = Literal[
    "open",  # on its way
    "delivered",  # on every way that it took
    "partly",  # on some ways, not on others
    "failed",  # on none
    "nobody",  # the policy knows no way for it
]

OVER: tuple[DeliveryState, ...] = ("delivered", "digested", "failed")


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One notice on its way through one channel to one recipient ("" for whoever reads the channel).

    `with_links` says whether the links for the notice's own recipient go along. `operation` is the id under which the
    mail service is asked; it is kept before the request, so that a crash can be found out about. `receipt` is what the
    other side calls it, `problem` what went wrong last, `digest` the id of the digest that told it. `gives_up_at`
    counts from the time of the notice.
    """

    notice: str
    channel: str
    recipient: str = ""
    with_links: bool = False
    state: DeliveryState = "waiting"
    created_at: datetime
    gives_up_at: datetime
    next_at: datetime
    attempts: int = 0
    sent_at: datetime | None = None
    ended_at: datetime | None = None
    operation: str = ""
    receipt: str = ""
    problem: str = ""
    digest: str = ""

    @property
    def is_over(self) -> bool:
        return self.state in OVER


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelState:
    """What all processes must know of one lane: a channel; for mail, with a recipient.

    `name` is the channel's, with a blank and the recipient if there is one. `leased_until` is when another process may
    send where the one that sends has died. `not_before` is the other side's wish or our backoff, `failures` how many
    attempts in a row did not get through. `window_started_at` and `sent` count single notices for the digest; `digest`
    is the id of one that is being put together.
    """

    name: str
    leased_until: datetime | None = None
    not_before: datetime | None = None
    failures: int = 0
    window_started_at: datetime | None = None
    sent: int = 0
    digest: str = ""
    problem: str = ""
