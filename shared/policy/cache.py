"""The policy in force in this process: all documents, reloaded without a restart, each bad version refused alone.

* The platform's document is asked for by its ETag, the projects' by one list with theirs: what has not changed costs
  nothing more, and a project's new document needs neither a restart nor a deployment.
* A bad version is never in force: the last good one of that document stays, the others go on. The last good versions
  are kept (`KeptVersions`), so that a process that starts later has them too.
* A project's document that was good, and that a newer platform's document makes too lax, stays under the platform's
  stricter values, and is shown with what they are (`DocumentState.held`). One that waits for a grant is in force as
  soon as the platform's document has it.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.policy.holding import DocumentState, Holding
from shared.policy.loading import Written, read_platform, read_project, warnings_of
from shared.policy.merge import Merged, Merger, TagsByWorkspace
from shared.policy.models import Policy, ProjectPolicy
from shared.policy.problems import PolicyInvalid, PolicyRefusal, PolicyUnavailable, PolicyUnreadable, Problem
from shared.policy.sources import KeptVersions, PolicySource, PolicyText, ProjectsSource, misnamed

log = logging.getLogger("watchkeeper")

READS_AT_ONCE = 16
TAGS_MAX_AGE = timedelta(minutes=10)

TagReader = Callable[[], Awaitable[TagsByWorkspace]]
"""Reads the tags of all workspaces; raises whatever went wrong."""


class PolicyCache:
    """Asks the sources for newer versions at most every `max_age_s`, and keeps the last good one of each document.

    `projects` is where the projects' documents are, `kept` where last good versions are, `read_tags` is asked only if
    the platform's rules go by tags. None of the three is needed.
    """

    def __init__(
        self,
        source: PolicySource,
        clock_now: Callable[[], datetime],
        max_age_s: float,
        *,
        projects: ProjectsSource | None = None,
        kept: KeptVersions | None = None,
        read_tags: TagReader | None = None,
    ) -> None:
        self._source, self._projects_source, self._kept, self._read_tags = source, projects, kept, read_tags
        self._now, self._max_age_s = clock_now, max_age_s
        self._platform: Holding[Policy] = Holding(source.name)
        self._projects: dict[str, Holding[ProjectPolicy]] = {}
        self._list_refused: PolicyRefusal | None = None
        self._merger: Merger | None = None
        self._merged: Merged | None = None
        self._tags: TagsByWorkspace | None = None
        self._tags_at: datetime | None = None
        self._last_good: Mapping[str, PolicyText] | None = None
        self._asked_at: datetime | None = None
        self._one_at_a_time = asyncio.Lock()

    @property
    def refused(self) -> PolicyRefusal | None:
        """Why the newest version of the platform's document is not in force; None while it is."""
        return self._platform.refused

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What the author of the platform's version in force should look at again."""
        merged = self._merged.policy if self._merged is not None else None
        return warnings_of(self._platform.in_force, merged) if self._platform.in_force else ()

    @property
    def list_refused(self) -> PolicyRefusal | None:
        """Why the projects' documents could not be listed, and since when; those in force stay meanwhile."""
        return self._list_refused

    def unread(self, project: str | None) -> PolicyRefusal | None:
        """Why nobody knows whether a newer document says something else of this project's targets (None: of the
        platform's own); None if all were read when they were asked for last.
        """
        found = [self._platform.unread]
        if project:
            own = [holding.unread for holding in self._projects.values() if holding.project == project]
            found += [self._list_refused, *own]
        return next((refusal for refusal in found if refusal is not None), None)

    @property
    def merger(self) -> Merger | None:
        """The platform's version in force, and how it bounds the projects'; None if there is none yet."""
        return self._merger

    @property
    def documents(self) -> tuple[DocumentState, ...]:
        """Every document with the version in force and the one that is refused: the platform's first."""
        findings = self._merged.findings if self._merged else {}
        holdings: list[Holding[Policy] | Holding[ProjectPolicy]] = [self._platform]
        holdings += [self._projects[name] for name in sorted(self._projects)]
        return tuple(
            holding.state(findings.get(holding.source, ()), self.warnings if holding is self._platform else ())
            for holding in holdings
        )

    @property
    def projects_in_force(self) -> tuple[Written[ProjectPolicy], ...]:
        """The projects' documents in force."""
        holdings = (self._projects[name] for name in sorted(self._projects))
        return tuple(holding.in_force for holding in holdings if holding.in_force is not None)

    async def current(self, *, fresh: bool = False) -> Policy:
        """The policy in force; `fresh` asks the sources now, whatever the age: for who is about to act on it.

        Raises:
            PolicyUnavailable: there has not been a good version yet; says what to do.
        """
        async with self._one_at_a_time:
            if fresh or self._is_due():
                await self._refresh()
        if self._merged is None:
            raise PolicyUnavailable(self._why_unavailable())
        return self._merged.policy

    def _is_due(self) -> bool:
        if self._asked_at is None:
            return True
        age_s = (self._now() - self._asked_at).total_seconds()
        return age_s >= self._max_age_s or age_s < 0  # a clock set back must not stop the reloading

    async def _refresh(self) -> None:
        asked_at = self._now()
        await self._load_last_good()
        changed = await self._refresh_platform(asked_at)
        platform = self._platform.in_force
        if platform is not None:
            changed |= await self._refresh_tags(platform.model)
            if changed or self._merger is None:
                self._merger = Merger(platform, self._tags)
            changed |= await self._refresh_projects(asked_at)
            if changed or self._merged is None:
                await self._settle(self._merger, asked_at)
        self._asked_at = asked_at

    # ---- the platform's document

    async def _refresh_platform(self, at: datetime) -> bool:
        """Whether another version is in force now."""
        holding = self._platform
        try:
            newer = await self._source.read(holding.seen)
        except PolicyUnreadable as error:
            holding.could_not_be_read(error, at)
            return self._fall_back(holding, read_platform, at)
        holding.could_be_read()
        if newer is None:
            return False
        try:
            holding.adopt(_platform(newer.text, holding.source), newer.etag, at)
        except PolicyInvalid as error:
            holding.refuse(newer.etag, at, error.problems)
            return self._fall_back(holding, read_platform, at)
        await self._keep(holding.source, newer)
        return True

    # ---- the projects' documents

    async def _refresh_projects(self, at: datetime) -> bool:
        """Whether a document came, changed or went."""
        if self._projects_source is None:
            return False
        try:
            listed = await self._projects_source.listed()
        except PolicyUnreadable as error:
            since = self._list_refused.at if self._list_refused else at
            self._list_refused = PolicyRefusal(etag=None, at=since, problems=error.problems)
            return False
        self._list_refused = None
        gone = [name for name in self._projects if name not in listed]
        for name in gone:
            await self._forget(self._projects.pop(name).source)
        known = {name: holding.seen for name, holding in self._projects.items()}
        newer = [name for name, etag in listed.items() if known.get(name) != etag]
        slots = asyncio.Semaphore(READS_AT_ONCE)

        async def read(name: str) -> None:
            async with slots:
                await self._read_project(name, listed[name], at)

        await asyncio.gather(*(read(name) for name in newer))
        return bool(gone or newer)

    async def _read_project(self, name: str, etag: str, at: datetime) -> None:
        """Read a version that is new here; whether the platform allows what it says is told when all are read."""
        assert self._projects_source is not None  # it has just listed this name
        source = self._projects_source.name_of(name)
        holding = self._projects.setdefault(name, Holding(source, name.partition(".")[0]))
        try:
            text = await self._projects_source.read(name)
        except PolicyUnreadable as error:
            holding.could_not_be_read(error, at)
            return
        holding.could_be_read()
        try:
            written = read_project(text, source)
            if (wrong := misnamed(name, written.model.project)) is not None:
                raise PolicyInvalid(source, [written.problem(wrong)], written)
        except PolicyInvalid as error:
            problems = self._merger.problems_of(error) if self._merger is not None else error.problems
            holding.refuse(etag, at, problems)
        else:
            holding.propose(written, PolicyText(text, etag))

    async def _settle(self, merger: Merger, at: datetime) -> None:
        """Judge what is proposed, fall back where nothing is in force, and merge."""
        for holding in self._projects.values():
            proposed = holding.proposed
            if proposed is not None:
                written, text = proposed
                findings = merger.join(written).findings
                if findings and not self._was_good(holding.source, text):
                    holding.refuse(text.etag, at, findings, still_proposed=True)
                else:
                    holding.adopt(written, text.etag, at)
                    await self._keep(holding.source, text)
            self._fall_back(holding, read_project, at)
        self._merged = merger.merged(self.projects_in_force)

    # ---- last good versions

    async def _load_last_good(self) -> None:
        if self._kept is None or self._last_good is not None:
            return
        try:
            self._last_good = await self._kept.load()
        except Exception:  # whatever it is: they are a help after a restart, and nothing depends on them before
            log.exception("the last good versions of the policy could not be read; this is tried again")

    def _was_good(self, source: str, text: PolicyText) -> bool:
        kept = (self._last_good or {}).get(source)
        return kept is not None and kept.text == text.text

    def _fall_back[M: (Policy, ProjectPolicy)](
        self, holding: Holding[M], read: Callable[[str, str], Written[M]], at: datetime
    ) -> bool:
        """Where nothing is in force, the last good version that any process has had; whether it is now."""
        text = (self._last_good or {}).get(holding.source)
        if holding.in_force is not None or text is None:
            return False
        try:
            holding.put_in_force(read(text.text, holding.source), text.etag, at)
        except PolicyInvalid:
            log.exception("the kept version of %s cannot be read by this release", holding.source)
            return False
        return True

    async def _keep(self, source: str, text: PolicyText) -> None:
        if self._kept is None or (self._last_good or {}).get(source) == text:
            return
        try:
            await self._kept.keep(source, text, self._now())
        except Exception:
            log.exception("the version of %s in force could not be kept for other processes", source)
            return
        self._last_good = {**(self._last_good or {}), source: text}

    async def _forget(self, source: str) -> None:
        if self._kept is None:
            return
        try:
            await self._kept.forget(source)
        except Exception:
            log.exception("the kept version of %s could not be removed", source)
        self._last_good = {name: text for name, text in (self._last_good or {}).items() if name != source}

    # ---- tags

    async def _refresh_tags(self, platform: Policy) -> bool:
        """Whether the tags are others now. Where they cannot be read, those known before stay."""
        is_due = self._tags_at is None or abs(self._now() - self._tags_at) >= TAGS_MAX_AGE
        if self._read_tags is None or not platform.goes_by_tags or not is_due:
            return False
        self._tags_at = self._now()
        try:
            tags = await self._read_tags()
        except Exception:
            log.exception("the tags of the workspaces could not be read; their targets count as the most careful")
            return False
        changed = tags != self._tags
        self._tags = tags
        return changed

    def _why_unavailable(self) -> str:
        problems: Sequence[Problem] = self.refused.problems if self.refused else ()
        lines = [f"  {problem.at(self._source.name)}" for problem in problems]
        advice = "Nothing is decided until this is mended; it is then picked up without a restart:"
        return "\n".join([f"There is no valid policy in {self._source.name}. {advice}", *lines])


def _platform(text: str, source: str) -> Written[Policy]:
    """The platform's document, if it is right also where environments bound it.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    written = read_platform(text, source)
    found = Merger(written).merged(()).findings.get(source)
    if found:
        raise PolicyInvalid(source, list(found))
    return written
