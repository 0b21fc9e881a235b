"""An Event Grid custom topic, to which Logic Apps and others subscribe. CloudEvents 1.0 (the topic's input schema).

Event types are `Watchkeeper.Notice.<Kind>`, such as `Watchkeeper.Notice.ManualChange`. `source` and `id` name an event:
a repetition has the same. `POST {topic}?api-version=2018-01-01`, role "EventGrid Data Sender". docs/notices.md has the
schema of `data`.
"""

import json
from typing import TYPE_CHECKING

from shared.people.channels.base import SEND_TIMEOUT_S, Parcel, Result, judged, retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.core.credentials_async import AsyncTokenCredential
    from azure.core.exceptions import HttpResponseError
    from azure.eventgrid.aio import EventGridPublisherClient

SOURCE = "watchkeeper"
REMEDY = "look whether the topic exists, takes CloudEvents 1.0, and grants the app's identity EventGrid Data Sender"


def event_type(kind: str) -> str:
    return "Watchkeeper.Notice." + "".join(word.capitalize() for word in kind.split("_"))


class EventGridSender:
    """Publishes to the topic of the app settings (its endpoint; "" where there is none)."""

    def __init__(self, topic: str, credential: "AsyncTokenCredential") -> None:
        self._topic, self._credential = topic, credential
        self._client: EventGridPublisherClient | None = None

    async def send(self, parcel: Parcel) -> Result:
        if not self._topic:
            return Result(kind="refused", problem="no topic: set WATCHKEEPER_NOTICE_TOPIC to the endpoint of one")
        from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError

        try:
            await self._publisher().send([self._event(parcel)])
        except ResourceNotFoundError as error:  # raised anew by the client, without its answer
            return _refusal(error, 404)
        except HttpResponseError as error:
            return _refusal(error, error.status_code or 0)
        except AzureError as error:
            return Result(kind="later", problem=f"the topic did not answer: {type(error).__name__}")
        return Result(kind="delivered", receipt=parcel.notice.id)

    async def follow(self, parcel: Parcel) -> Result:
        return Result(kind="delivered", receipt=parcel.notice.id)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _publisher(self) -> "EventGridPublisherClient":
        if self._client is None:
            from azure.eventgrid.aio import EventGridPublisherClient

            # Repetitions are ours: they are counted, spread, and survive this process.
            self._client = EventGridPublisherClient(
                self._topic,
                self._credential,
                retry_total=0,
                connection_timeout=SEND_TIMEOUT_S,
                read_timeout=SEND_TIMEOUT_S,
            )
        return self._client

    def _event(self, parcel: Parcel) -> object:
        from azure.core.messaging import CloudEvent

        notice = parcel.notice
        return CloudEvent(
            source=SOURCE,
            type=event_type(notice.kind),
            id=notice.id,
            time=notice.at,
            subject=notice.target or notice.project or notice.kind,
            data=data_of(parcel),
        )


def data_of(parcel: Parcel) -> dict[str, object]:
    """A notice as JSON, for machines: the body of events and of plain webhooks."""
    notice, message = parcel.notice, parcel.message
    return {
        "id": notice.id,
        "kind": notice.kind,
        "severity": notice.severity,
        "at": notice.at.isoformat(),
        "subject": message.subject,
        "text": message.text,
        "target": notice.target,
        "project": notice.project,
        "entry": notice.entry,
        "facts": dict(message.facts),
        "advice": message.advice,
        "runbook": message.runbook,
        "links": dict(message.links),
    }


def _refusal(error: "HttpResponseError", status: int) -> Result:
    headers: Mapping[str, str] = getattr(error.response, "headers", {})
    if status in (0, 401, 403):  # a right that was just granted takes minutes to be seen
        return Result(kind="later", problem=f"the topic answered {status}: {REMEDY}")
    detail = f"; it says: {_code(error)}" if _code(error) else ""
    return judged(status, "the topic", REMEDY + detail, retry_after_s(headers))


def _code(error: "HttpResponseError") -> str:
    try:
        code = json.loads(error.response.text())["error"]["code"] if error.response is not None else ""
    except (ValueError, KeyError, TypeError):
        return ""
    return str(code)[:60]
