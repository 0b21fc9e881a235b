"""What azure-servicebus 7.15.0 gets from a queue, over the wire: abandoned, dead, deferred messages."""

import pytest
from azure.servicebus import ServiceBusMessage, ServiceBusMessageState
from azure.servicebus.exceptions import MessageNotFoundError

from tests.local.servicebus.conformance.builders import nothing, one
from tests.local.servicebus.conformance.shared_links import Links

pytestmark = pytest.mark.asyncio(loop_scope="package")


async def test_abandon_counts_deliveries(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("a"))
    for expected in range(3):
        message = await one(receiver)
        assert message.delivery_count == expected
        await receiver.abandon_message(message)
    await receiver.complete_message(await one(receiver))


async def test_too_many_deliveries_make_a_dead_letter(links: Links) -> None:
    sender, receiver = await links.both("poison")
    await sender.send_messages(ServiceBusMessage("poison"))
    for _ in range(3):
        await receiver.abandon_message(await one(receiver))
    dead_letters = await links.dead_letters("poison")
    message = await one(dead_letters)
    assert str(message) == "poison"
    assert message.dead_letter_reason == "MaxDeliveryCountExceeded"
    await dead_letters.complete_message(message)
    assert await nothing(receiver)


async def test_a_dead_letter_carries_its_reason(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("d", application_properties={"keep": "me"}))
    await receiver.dead_letter_message(await one(receiver), reason="BadInput", error_description="no such thing")
    dead_letters = await links.dead_letters("plain")
    message = await one(dead_letters)
    assert message.dead_letter_reason == "BadInput"
    assert message.dead_letter_error_description == "no such thing"
    assert message.application_properties is not None
    assert message.application_properties[b"keep"] == b"me"
    await dead_letters.complete_message(message)


async def test_a_deferred_message_comes_by_its_number_only(links: Links) -> None:
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("aside"))
    message = await one(receiver)
    number = message.sequence_number
    assert number is not None
    await receiver.defer_message(message)
    assert await nothing(receiver)
    [peeked] = await receiver.peek_messages(1, sequence_number=number)
    assert peeked.state == ServiceBusMessageState.DEFERRED
    [deferred] = await receiver.receive_deferred_messages(number)
    assert str(deferred) == "aside"
    await receiver.complete_message(deferred)
    with pytest.raises(MessageNotFoundError):
        await receiver.receive_deferred_messages(number)


@pytest.mark.parametrize("settlement", ["abandon", "dead_letter", "defer"])
async def test_a_deferred_message_can_be_settled_in_every_way(links: Links, settlement: str) -> None:
    """The SDK settles these through `$management`, not by disposition."""
    sender, receiver = await links.both("plain")
    await sender.send_messages(ServiceBusMessage("aside"))
    message = await one(receiver)
    number = message.sequence_number
    assert number is not None
    await receiver.defer_message(message)
    [deferred] = await receiver.receive_deferred_messages(number)
    await getattr(receiver, f"{settlement}_message")(deferred)
    if settlement == "dead_letter":
        dead_letters = await links.dead_letters("plain")
        await dead_letters.complete_message(await one(dead_letters))
    else:
        [again] = await receiver.receive_deferred_messages(number)
        await receiver.complete_message(again)
