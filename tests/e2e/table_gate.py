"""Between the app and Azurite's tables: sees every write, and can run a hook at one before or after its effect."""

from collections.abc import Callable
from typing import Literal, Self
from urllib.parse import unquote

from aiohttp import ClientSession, web
from yarl import URL

_HOP_BY_HOP = ("host", "content-length", "transfer-encoding", "connection", "keep-alive")

type Moment = Literal["before", "after"]
Strikes = Callable[[str, Moment], bool]
"""Given what is written (method, path and body as one text) and when: True withholds the answer."""


class TableGate:
    """Passes requests on; `strikes` is asked twice about each write. Reads are never touched."""

    def __init__(self, azurite: str) -> None:
        self._settings = dict(part.split("=", 1) for part in azurite.split(";") if part)
        self._upstream = self._settings["TableEndpoint"].rsplit("/", 1)[0]
        self.strikes: Strikes = lambda written, moment: False

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._session = ClientSession(auto_decompress=False)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()
        await self._session.close()

    @property
    def connection_string(self) -> str:
        port = self._runner.addresses[0][1]
        endpoint = f"http://127.0.0.1:{port}/{self._settings['AccountName']}"
        return ";".join(f"{name}={value}" for name, value in (self._settings | {"TableEndpoint": endpoint}).items())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        if request.method == "GET":
            return await self._pass_on(request, body)
        written = f"{request.method} {unquote(request.raw_path)} {unquote(body.decode('utf-8', 'replace'))}"
        if self.strikes(written, "before"):
            return _hang_up(request)
        answer = await self._pass_on(request, body)
        return _hang_up(request) if self.strikes(written, "after") else answer

    async def _pass_on(self, request: web.Request, body: bytes) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        url = URL(self._upstream + request.raw_path, encoded=True)  # as sent: the signature covers the path
        async with self._session.request(request.method, url, headers=headers, data=body or None) as answer:
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=503)
