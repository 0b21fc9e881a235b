"""The sockets of the local Azure: TLS behind a CONNECT proxy, and plain HTTP, on free ports of 127.0.0.1."""

import shutil
import ssl
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from aiohttp import connector, web

from local.cloud.proxy import ConnectProxy, issue_certificates
from local.leftovers import temporary_folder

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_BODY_BYTES = 16 * 1024 * 1024


class Listeners:
    """Opens sockets and closes all of them. `on_refused` and `resolves` are those of `ConnectProxy`."""

    def __init__(self, on_refused: Callable[[str], None], resolves: Callable[[str], bool]) -> None:
        self._on_refused = on_refused
        self._resolves = resolves
        self._runners: list[web.AppRunner] = []
        self._proxy: ConnectProxy | None = None
        self._folder: Path | None = None

    async def azure(self, handler: Handler, regions: Iterable[str]) -> tuple[str, Path]:
        """Serve all Azure hosts; returns the proxy's URL and the file of the certificate authority."""
        self._folder = temporary_folder("local-azure")
        ca_file = self._folder / "ca.pem"
        port = await self._listen(_catch_all(handler), issue_certificates(regions, ca_file))
        self._proxy = ConnectProxy(port, self._on_refused, self._resolves)
        return f"http://127.0.0.1:{await self._proxy.start()}", ca_file

    async def plain(self, handler: Handler) -> str:
        """Serve every path with one handler, without TLS; returns the base URL."""
        return await self.application(_catch_all(handler))

    async def application(self, application: web.Application) -> str:
        return f"http://127.0.0.1:{await self._listen(application)}"

    async def close(self) -> None:
        if self._proxy is not None:
            await self._proxy.stop()
        for runner in self._runners:
            await runner.cleanup()
        self._runners.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def _listen(self, application: web.Application, context: ssl.SSLContext | None = None) -> int:
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        self._runners.append(runner)
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        return int(runner.addresses[0][1])


def trust_in_this_process(ca_file: Path) -> None:
    """Make aiohttp's default TLS context, made once at its import, trust the authority too."""
    connector._SSL_CONTEXT_VERIFIED.load_verify_locations(ca_file)


def _catch_all(handler: Handler) -> web.Application:
    application = web.Application(client_max_size=MAX_BODY_BYTES)
    application.router.add_route("*", "/{path:.*}", handler)
    return application
