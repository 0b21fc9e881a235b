"""The policy in force in this process: reloaded without a restart, never replaced by a version that is not valid."""

import asyncio
from collections.abc import Callable
from datetime import datetime

from shared.policy.loading import ReviewedPolicy, review_policy
from shared.policy.models import Policy
from shared.policy.problems import PolicyInvalid, PolicyRefusal, PolicyUnavailable, PolicyUnreadable, Problem
from shared.policy.sources import PolicySource, PolicyText


class PolicyCache:
    """Asks `source` for a newer version at most every `max_age_s`; keeps the last good one when that is bad or gone."""

    def __init__(self, source: PolicySource, clock_now: Callable[[], datetime], max_age_s: float) -> None:
        self._source = source
        self._now = clock_now
        self._max_age_s = max_age_s
        self._in_force: ReviewedPolicy | None = None
        self._etag: str | None = None
        self._invalid: PolicyRefusal | None = None
        self._unreadable: PolicyRefusal | None = None
        self._asked_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def refused(self) -> PolicyRefusal | None:
        """Why the newest version is not in force; None while it is."""
        return self._unreadable or self._invalid

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the author of the version in force should look at again."""
        return self._in_force.warnings if self._in_force else ()

    async def current(self) -> Policy:
        """The policy in force.

        Raises:
            PolicyUnavailable: there has not been a good version yet; says what to do.
        """
        async with self._one_at_a_time:
            if self._is_due():
                await self._refresh()
        if self._in_force is None:
            raise PolicyUnavailable(self._why_unavailable())
        return self._in_force.policy

    def _is_due(self) -> bool:
        if self._asked_at is None:
            return True
        age_s = (self._now() - self._asked_at).total_seconds()
        return age_s >= self._max_age_s or age_s < 0  # a clock set back must not stop the reloading

    async def _refresh(self) -> None:
        asked_at = self._now()
        try:
            newer = await self._source.read(self._etag)
        except PolicyUnreadable as error:
            since = self._unreadable.at if self._unreadable else asked_at
            self._unreadable = PolicyRefusal(etag=None, at=since, problems=error.problems)
        else:
            self._unreadable = None
            if newer is not None:
                self._adopt(newer, asked_at)
        self._asked_at = asked_at

    def _adopt(self, newer: PolicyText, at: datetime) -> None:
        self._etag = newer.etag  # of a bad version too: it is judged once, until it changes
        try:
            self._in_force = review_policy(newer.text, self._source.name)
            self._invalid = None
        except PolicyInvalid as error:
            self._invalid = PolicyRefusal(etag=newer.etag, at=at, problems=error.problems)

    def _why_unavailable(self) -> str:
        problems = self.refused.problems if self.refused else ()
        lines = [f"  {problem.at(self._source.name)}" for problem in problems]
        advice = "Nothing is decided until this is mended; it is then picked up without a restart:"
        return "\n".join([f"There is no valid policy in {self._source.name}. {advice}", *lines])
