"""Real host names without a cloud: a CONNECT proxy that leads Azure's hosts to the local server, and certificates.

Production code keeps `management.azure.com` and friends; only the standard settings HTTPS_PROXY and SSL_CERT_FILE
differ. A host that is not Azure's is refused, and reported, so that an unexpected call is seen instead of leaving the
machine.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import trustme

AZURE_HOSTS = (".azure.com", ".vault.azure.net", ".eventgrid.azure.net")
OTHER_HOSTS = ("hooks.slack.com", "hooks.example.com")
"""Of others, to whom Watchkeeper tells things."""
CHUNK_BYTES = 65_536


def issue_certificates(regions: Iterable[str], ca_file: Path) -> ssl.SSLContext:
    """A TLS context for the hosts of the local Azure; the authority that vouches for it is written to `ca_file`."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    hosts = ["management.azure.com", "*.metrics.monitor.azure.com", "*.vault.azure.net", *OTHER_HOSTS]
    hosts += ["*.communication.azure.com", "*.europe.communication.azure.com"]
    for region in sorted(set(regions)):
        hosts += [
            f"*.{region}.inference.ml.azure.com",
            f"*.{region}-1.eventgrid.azure.net",
            f"*.{region}.logic.azure.com",
        ]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*hosts, key_type=trustme.KeyType.ECDSA).configure_cert(context)
    authority.cert_pem.write_to_path(str(ca_file))
    return context


class ConnectProxy:
    """Splices `CONNECT host:443` to one local port; TLS ends in the server behind it.

    `on_refused(host)` hears of every host that is not Azure's. A host of Azure's for which `resolves` is false is
    answered as one that has no address (a vault that does not exist, or is soft-deleted).
    """

    def __init__(self, target_port: int, on_refused: Callable[[str], None], resolves: Callable[[str], bool]) -> None:
        self._target_port = target_port
        self._resolves = resolves
        self._on_refused = on_refused
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        if self._server is None:
            return
        self._server.close()
        for writer in list(self._writers):
            writer.close()
        await self._server.wait_closed()
        self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Either side may hang up at any time: the other one is then closed.
        with contextlib.suppress(OSError), self._closing(writer):
            host = await self._target(reader)
            if host is None or not host.endswith((*AZURE_HOSTS, *OTHER_HOSTS)):
                self._on_refused(host or "(not a CONNECT request)")
                writer.write(b"HTTP/1.1 403 Not a host of the local Azure\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            if not self._resolves(host):
                writer.write(b"HTTP/1.1 502 No such host\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
                return
            upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self._target_port)
            with self._closing(upstream):
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                await asyncio.gather(_pump(reader, upstream), _pump(upstream_reader, writer))

    @contextlib.contextmanager
    def _closing(self, writer: asyncio.StreamWriter) -> Iterator[None]:
        self._writers.add(writer)
        try:
            yield
        finally:
            self._writers.discard(writer)
            writer.close()

    @staticmethod
    async def _target(reader: asyncio.StreamReader) -> str | None:
        """The host of a CONNECT request, read with its headers; None if it is something else."""
        request = (await reader.readline()).decode("latin-1").split()
        while (await reader.readline()).strip():
            pass
        return request[1].rpartition(":")[0].lower() if len(request) == 3 and request[0] == "CONNECT" else None


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    writer.close()
