"""A network that loses answers, between the real client and Azurite."""

from typing import Self

from aiohttp import ClientSession, web
from yarl import URL

_HOP_BY_HOP = ("host", "content-length", "transfer-encoding", "connection", "keep-alive")


class LossyProxy:
    """Passes requests on to Azurite; of the next `losing` writes the connection breaks.

    `arriving`: they have arrived, only their answer is lost. Creations of tables are never lost. `writes` counts.
    """

    def __init__(self, azurite: str) -> None:
        self._settings = dict(part.split("=", 1) for part in azurite.split(";") if part)
        self._upstream = self._settings["TableEndpoint"].rsplit("/", 1)[0]
        self.losing = 0
        self.arriving = True
        self.writes = 0

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**23)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._runner.cleanup()

    @property
    def connection_string(self) -> str:
        port = self._runner.addresses[0][1]
        endpoint = f"http://127.0.0.1:{port}/{self._settings['AccountName']}"
        return ";".join(f"{name}={value}" for name, value in (self._settings | {"TableEndpoint": endpoint}).items())

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        writing = request.method != "GET" and not request.path.endswith("/Tables")
        losing = writing and self.losing > 0
        self.writes += writing
        self.losing -= losing
        answer = await self._pass_on(request) if self.arriving or not losing else web.Response()
        if losing:
            assert request.transport is not None
            request.transport.abort()
        return answer

    async def _pass_on(self, request: web.Request) -> web.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        # As sent: the signature covers the path.
        url, body = URL(self._upstream + request.raw_path, encoded=True), await request.read()
        async with (
            ClientSession(auto_decompress=False) as session,
            session.request(request.method, url, headers=headers, data=body or None) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP}
            return web.Response(body=await answer.read(), status=answer.status, headers=kept)
