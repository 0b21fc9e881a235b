"""Requests to `$management`, over the wire, from a client that says exactly what a test wants."""

from typing import Any

import pytest

from local.servicebus import codec
from local.servicebus.amqp_types import Array
from local.servicebus.message import APPLICATION_PROPERTIES, PROPERTIES, VALUE, section, split_sections
from local.servicebus.wire.performatives import Transfer
from tests.local.servicebus.raw_client import RawClient, transfer


async def ask(client: RawClient, operation: Any, body: Any) -> tuple[int, str | None]:
    """(status, error condition) of a management request."""
    client.attach_sender("q/$management", handle=0)
    client.attach_receiver("q/$management", handle=1, credit=1)
    request = section(PROPERTIES, codec.encode(["id-1", None, None, None, "here"]))
    request += section(APPLICATION_PROPERTIES, codec.encode({"operation": operation}))
    client.send(transfer(settled=True), request + section(VALUE, codec.encode(body)))
    while (frame := await client.next_frame()) is not None:
        if isinstance(frame.performative, Transfer):
            sections = {code: codec.decode(value)[0] for code, value in split_sections(frame.payload)}
            assert sections[PROPERTIES][5] == "id-1"
            properties = sections[APPLICATION_PROPERTIES]
            return properties["statusCode"], properties.get("errorCondition")
    raise AssertionError("the connection ended without an answer")


@pytest.mark.parametrize(
    ("operation", "body", "expected"),
    [
        ("com.microsoft:fly", {}, (501, "amqp:not-implemented")),
        (["a list"], {}, (501, "amqp:not-implemented")),
        ("com.microsoft:peek-message", None, (400, "com.microsoft:argument-error")),
        ("com.microsoft:peek-message", {"from-sequence-number": "one"}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:peek-message", {"from-sequence-number": 1, "message-count": 5}, (204, None)),
        ("com.microsoft:renew-lock", {"lock-tokens": ["x"]}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:renew-lock", {}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:schedule-message", {"messages": [1]}, (400, "com.microsoft:argument-error")),
        ("com.microsoft:schedule-message", {"messages": [{"message": b"?"}]}, (400, "amqp:decode-error")),
        ("com.microsoft:cancel-scheduled-message", {"sequence-numbers": [7]}, (404, "com.microsoft:message-not-found")),
        (
            "com.microsoft:update-disposition",
            {"disposition-status": "eaten", "lock-tokens": Array(codec.ARRAY_OF_UUIDS, ())},
            (200, None),
        ),
    ],
)
async def test_management_requests_are_answered_whatever_they_say(
    client: RawClient, operation: Any, body: Any, expected: tuple[int, str | None]
) -> None:
    await client.open_session()
    assert await ask(client, operation, body) == expected
