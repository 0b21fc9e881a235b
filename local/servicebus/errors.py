"""What the broker refuses, in the words that Service Bus uses on the wire."""


class ServiceBusError(Exception):
    """A refused operation: an AMQP error condition, words for people, and the status that `$management` answers.

    The conditions are those that azure-servicebus turns into its own exceptions (MessageLockLostError, ...).
    """

    def __init__(self, condition: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.condition = condition
        self.description = description
        self.status = status


class ConfigError(ValueError):
    """The configuration cannot be used; the message names the place in it and what to do."""


def lock_lost() -> ServiceBusError:
    return ServiceBusError(
        "com.microsoft:message-lock-lost",
        "The message lock is invalid: it expired, or the message was already settled.",
        410,
    )


def message_not_found(kind: str, sequence_number: int) -> ServiceBusError:
    return ServiceBusError(
        "com.microsoft:message-not-found", f"No {kind} message has sequence number {sequence_number}.", 404
    )


def entity_not_found(path: str) -> ServiceBusError:
    return ServiceBusError("amqp:not-found", f"The messaging entity '{path}' could not be found.", 404)


def unauthorized(claim: str, path: str) -> ServiceBusError:
    problem = f"Unauthorized access. '{claim}' claim(s) are required to perform this operation. Resource: '{path}'."
    return ServiceBusError("amqp:unauthorized-access", problem, 401)


def invalid_argument(problem: str) -> ServiceBusError:
    return ServiceBusError("com.microsoft:argument-error", problem, 400)


def not_implemented(feature: str) -> ServiceBusError:
    return ServiceBusError("amqp:not-implemented", f"The local Service Bus does not have {feature}.", 501)
