"""E-mail through Azure Communication Services.

`POST {endpoint}/emails:send?api-version=2025-09-01` answers 202 and works on; `GET /emails/operations/{id}` tells how
it went. The operation's id is ours and the same at every attempt: after a crash the service is first asked whether it
knows it, so that nobody gets a mail twice. Nothing waits here: the next run of the timer asks again.
"""

from typing import TYPE_CHECKING, Any

from shared.people.channels.base import SEND_TIMEOUT_S, Parcel, Result, judged, retry_after_s
from shared.people.templates import as_html, as_text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from azure.communication.email.aio import EmailClient
    from azure.core.credentials_async import AsyncTokenCredential

API_VERSION = "2025-09-01"
REMEDY = "look whether the sender is a verified address of the resource and whether the recipient's address is right"
RIGHTS = "grant the app's identity the right to send mail on the Communication Services resource"
_RUNNING = ("NotStarted", "Running")


class MailSender:
    """Sends as `sender` through the resource at `endpoint`; both "" where mail is not configured."""

    def __init__(self, endpoint: str, sender: str, credential: "AsyncTokenCredential") -> None:
        self._endpoint, self._sender, self._credential = endpoint, sender, credential
        self._client: EmailClient | None = None

    async def send(self, parcel: Parcel) -> Result:
        if not self._endpoint:
            return Result(kind="refused", problem="no mail: set WATCHKEEPER_MAIL_ENDPOINT and WATCHKEEPER_MAIL_SENDER")
        if parcel.tried:
            known = await self.follow(parcel)
            if known.problem != _UNKNOWN:
                return known
        from azure.core.exceptions import AzureError, HttpResponseError

        try:
            await self._mailer().begin_send(self._mail(parcel), operation_id=parcel.operation, polling=False)
        except HttpResponseError as error:
            return _refusal(error.status_code or 0, error.response)
        except AzureError as error:
            return Result(kind="later", problem=f"the mail service did not answer: {type(error).__name__}")
        return Result(kind="accepted", receipt=parcel.operation)

    async def follow(self, parcel: Parcel) -> Result:
        from azure.core.exceptions import AzureError
        from azure.core.rest import HttpRequest

        request = HttpRequest("GET", f"/emails/operations/{parcel.operation}", params={"api-version": API_VERSION})
        try:
            answer = await self._mailer().send_request(request)
        except AzureError as error:
            return Result(kind="later", problem=f"the mail service did not answer: {type(error).__name__}")
        if answer.status_code in (400, 404):  # assumption mail.unknown_operation
            return Result(kind="later", problem=_UNKNOWN)
        if answer.status_code != 200:
            return _refusal(answer.status_code, answer)
        return _progress(parcel.operation, answer.json(), retry_after_s(answer.headers))

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()

    def _mailer(self) -> "EmailClient":
        if self._client is None:
            from azure.communication.email.aio import EmailClient

            self._client = EmailClient(
                self._endpoint,
                self._credential,
                retry_total=0,
                connection_timeout=SEND_TIMEOUT_S,
                read_timeout=SEND_TIMEOUT_S,
            )
        return self._client

    def _mail(self, parcel: Parcel) -> dict[str, Any]:
        message = parcel.message
        return {
            "senderAddress": self._sender,
            "recipients": {"to": [{"address": parcel.recipient}]},
            "content": {
                "subject": f"[{message.severity}] {message.subject}",
                "plainText": as_text(message),
                "html": as_html(message),
            },
            "headers": {"Watchkeeper-Notice-Id": message.id.encode("ascii", "replace").decode()},
            "userEngagementTrackingDisabled": True,
        }


_UNKNOWN = "the mail service does not know of it"


def _progress(operation: str, document: Any, after_s: float | None) -> Result:
    status = str(document.get("status", "")) if isinstance(document, dict) else ""
    if status == "Succeeded":
        return Result(kind="delivered", receipt=operation)
    if status in _RUNNING:
        return Result(kind="accepted", receipt=operation, retry_after_s=after_s)
    error = document.get("error") if isinstance(document, dict) else None
    code = str(error.get("code", "")) if isinstance(error, dict) else ""
    return Result(kind="refused", problem=f"the mail was {status or 'lost'} ({code or 'no reason given'}): {REMEDY}")


def _refusal(status: int, response: Any) -> Result:
    if status in (0, 401, 403):  # a right that was just granted takes minutes to be seen
        return Result(kind="later", problem=f"the mail service answered {status}: {RIGHTS}")
    headers: Mapping[str, str] = getattr(response, "headers", {})
    return judged(status, "the mail service", REMEDY, retry_after_s(headers))
