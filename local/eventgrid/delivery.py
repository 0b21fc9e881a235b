"""Delivery as Event Grid promises it: at least once, in no order, retried on the documented schedule.

Source: learn.microsoft.com/azure/event-grid/delivery-and-retry. The schedule is kept to the second; Azure adds a small
random time and may skip steps.
"""

import json
import logging
import random
from collections.abc import Callable, Mapping
from datetime import datetime

import aiohttp

from local.activity import Activity
from local.eventgrid.events import Event, Schema, in_schema, type_of
from local.eventgrid.subscriptions import Delivery, EventSubscription, ServiceBusQueue, Webhook

log = logging.getLogger(__name__)

SendToQueue = Callable[[str, bytes, Mapping[str, str]], None]
"""(queue, body, application properties); an exception is a failed attempt, retried by the schedule."""

ANSWER_WITHIN_S = 30.0
SCHEDULE_S = (10, 30, 60, 300, 600, 1800, 3600, 3 * 3600, 6 * 3600, 12 * 3600)
"""Waits before the second, third, ... attempt; the last one repeats."""
AT_LEAST_S = {408: 120, 503: 30}
NEVER_RETRIED = {400: "BadRequest", 401: "Unauthorized", 403: "Forbidden", 413: "PayloadTooLarge"}
_OUTCOMES = {**NEVER_RETRIED, 404: "NotFound", 408: "TimedOut", 503: "Busy"}
_DELIVERED = range(200, 205)


def retry_delay_s(attempts: int, status: int | None) -> float:
    """Seconds until the next attempt, after `attempts` (from 1) of which the last answered `status`."""
    step_s = SCHEDULE_S[min(attempts, len(SCHEDULE_S)) - 1]
    return float(max(step_s, AT_LEAST_S.get(status or 0, 10)))


def headers_of(event: Event, subscription: EventSubscription, kind: str, attempts: int) -> dict[str, str]:
    """The `aeg-` headers of a delivery; application properties where the destination is a queue."""
    cloud = subscription.schema is Schema.CLOUD_EVENTS
    return {
        "aeg-event-type": kind,
        "aeg-subscription-name": subscription.name.upper(),
        "aeg-delivery-count": str(attempts),
        "aeg-metadata-version": "1.0" if cloud else "1",
        "aeg-data-version": "" if cloud else str(event["dataVersion"]),
        "aeg-output-event-id": str(event["id"]),
    }


class Courier:
    """Carries accepted events to the subscriptions of their topic."""

    def __init__(self, activity: Activity, rng: random.Random, send: SendToQueue | None) -> None:
        self._activity = activity
        self._rng = rng
        self._send = send
        self._http: aiohttp.ClientSession | None = None

    def open(self) -> None:
        self._http = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S))

    async def close(self) -> None:
        if self._http is not None:
            await self._http.close()

    @property
    def http(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise RuntimeError("EventGrid is not started: await start() first")
        return self._http

    def offer(self, event: Event, subscription: EventSubscription) -> None:
        """Deliver the event, twice or late if the subscription's disorder says so."""
        disorder = subscription.disorder
        published_at = self._activity.clock.now()
        for _ in range(2 if self._rng.random() < disorder.duplicate else 1):
            hold_s = self._rng.uniform(0, disorder.hold_s) if self._rng.random() < disorder.reorder else 0.0
            self._activity.spawn(self._deliver(event, subscription, published_at, hold_s))

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> tuple[int | None, bytes, str]:
        """(status, body, what went wrong without a status). One attempt, at most 30 s."""
        try:
            async with self.http.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status, await answer.read(), ""
        except TimeoutError:
            return None, b"", "TimedOut"
        except (aiohttp.ClientError, OSError):
            return None, b"", "SocketError"

    async def _deliver(
        self, event: Event, subscription: EventSubscription, published_at: datetime, hold_s: float
    ) -> None:
        attempts: list[Delivery] = []
        subscription.pending += 1
        try:
            if hold_s:
                await self._activity.sleep(hold_s)
            while (reason := _given_up(subscription, attempts, self._age_s(published_at))) is None:
                attempts.append(await self._attempt(event, subscription, len(attempts)))
                subscription.deliveries.append(attempts[-1])
                if attempts[-1].delivered:
                    return
                if _given_up(subscription, attempts, 0) is None:
                    await self._activity.sleep(retry_delay_s(len(attempts), attempts[-1].status))
            log.warning("%s: event %s of type %s: %s", subscription.name, event["id"], type_of(event), reason)
            subscription.bury(event, reason, published_at, attempts)
        finally:
            subscription.pending -= 1

    def _age_s(self, published_at: datetime) -> float:
        return (self._activity.clock.now() - published_at).total_seconds()

    async def _attempt(self, event: Event, subscription: EventSubscription, attempts: int) -> Delivery:
        at = self._activity.clock.now()
        headers = headers_of(event, subscription, "Notification", attempts)
        match subscription.destination:
            case Webhook(url):
                status, outcome = await self._to_webhook(url, event, subscription.schema, headers)
            case ServiceBusQueue(queue):
                status, outcome = self._to_queue(queue, event, subscription.schema, headers)
        return Delivery(
            event_id=event["id"], event_type=type_of(event), attempt=attempts + 1, at=at, status=status, outcome=outcome
        )

    async def _to_webhook(
        self, url: str, event: Event, schema: Schema, headers: dict[str, str]
    ) -> tuple[int | None, str]:
        """An Event Grid event goes in an array of one, a CloudEvent as the bare object."""
        shaped = in_schema(event, schema)
        if schema is Schema.CLOUD_EVENTS:
            body, kind = json.dumps(shaped), "application/cloudevents+json; charset=utf-8"
        else:
            body, kind = json.dumps([shaped]), "application/json; charset=utf-8"
        status, _, failure = await self.post(url, body.encode(), {**headers, "Content-Type": kind})
        if status is None:
            return None, failure
        return status, "Delivered" if status in _DELIVERED else _OUTCOMES.get(status, "GenericError")

    def _to_queue(self, queue: str, event: Event, schema: Schema, headers: dict[str, str]) -> tuple[int | None, str]:
        """One message an event, its body the bare event."""
        if self._send is None:
            raise RuntimeError("no send callable was given")
        try:
            self._send(queue, json.dumps(in_schema(event, schema)).encode(), headers)
        except Exception:
            log.exception("queue %s did not take event %s", queue, event["id"])
            return None, "GenericError"
        return 200, "Delivered"


def _given_up(subscription: EventSubscription, attempts: list[Delivery], age_s: float) -> str | None:
    """Why no further attempt is made, or None. Age is looked at only when the next attempt is due."""
    if attempts and attempts[-1].status in NEVER_RETRIED:
        return f"UndeliverableDueTo{attempts[-1].outcome}"
    if len(attempts) >= subscription.max_attempts:
        return "MaxDeliveryAttemptsExceeded"
    if age_s > subscription.ttl_s:
        return "TimeToLiveExceeded"
    return None
