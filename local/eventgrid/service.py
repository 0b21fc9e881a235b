"""The Event Grid service: its topics, and the HTTP endpoint that the real publisher client uses."""

import hmac
import json
import random
from collections.abc import Awaitable, Callable

from aiohttp import web

from local.activity import Activity
from local.clock import Clock
from local.eventgrid.delivery import Courier, SendToQueue
from local.eventgrid.events import EventError, Schema
from local.eventgrid.handshake import Handshake
from local.eventgrid.subscriptions import EventSubscription, ServiceBusQueue, State, Webhook
from local.eventgrid.topics import Topic

MAX_REQUEST_BYTES = 1024 * 1024
_KEY_LENGTH_BITS = 256
_RESOURCE_ID = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.EventGrid/topics/{name}"


class EventGrid:
    """Event Grid on 127.0.0.1 over plain HTTP.

    `send(queue, body, properties)` puts a message into a Service Bus queue; needed only by subscriptions that deliver
    there. `rng` decides about duplicates and reordering, and makes the keys.
    """

    def __init__(
        self,
        clock: Clock,
        rng: random.Random,
        send: SendToQueue | None = None,
        subscription_id: str = "00000000-0000-0000-0000-000000000000",
        resource_group: str = "local",
    ) -> None:
        self._activity = Activity(clock)
        self._rng = rng
        self._send = send
        self._scope = {"subscription": subscription_id, "group": resource_group}
        self._courier = Courier(self._activity, rng, send)
        self._handshake = Handshake(self._activity, self._courier, rng)
        self._runner: web.AppRunner | None = None
        self._base_url = ""
        self.topics: dict[str, Topic] = {}

    def busy(self) -> bool:
        """True while a delivery or handshake is in flight; not while a retry waits for its time."""
        return self._activity.busy()

    async def start(self, port: int = 0) -> int:
        """Listen on 127.0.0.1; returns the port."""
        self._activity.open()
        self._courier.open()
        app = web.Application(client_max_size=2 * MAX_REQUEST_BYTES)
        app.router.add_post("/{topic}/api/events", self._counted(self._publish))
        app.router.add_get("/validate/{code}", self._counted(self._confirm))
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", port)
        await site.start()
        actual_port = int(self._runner.addresses[0][1])
        self._base_url = f"http://127.0.0.1:{actual_port}"
        for topic in self.topics.values():
            topic.base_url = self._base_url
        return actual_port

    async def stop(self) -> None:
        """Stop listening and delivering. Nothing is kept: events that wait for a retry are gone with the process."""
        if self._runner is not None:
            await self._runner.cleanup()
        await self._activity.close()
        await self._courier.close()

    def custom_topic(self, name: str, key: str | None = None, schema: Schema = Schema.EVENT_GRID) -> Topic:
        """Create a topic that publishers reach at `endpoint` with `key` (made up if not given)."""
        made_up = f"{self._rng.getrandbits(_KEY_LENGTH_BITS):064x}"
        return self._add(name, _RESOURCE_ID.format(name=name, **self._scope), schema, key or made_up)

    def system_topic(self, name: str, source: str) -> Topic:
        """Create the topic of an Azure resource, whose id is `source`. Only this process publishes to it."""
        return self._add(name, source, Schema.EVENT_GRID, None)

    async def subscribe(self, topic: Topic, subscription: EventSubscription) -> State:
        """Create or replace the topic's subscription of that name, after its handshake; returns its state.

        `subscription.problem` says why it is not SUCCEEDED. Raises `ValueError` for what Azure would not create.
        """
        if topic.schema is Schema.CLOUD_EVENTS and subscription.schema is Schema.EVENT_GRID:
            raise ValueError(f"{subscription.name}: a topic in CloudEvents delivers CloudEvents only; set schema")
        if isinstance(subscription.destination, ServiceBusQueue) and self._send is None:
            raise ValueError(f"{subscription.name}: delivery into a queue needs EventGrid(send=...)")
        topic.subscriptions[subscription.name] = subscription
        match subscription.destination:
            case Webhook(url):
                with self._activity.counted():
                    await self._handshake.validate(subscription, url, topic.source, self._base_url)
            case ServiceBusQueue():
                subscription.state = State.SUCCEEDED
        return subscription.state

    def _add(self, name: str, source: str, schema: Schema, key: str | None) -> Topic:
        if name in self.topics:
            raise ValueError(f"there is a topic {name} already")
        topic = Topic(name, source, schema, key, self._activity, self._courier)
        topic.base_url = self._base_url
        self.topics[name] = topic
        return topic

    def _counted(
        self, handler: Callable[[web.Request], Awaitable[web.Response]]
    ) -> Callable[[web.Request], Awaitable[web.Response]]:
        async def counted(request: web.Request) -> web.Response:
            with self._activity.counted():
                return await handler(request)

        return counted

    async def _publish(self, request: web.Request) -> web.Response:
        topic = self.topics.get(request.match_info["topic"])
        if topic is None or topic.key is None:
            return _refusal(404, "NotFound", f"there is no custom topic {request.match_info['topic']}")
        if not hmac.compare_digest(request.headers.get("aeg-sas-key", "").encode(), topic.key.encode()):
            return _refusal(401, "Unauthorized", "the header aeg-sas-key is missing or wrong")
        body = await request.read()
        if len(body) > MAX_REQUEST_BYTES:
            return _refusal(413, "PayloadTooLarge", f"{len(body)} bytes; at most {MAX_REQUEST_BYTES} are allowed")
        if _schema_of(request) is not topic.schema:
            return _refusal(400, "BadRequest", f"{request.content_type} does not fit the topic's {topic.schema}")
        try:
            events = json.loads(body)
            topic.publish(events if isinstance(events, list) else [events])
        except (EventError, ValueError) as error:
            return _refusal(400, "BadRequest", str(error))
        return web.Response(status=200)

    async def _confirm(self, request: web.Request) -> web.Response:
        if self._handshake.confirm(request.match_info["code"]):
            return web.Response(text="Webhook successfully validated as a subscription endpoint")
        return _refusal(404, "NotFound", "the validation code is unknown, used, or older than 10 minutes")


def _schema_of(request: web.Request) -> Schema:
    return Schema.CLOUD_EVENTS if "cloudevents" in request.content_type else Schema.EVENT_GRID


def _refusal(status: int, code: str, message: str) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message}}, status=status)
