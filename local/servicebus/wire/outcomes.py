"""Delivery outcomes (accepted, rejected, ...) and what Service Bus means by them."""

import enum
import uuid
from typing import Any

from local.servicebus.amqp_types import Described, Symbol, ULong
from local.servicebus.errors import ServiceBusError, invalid_argument
from local.servicebus.queue import Queue

_ERROR = 0x1D
_REASON, _DESCRIPTION = "DeadLetterReason", "DeadLetterErrorDescription"


class Outcome(enum.IntEnum):
    """Descriptor codes of delivery states (OASIS amqp-core-messaging-v1.0 §3.4)."""

    RECEIVED = 0x23
    ACCEPTED = 0x24
    REJECTED = 0x25
    RELEASED = 0x26
    MODIFIED = 0x27


def error(refused: ServiceBusError) -> Described:
    return Described(ULong(_ERROR), [Symbol(refused.condition), refused.description, {}])


def accepted() -> Described:
    return Described(ULong(Outcome.ACCEPTED), [])


def rejected(refused: ServiceBusError) -> Described:
    return Described(ULong(Outcome.REJECTED), [error(refused)])


def settle(queue: Queue, lock_token: uuid.UUID, state: Described) -> Described:
    """Do to the message what the receiver's outcome asks for; returns the outcome that confirms it.

    Raises `ServiceBusError` when the lock is lost or the outcome makes no sense.
    """
    fields: list[Any] = state.value if isinstance(state.value, list) else []
    match state.descriptor:
        case Outcome.ACCEPTED:
            queue.complete(lock_token)
        case Outcome.REJECTED:
            reason, description, changes = _dead_letter_info(fields)
            queue.dead_letter(lock_token, reason, description, changes)
            # A confirmation that repeated the error would tell the SDK that the settlement failed.
            return Described(ULong(Outcome.REJECTED), [])
        case Outcome.RELEASED:
            queue.release(lock_token)
        case Outcome.MODIFIED:
            undeliverable, changes = _modification(fields)
            (queue.defer if undeliverable else queue.abandon)(lock_token, changes)
        case _:
            raise invalid_argument(f"Unknown outcome {state.descriptor!r}.")
    return state


def _dead_letter_info(fields: list[Any]) -> tuple[str | None, str | None, dict[str, Any]]:
    problem = fields[0].value if fields and isinstance(fields[0], Described) else None
    info = problem[2] if isinstance(problem, list) and len(problem) > 2 else None
    changes = text_keys(info)
    return changes.pop(_REASON, None), changes.pop(_DESCRIPTION, None), changes


def _modification(fields: list[Any]) -> tuple[bool, dict[str, Any]]:
    """(undeliverable here, changed properties) of `modified(delivery-failed, undeliverable-here, annotations)`."""
    undeliverable, annotations = (fields + [None] * 3)[1:3]
    return bool(undeliverable), text_keys(annotations)


def text_keys(values: object) -> dict[str, Any]:
    """A map as application properties: SDKs write the keys as symbols, receivers expect strings."""
    items = values.items() if isinstance(values, dict) else ()
    return {str(name): value for name, value in items if value is not None}
