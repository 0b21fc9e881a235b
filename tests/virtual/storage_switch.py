"""Between the app and Azurite: storage that can be made to refuse every connection, and to take them again."""

import asyncio
import contextlib
from typing import Self
from urllib.parse import urlsplit

_ENDPOINTS = ("TableEndpoint", "BlobEndpoint")


class StorageSwitch:
    """Passes bytes on while it is on. `off()` drops what is open, and what comes is hung up on at once."""

    def __init__(self, azurite: str) -> None:
        self._settings = dict(part.split("=", 1) for part in azurite.split(";") if part)
        self._servers: list[asyncio.Server] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._on = True
        self.refused = 0

    async def __aenter__(self) -> Self:
        for name in _ENDPOINTS:
            behind = urlsplit(self._settings[name])
            server = await asyncio.start_server(self._serving(behind.hostname or "", behind.port or 0), "127.0.0.1", 0)
            port = server.sockets[0].getsockname()[1]
            self._settings[name] = f"http://127.0.0.1:{port}{behind.path}"
            self._servers.append(server)
        return self

    async def __aexit__(self, *error: object) -> None:
        self.off()
        for server in self._servers:
            server.close()

    @property
    def connection_string(self) -> str:
        return ";".join(f"{name}={value}" for name, value in self._settings.items())

    def off(self) -> None:
        self._on = False
        for writer in self._open:
            writer.transport.abort()
        self._open.clear()

    def on(self) -> None:
        self._on = True

    def _serving(self, host: str, port: int):  # type: ignore[no-untyped-def]  # what asyncio calls
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if not self._on:
                self.refused += 1
                writer.transport.abort()
                return
            behind_reader, behind_writer = await asyncio.open_connection(host, port)
            self._open |= {writer, behind_writer}
            try:
                await asyncio.gather(_pass_on(reader, behind_writer), _pass_on(behind_reader, writer))
            finally:
                for one in (writer, behind_writer):
                    self._open.discard(one)
                    one.close()

        return serve


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    with contextlib.suppress(OSError, RuntimeError):
        writer.write_eof()
