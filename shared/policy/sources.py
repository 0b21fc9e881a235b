"""Where the text of the policy comes from. Reading costs next to nothing while nothing has changed: ETags."""

import asyncio
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from shared.policy.problems import PolicyUnreadable


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
