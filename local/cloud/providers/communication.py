"""Azure Communication Services: sending mail, and how it goes with it. What is sent is in the cloud's inbox.

Source: azure-rest-api-specs communication data plane, Email 2025-09-01 (Email_Send, Email_GetSendResult);
learn.microsoft.com "Authenticate to Azure Communication Services with Microsoft Entra ID".
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError
from local.cloud.inbox import Inbox, Received
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches

HOST = "*.communication.azure.com"
API_VERSION = "2025-09-01"
AUDIENCES = ("https://communication.azure.com",)
ACTION = "Microsoft.Communication/CommunicationServices/write"
SPEC = "azure-rest-api-specs communication Email 2025-09-01"
TAKES = timedelta(seconds=4)
RETRY_AFTER_S = 5
_FIELDS = {
    "senderAddress",
    "recipients",
    "content",
    "headers",
    "attachments",
    "replyTo",
    "userEngagementTrackingDisabled",
}


@dataclass(frozen=True, slots=True)
class _Operation:
    accepted_at: datetime
    fails: bool


class Communication:
    """A mail to an address that begins with `bounce` fails once it is worked on."""

    def __init__(self, clock: Clock, inbox: Inbox, switches: Switches) -> None:
        self._clock, self._inbox, self._switches = clock, inbox, switches
        self._operations: dict[str, _Operation] = {}

    def routes(self) -> list[Route]:
        return [
            self._route("POST", "/emails:send", self.send, "Email_Send"),
            self._route("GET", "/emails/operations/{operation}", self.result, "Email_GetSendResult"),
        ]

    def send(self, call: Call) -> Reply:
        """202 with the operation; whether a repeated id sends again is `mail.repeated_operation_id`."""
        mail = _checked(call.json())
        operation = call.headers.get("Operation-Id") or str(uuid.uuid4())
        is_known = operation in self._operations
        if is_known and self._switches["mail.repeated_operation_id"] == "conflict":
            raise ArmError(409, "Conflict", f"Operation {operation} exists.")
        if not is_known or self._switches["mail.repeated_operation_id"] == "sends_again":
            self._accept(operation, mail)
        location = f"https://{call.host}/emails/operations/{operation}?api-version={API_VERSION}"
        headers = {"Operation-Location": location, "Retry-After": str(RETRY_AFTER_S)}
        return Reply(202, {"id": operation, "status": "Running", "error": None}, headers)

    def result(self, call: Call) -> Reply:
        operation = call.params["operation"]
        known = self._operations.get(operation)
        if known is None:
            status = int(self._switches["mail.unknown_operation"])
            code = "NotFound" if status == 404 else "BadRequest"
            raise ArmError(status, code, f"There is no operation {operation}.")
        if self._clock.now() < known.accepted_at + TAKES:
            running = {"id": operation, "status": "Running", "error": None}
            return Reply(200, running, {"Retry-After": str(RETRY_AFTER_S)})
        if known.fails:
            error = {"code": "EmailDroppedAllRecipientsSuppressed", "message": "The recipient is suppressed."}
            return Reply(200, {"id": operation, "status": "Failed", "error": error})
        return Reply(200, {"id": operation, "status": "Succeeded", "error": None})

    def _accept(self, operation: str, mail: dict[str, Any]) -> None:
        addresses = [to["address"] for to in mail["recipients"]["to"]]
        fails = all(address.startswith("bounce") for address in addresses)
        now = self._clock.now()
        self._operations[operation] = _Operation(now, fails)
        for address in () if fails else addresses:
            self._inbox.add(Received(at=now, way="mail", address=address, id=operation, body=mail))

    def _route(self, method: str, template: str, handler: Any, example: str) -> Route:
        return Route(
            method=method,
            host=HOST,
            template=template,
            api_versions=(API_VERSION,),
            audiences=AUDIENCES,
            action=ACTION,
            arm_throttled=False,
            handler=handler,
            source=f"{SPEC} {example}",
        )


def _checked(mail: dict[str, Any]) -> dict[str, Any]:
    """Raises ArmError 400 for what the specification does not know, or asks for."""
    if unknown := sorted(set(mail) - _FIELDS):
        raise ArmError(400, "BadRequest", f"unknown members: {', '.join(unknown)}")
    content, to = mail.get("content", {}), mail.get("recipients", {}).get("to", [])
    has_text = bool(content.get("plainText") or content.get("html"))
    if not (mail.get("senderAddress") and content.get("subject") and has_text and to):
        raise ArmError(400, "BadRequest", "senderAddress, recipients.to, content.subject and a text are required.")
    if "\n" in content["subject"] or any("@" not in one.get("address", "") for one in to):
        raise ArmError(400, "BadRequest", "The subject is one line, and every recipient an address.")
    return mail
