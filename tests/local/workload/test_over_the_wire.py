"""The ends that users have: azure-servicebus against the broker, HTTPS through the proxy to a scoring URI."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web

from local.clock import RealClock
from local.cloud.proxy import ConnectProxy, issue_certificates
from local.servicebus.broker import Broker
from local.workload import Arrivals, Dispatcher, HttpScorer, Player, ServiceBusInbox, ServiceBusOutbox

QUEUE = "jobs"
BRIEF_LOCKS = "brief-locks"
QUEUES = [
    {"Name": QUEUE, "Properties": {"LockDuration": "PT5S", "MaxDeliveryCount": 3}},
    {"Name": BRIEF_LOCKS, "Properties": {"LockDuration": "PT1S"}},
]
CONFIG = {"UserConfig": {"Namespaces": [{"Name": "local", "Queues": QUEUES}]}}


@pytest.fixture
async def broker() -> AsyncIterator[Broker]:
    running = Broker(CONFIG, RealClock())
    await running.start()
    yield running
    await running.stop()


class Endpoint:
    """A scoring URI behind TLS and the CONNECT proxy of the local cloud."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, bytes]] = []
        self.refused: list[str] = []
        self.status_of: Callable[[bytes], int] = lambda body: 200
        self.environment: dict[str, str] = {}

    async def score(self, request: web.Request) -> web.Response:
        body = await request.read()
        self.requests.append((request.host, request.headers.get("Authorization", ""), body))
        await asyncio.sleep(0.05)
        return web.json_response({}, status=self.status_of(body))


@pytest.fixture
async def endpoint(tmp_path: Path) -> AsyncIterator[Endpoint]:
    scoring, authority = Endpoint(), tmp_path / "ca.pem"
    app = web.Application()
    app.router.add_post("/score", scoring.score)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=issue_certificates(["westeurope"], authority)).start()
    proxy = ConnectProxy(runner.addresses[0][1], scoring.refused.append, lambda _: True)
    port = await proxy.start()
    scoring.environment = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "SSL_CERT_FILE": str(authority)}
    yield scoring
    await proxy.stop()
    await runner.cleanup()


def scorer_of(endpoint: Endpoint, key: str | None = None) -> HttpScorer:
    return HttpScorer("https://vision.westeurope.inference.ml.azure.com/score", endpoint.environment, key)


async def until(true: Callable[[], bool], within_s: float = 20) -> None:
    async with asyncio.timeout(within_s):
        while not true():  # noqa: ASYNC110 - what it waits for is counted by the broker, which sets no event
            await asyncio.sleep(0.02)


async def test_the_scorer_goes_through_the_proxy_under_the_real_host_name(endpoint: Endpoint) -> None:
    endpoint.status_of = lambda body: 429 if body == b"no" else 200
    async with scorer_of(endpoint, key="k") as scorer:
        assert [await scorer.score(b"yes"), await scorer.score(b"no")] == [200, 429]
    assert endpoint.requests[0] == ("vision.westeurope.inference.ml.azure.com", "Bearer k", b"yes")
    with pytest.raises(RuntimeError, match="async with"):
        await scorer_of(endpoint).score(b"")


async def test_messages_go_from_the_real_sender_through_the_dispatcher_to_the_endpoint(
    broker: Broker, endpoint: Endpoint
) -> None:
    queue, clock = broker.queue(QUEUE), RealClock()
    endpoint.status_of = lambda body: 500 if body == b'{"n": 3}' else 200
    async with (
        ServiceBusOutbox(broker.connection_string, QUEUE) as outbox,
        ServiceBusInbox(broker.connection_string, QUEUE) as inbox,
        scorer_of(endpoint) as scorer,
    ):
        player = Player(Arrivals.at([0.01 * n for n in range(60)]), outbox, clock)
        dispatcher = Dispatcher(inbox, scorer, clock, concurrency=8, renew_every_s=1)
        player.start()
        dispatcher.start()
        await player.finished()
        await until(lambda: dispatcher.counts.completed == 59 and queue.counts().dead_letter == 1)
        assert dispatcher.counts.abandoned == 3
        assert dispatcher.counts.unsettled == 0
        counts = queue.counts()
        assert (counts.active, counts.locked) == (0, 0)
        await dispatcher.stop()
        await player.stop()
    assert {body for _, _, body in endpoint.requests} == {b'{"n": %d}' % n for n in range(60)}


async def test_a_frozen_dispatcher_completes_nothing_and_its_messages_come_back(
    broker: Broker, endpoint: Endpoint
) -> None:
    queue, clock = broker.queue(QUEUE), RealClock()
    async with ServiceBusInbox(broker.connection_string, QUEUE) as inbox, scorer_of(endpoint) as scorer:
        dispatcher = Dispatcher(inbox, scorer, clock, concurrency=2, renew_every_s=1)
        dispatcher.freeze()
        dispatcher.start()
        queue.send(b"1")
        await asyncio.sleep(0.5)
        assert (queue.counts().active, dispatcher.counts.received) == (1, 0)
        dispatcher.thaw()
        await until(lambda: dispatcher.counts.completed == 1)
        await dispatcher.stop()


async def test_a_lock_is_renewed_over_the_wire_during_a_long_call(broker: Broker, endpoint: Endpoint) -> None:
    queue, clock = broker.queue(QUEUE), RealClock()
    queue.send(b"slow")
    async with ServiceBusInbox(broker.connection_string, QUEUE) as inbox:
        (work,) = await inbox.receive(1)
        before = work.handle.locked_until_utc
        await asyncio.sleep(0.2)
        await inbox.renew(work)
        assert work.handle.locked_until_utc > before
        await inbox.complete(work)
    counts = queue.counts()
    assert (counts.active, counts.locked) == (0, 0)
    assert clock.now() < before


async def test_a_big_bunch_is_sent_in_several_batches(broker: Broker) -> None:
    async with ServiceBusOutbox(broker.connection_string, QUEUE) as outbox:
        await outbox.send([b"x" * 100_000 for _ in range(25)])
    assert broker.queue(QUEUE).counts().active == 25


async def test_cut_connections_lose_no_message(broker: Broker, endpoint: Endpoint) -> None:
    queue, clock = broker.queue(BRIEF_LOCKS), RealClock()
    for n in range(40):
        queue.send(b"%d" % n)

    def all_gone() -> bool:
        counts = queue.counts()
        return counts.active + counts.locked == 0

    async with ServiceBusInbox(broker.connection_string, BRIEF_LOCKS) as inbox, scorer_of(endpoint) as scorer:
        dispatcher = Dispatcher(inbox, scorer, clock, concurrency=4)
        dispatcher.start()
        await until(lambda: dispatcher.counts.completed >= 10)
        broker.drop_connections()
        await until(all_gone, within_s=30)
        await dispatcher.stop()
    assert queue.counts().dead_letter == 0
    assert {body for _, _, body in endpoint.requests} == {b"%d" % n for n in range(40)}
