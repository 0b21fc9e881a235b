"""Where the texts of the policy come from. Reading costs next to nothing while nothing has changed: ETags."""

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from shared.policy.problems import Finding, PolicyUnreadable

_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class PolicyText:
    """One version of the document; `etag` is its source's name for this version."""

    text: str
    etag: str


class PolicySource(Protocol):
    """A place that holds the document."""

    @property
    def name(self) -> str:
        """The place, for messages."""
        ...

    async def read(self, known_etag: str | None) -> PolicyText | None:
        """The document, or None when it still is the version `known_etag`.

        Raises:
            PolicyUnreadable: it could not be read; says what to do.
        """
        ...


class ProjectsSource(Protocol):
    """A place that holds one document per project, each named `<project>.yaml`."""

    @property
    def name(self) -> str:
        """The place, for messages."""
        ...

    def name_of(self, name: str) -> str:
        """One document of it, for messages."""
        ...

    async def listed(self) -> Mapping[str, str]:
        """The names of all documents, each with the ETag of its version.

        Raises:
            PolicyUnreadable: they could not be listed; says what to do.
        """
        ...

    async def read(self, name: str) -> str:
        """The text of one document.

        Raises:
            PolicyUnreadable: it could not be read; says what to do.
        """
        ...


class KeptVersions(Protocol):
    """The last good version of every document, for processes that start later."""

    async def load(self) -> Mapping[str, PolicyText]:
        """All, by the document's name for messages."""
        ...

    async def keep(self, source: str, text: PolicyText, at: datetime) -> None:
        """This is the last good version now."""
        ...

    async def forget(self, source: str) -> None:
        """The document is no more."""
        ...


def is_document(name: str) -> bool:
    """Whether a file of this name means to be a policy; others (a README) may lie beside it."""
    return name.endswith(_SUFFIXES)


def misnamed(name: str, project: str) -> Finding | None:
    """What is wrong with the name of a project's document: two of one project must not be possible."""
    if name == f"{project}.yaml":
        return None
    reason = f"is '{project}', but the document is named {name}"
    return Finding(("project",), reason, f"Name the document {project}.yaml, or correct the project.")


def decoded(content: bytes) -> str:
    """Bytes as text. What is not UTF-8 is kept as lone surrogates: the loader reports their place."""
    return content.decode("utf-8-sig", errors="surrogateescape")


class FilePolicySource:
    """A file, for development. Its ETag is the hash of its content."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    async def read(self, known_etag: str | None) -> PolicyText | None:
        try:
            content = await asyncio.to_thread(self._path.read_bytes)
        except OSError as error:
            raise PolicyUnreadable(
                self.name,
                f"could not be read: {error.strerror or error}",
                "Write the policy to that file, or correct the path.",
            ) from error
        etag = hashlib.sha256(content).hexdigest()
        return None if etag == known_etag else PolicyText(decoded(content), etag)


class FolderProjects:
    """A folder, for development. A file's ETag is made of its size and its times, so that listing reads no file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def name(self) -> str:
        return str(self._path)

    def name_of(self, name: str) -> str:
        return str(self._path / name)

    async def listed(self) -> Mapping[str, str]:
        try:
            return await asyncio.to_thread(self._scan)
        except OSError as error:
            raise self._unreadable(self.name, error, "Make that folder, or correct the app setting.") from error

    async def read(self, name: str) -> str:
        try:
            return decoded(await asyncio.to_thread((self._path / name).read_bytes))
        except OSError as error:
            raise self._unreadable(self.name_of(name), error, "It is tried again when the file changes.") from error

    def _scan(self) -> dict[str, str]:
        with os.scandir(self._path) as entries:
            found = [(entry.name, entry.stat()) for entry in entries if entry.is_file() and is_document(entry.name)]
        return {name: f"{stat.st_ino}-{stat.st_size}-{stat.st_mtime_ns}" for name, stat in sorted(found)}

    def _unreadable(self, what: str, error: OSError, remedy: str) -> PolicyUnreadable:
        return PolicyUnreadable(what, f"could not be read: {error.strerror or error}", remedy)
