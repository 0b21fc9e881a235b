"""One document as this process holds it: the version in force, and the newer one that is not, with its reasons."""

from dataclasses import dataclass
from datetime import datetime

from shared.policy.loading import Written
from shared.policy.models import Sections
from shared.policy.problems import PolicyRefusal, PolicyUnreadable, Problem
from shared.policy.sources import PolicyText


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentState:
    """A document for people: `etag` and `since` of the version in force (None: there is none), and why a newer one is
    refused.

    `held` is what of the version in force is not, because the platform's document has become stricter since.
    """

    source: str
    project: str
    etag: str | None
    since: datetime | None
    refused: PolicyRefusal | None
    held: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


class Holding[M: Sections]:
    """See the module. `project` is whose it is by its name, "" for the platform's.

    `seen` is the newest version's ETag, of a bad one too: it is judged once, until it changes.
    """

    def __init__(self, source: str, project: str = "") -> None:
        self.source, self.project = source, project
        self.seen: str | None = None
        self.in_force: Written[M] | None = None
        self.proposed: tuple[Written[M], PolicyText] | None = None
        self._etag: str | None = None
        self._since: datetime | None = None
        self._invalid: PolicyRefusal | None = None
        self._unreadable: PolicyRefusal | None = None

    @property
    def refused(self) -> PolicyRefusal | None:
        """Why the newest version is not in force: what is wrong now goes before what was wrong earlier."""
        return self._unreadable or self._invalid

    @property
    def unread(self) -> PolicyRefusal | None:
        """Why the newest version is not known at all, None where it is, be it good or bad."""
        return self._unreadable

    def state(self, held: tuple[Problem, ...], warnings: tuple[Problem, ...]) -> DocumentState:
        return DocumentState(
            source=self.source,
            project=self.project,
            etag=self._etag,
            since=self._since,
            refused=self.refused,
            held=held,
            warnings=warnings,
        )

    def could_not_be_read(self, error: PolicyUnreadable, at: datetime) -> None:
        since = self._unreadable.at if self._unreadable else at
        self._unreadable = PolicyRefusal(etag=None, at=since, problems=error.problems)

    def could_be_read(self) -> None:
        self._unreadable = None

    def propose(self, written: Written[M], text: PolicyText) -> None:
        """A version that is right in itself; what the platform says of it is not known yet."""
        self.seen, self.proposed, self._invalid = text.etag, (written, text), None

    def adopt(self, written: Written[M], etag: str, at: datetime) -> None:
        """The newest version is good."""
        self.seen, self.proposed, self._invalid = etag, None, None
        self.put_in_force(written, etag, at)

    def put_in_force(self, written: Written[M], etag: str, at: datetime) -> None:
        """This version counts, though a newer one may be refused."""
        self.in_force, self._etag, self._since = written, etag, at

    def refuse(self, etag: str, at: datetime, problems: tuple[Problem, ...], *, still_proposed: bool = False) -> None:
        """The newest version is bad; one that is `still_proposed` is good as soon as the platform allows it."""
        since = self._invalid.at if self._invalid and self._invalid.etag == etag else at
        self.seen, self._invalid = etag, PolicyRefusal(etag=etag, at=since, problems=problems)
        if not still_proposed:
            self.proposed = None
