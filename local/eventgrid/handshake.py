"""The proof, before the first delivery, that an endpoint wants the events: one handshake per schema.

Event Grid schema: a validation event whose code is to be echoed with a 200 (a 202 does not do), or whose URL a person
opens within ten minutes. CloudEvents: the OPTIONS request of the CloudEvents webhook specification.
"""

import json
import random
import uuid
from datetime import datetime, timedelta

import aiohttp

from local.activity import Activity
from local.eventgrid.delivery import Courier, headers_of
from local.eventgrid.events import Schema, timestamp
from local.eventgrid.subscriptions import EventSubscription, State

ORIGIN = "eventgrid.azure.net"
MANUAL_WITHIN = timedelta(minutes=10)
_TYPE = "Microsoft.EventGrid.SubscriptionValidationEvent"


class Handshake:
    """Validates webhooks; keeps the codes that wait for a person."""

    def __init__(self, activity: Activity, courier: Courier, rng: random.Random) -> None:
        self._activity = activity
        self._courier = courier
        self._rng = rng
        self._by_hand: dict[str, tuple[EventSubscription, datetime]] = {}

    async def validate(self, subscription: EventSubscription, url: str, source: str, base_url: str) -> None:
        """Set the subscription's state, and its problem if it is not SUCCEEDED.

        `source` is the topic's resource id, `base_url` where `confirm` can be reached over HTTP.
        """
        if subscription.schema is Schema.CLOUD_EVENTS:
            await self._ask_permission(subscription, url)
        else:
            await self._send_code(subscription, url, source, base_url)

    def confirm(self, code: str) -> bool:
        """A person opened the validation URL. False if the code is unknown or too old."""
        if code not in self._by_hand:
            return False
        subscription, sent_at = self._by_hand.pop(code)
        if self._activity.clock.now() - sent_at > MANUAL_WITHIN:
            return False
        subscription.state, subscription.problem = State.SUCCEEDED, ""
        return True

    async def _ask_permission(self, subscription: EventSubscription, url: str) -> None:
        headers = {"WebHook-Request-Origin": ORIGIN, "WebHook-Request-Rate": "120"}
        try:
            async with self._courier.http.options(url, headers=headers) as answer:
                status, allowed = answer.status, answer.headers.get("WebHook-Allowed-Origin", "")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _fail(subscription, f"no answer to OPTIONS: {type(error).__name__}")
            return
        if status == 200 and allowed in ("*", ORIGIN):
            subscription.state = State.SUCCEEDED
        else:
            _fail(
                subscription, f"OPTIONS: status {status}, WebHook-Allowed-Origin {allowed!r}; expected 200 and {ORIGIN}"
            )

    async def _send_code(self, subscription: EventSubscription, url: str, source: str, base_url: str) -> None:
        code = str(uuid.UUID(int=self._rng.getrandbits(128), version=4))
        now = self._activity.clock.now()
        event = {
            "id": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            "topic": source,
            "subject": "",
            "data": {"validationCode": code, "validationUrl": f"{base_url}/validate/{code}"},
            "eventType": _TYPE,
            "eventTime": timestamp(now),
            "metadataVersion": "1",
            "dataVersion": "1",
        }
        headers = headers_of(event, subscription, "SubscriptionValidation", 0)
        headers["Content-Type"] = "application/json; charset=utf-8"
        self._by_hand[code] = (subscription, now)
        status, body, failure = await self._courier.post(url, json.dumps([event]).encode(), headers)
        if status == 200 and _echoed(body) == code:
            subscription.state = State.SUCCEEDED
            del self._by_hand[code]
        elif status == 200:
            subscription.state = State.AWAITING_MANUAL_ACTION
            subscription.problem = (
                "the answer does not echo the validation code: open the validation URL within 10 minutes"
            )
        else:
            del self._by_hand[code]
            _fail(subscription, f"the validation event was answered {status or failure}; expected 200 and the code")


def _fail(subscription: EventSubscription, problem: str) -> None:
    subscription.state, subscription.problem = State.FAILED, problem


def _echoed(body: bytes) -> object:
    try:
        answer = json.loads(body)
    except ValueError:
        return None
    return answer.get("validationResponse") if isinstance(answer, dict) else None
