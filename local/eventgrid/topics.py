"""Topics: where events come in, from this process or over HTTP, and which subscriptions get them."""

from collections.abc import Iterable

from local.activity import Activity
from local.eventgrid.delivery import Courier
from local.eventgrid.events import Event, Schema, accepted
from local.eventgrid.subscriptions import EventSubscription


class Topic:
    """A custom topic (with a key: also reachable over HTTP) or a system topic (without).

    `source` is the resource id that its events carry: the topic's own, or that of the resource which a system topic
    watches.
    """

    def __init__(
        self, name: str, source: str, schema: Schema, key: str | None, activity: Activity, courier: Courier
    ) -> None:
        self.name = name
        self.source = source
        self.schema = schema
        self.key = key
        self.base_url = ""
        """Set when the service starts."""
        self.subscriptions = dict[str, EventSubscription]()
        self._activity = activity
        self._courier = courier

    @property
    def endpoint(self) -> str:
        """What `EventGridPublisherClient` takes."""
        if self.key is None:
            raise ValueError(f"{self.name} is a system topic: only its service publishes to it, with publish()")
        return f"{self.base_url}/{self.name}/api/events"

    def publish(self, events: Iterable[Event]) -> None:
        """Accept all events or none; they are delivered in the background. From any thread.

        Events are dicts in the topic's schema, without `topic`. Raises `EventError` and names the first bad one.
        """
        checked = [accepted(event, self.schema, self.source, n) for n, event in enumerate(events)]
        self._activity.spawn(self._fan_out(checked))

    async def _fan_out(self, events: list[Event]) -> None:
        for event in events:
            for subscription in list(self.subscriptions.values()):
                if subscription.wants(event):
                    self._courier.offer(event, subscription)
