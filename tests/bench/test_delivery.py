"""The counter between the app and Azurite's tables passes everything on and counts requests, not what they carry."""

import asyncio
from datetime import UTC, datetime

import aiohttp
from aiohttp import web

from bench.delivery import TableCounter


async def test_requests_are_counted_and_passed_on() -> None:
    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", echo)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    upstream = f"AccountName=a;TableEndpoint=http://127.0.0.1:{runner.addresses[0][1]}/a;"
    inner = b"PUT http://127.0.0.1/a/t(1) HTTP/1.1\r\n\r\n"  # a batch carries requests in its body
    try:
        async with TableCounter(upstream, lambda: datetime.now(UTC)) as counter, aiohttp.ClientSession() as http:
            settings = dict(part.split("=", 1) for part in counter.connection_string.split(";"))
            for body in (b"", inner, b"x" * 300_000):
                async with http.post(f"{settings['TableEndpoint']}/$batch", data=body) as answer:
                    assert await answer.read() == body
            assert len(counter.passed_at) == 3
            await asyncio.gather(*(_get(http, settings["TableEndpoint"]) for _ in range(5)))
            assert len(counter.passed_at) == 8
    finally:
        await runner.cleanup()


async def _get(http: aiohttp.ClientSession, url: str) -> None:
    async with http.get(url) as answer:
        assert answer.status == 200
