"""Looks for secrets in everything that the app produced: logs, tables, blobs, orchestrations, answers, exceptions.

A canary is found in whatever form it was written: as text of any encoding, as base64, as hexadecimal digits, percent-
encoded, or packed. What was found is told without the canary.
"""

import base64
import gzip
import logging
import pickle
import traceback
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from azure.data.tables.aio import TableServiceClient
from azure.storage.blob.aio import BlobServiceClient

from local.host.durable import rows
from local.host.durable.hub import TaskHub
from shared.records.rows import Entity, value_text

UNPACKERS = (gzip.decompress, zlib.decompress)


@dataclass(frozen=True, slots=True)
class Found:
    """`canary` is the name of the one that was found, `where` the place, `form` how it was written."""

    canary: str
    where: str
    form: str


@dataclass
class Canaries:
    """Secrets by a name for each, and where they were found so far."""

    values: Mapping[str, str] = field(repr=False)  # our own frames are in the tracebacks
    found: list[Found] = field(default_factory=list)
    looked_at: dict[str, int] = field(default_factory=dict)

    def look(self, kind: str, where: str, content: object) -> None:
        """Look through one thing; `kind` is the sort of place that it lies in (logs, tables, ...)."""
        self.looked_at[kind] = self.looked_at.get(kind, 0) + 1
        for data in _readings(content):
            for name, value in self.values.items():
                forms = (form for form, written in _forms(value) if written in data)
                self.found += [Found(name, f"{kind}: {where}", form) for form in forms]


def _readings(content: object) -> Iterator[bytes]:
    """The bytes of a value, and what they are when unpacked."""
    data = content if isinstance(content, bytes) else str(content).encode("utf-8", "replace")
    yield data
    for unpack in UNPACKERS:
        try:
            yield unpack(data)
        except (OSError, EOFError, zlib.error):
            continue


def _forms(value: str) -> Iterator[tuple[str, bytes]]:
    plain = value.encode()
    yield "as it is", plain
    yield "UTF-16", value.encode("utf-16-le")
    yield "hexadecimal", plain.hex().encode()
    if quote(value, safe="") != value:
        yield "percent-encoded", quote(value, safe="").encode()
    for shift in range(3):  # where it begins within three bytes decides how it looks; its ends depend on what is around
        text = base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 :]
        middle = text[: len(text) - 4]
        yield "base64", middle
        yield "base64", middle.translate(bytes.maketrans(b"+/", b"-_"))


class LogTrap(logging.Handler):
    """Keeps every record of every logger, with what it would be printed as and the objects that it was made of."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.texts: list[tuple[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self.texts.append((record.name, f"{text} {record.args!r} {sorted(record.__dict__)}"))


def look_at_logs(canaries: Canaries, trap: LogTrap) -> None:
    for name, text in trap.texts:
        canaries.look("logs", name, text)


def look_at_exception(canaries: Canaries, error: BaseException, *, with_locals: bool = False) -> None:
    """Its text, its traceback, those it was raised from, and its pickle. `with_locals`: every frame's variables too."""
    told = traceback.TracebackException.from_exception(error, capture_locals=with_locals)
    canaries.look("exceptions", type(error).__name__, "".join(told.format()))
    seen: BaseException | None = error
    while seen is not None:
        canaries.look("exceptions", type(seen).__name__, f"{seen} {seen!r} {vars(seen)!r} {seen.args!r}")
        seen = seen.__cause__ or seen.__context__
    try:
        canaries.look("pickles", type(error).__name__, pickle.dumps(error))
    except Exception as refused:  # what cannot be pickled cannot leak that way
        canaries.look("pickles", type(error).__name__, str(refused))


async def look_at_tables(canaries: Canaries, connection: str, prefix: str) -> None:
    """Every cell of every table whose name starts with `prefix`, and what its packed columns hold."""
    async with TableServiceClient.from_connection_string(connection) as service:
        async for table in service.list_tables():
            if not table.name.lower().startswith(prefix.lower()):
                continue
            async for row in service.get_table_client(table.name).list_entities():
                for content in _cells(row):
                    canaries.look("tables", f"{table.name} {row['PartitionKey']} {row['RowKey']}", content)


def _cells(row: Mapping[str, Any]) -> Iterator[object]:
    yield from row.items()
    yield from row.values()
    if any(name.startswith("packed") for name in row):
        columns = {name: cell for name, cell in row.items() if name not in ("PartitionKey", "RowKey")}
        yield value_text(Entity(partition=row["PartitionKey"], row=row["RowKey"], columns=columns))


async def look_at_blobs(canaries: Canaries, connection: str) -> None:
    """Every blob of the account: each test process has an account of its own."""
    async with BlobServiceClient.from_connection_string(connection) as service:
        async for container, blob in _blobs(service):
            client = service.get_blob_client(container, blob)
            canaries.look("blobs", f"{container}/{blob}", await (await client.download_blob()).readall())


async def _blobs(service: BlobServiceClient) -> AsyncIterator[tuple[str, str]]:
    async for container in service.list_containers():
        async for blob in service.get_container_client(container.name).list_blobs():
            yield container.name, blob.name


def look_at_orchestrations(canaries: Canaries, hub: TaskHub) -> None:
    """Input, output, custom status, failures and the whole history of every instance, and what waits."""
    for kind, table, codec in _tables_of(hub):
        for key, value in list(table.items()):
            canaries.look("orchestrations", f"{kind} {key}", b" ".join(_bytes(cell) for cell in codec.encode(value)))


def _tables_of(hub: TaskHub) -> Iterable[tuple[str, Mapping[str, Any], rows.Codec[Any]]]:
    yield "instance", hub.instances, rows.INSTANCE
    yield "entity", hub.entities, rows.ENTITY
    yield "activity", hub.activities, rows.ACTIVITY
    yield "signal", hub.signals, rows.SIGNAL


def _bytes(cell: str | bytes) -> bytes:
    return cell if isinstance(cell, bytes) else cell.encode()
