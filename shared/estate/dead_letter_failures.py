"""Why the dead letters of an entity cannot be had, in types that say what to do."""


class DeadLetterFailure(Exception):
    """Base of all failures here: about one entity, and nothing of another."""


class NoRight(DeadLetterFailure):
    """The namespace does not let us."""


class EntityMissing(DeadLetterFailure):
    """There is no such queue, topic or subscription, or it is switched off."""


class BrokerUnreachable(DeadLetterFailure):
    """No answer that says anything of the entity: ask again later."""


def failure_of(path: str, host: str, error: Exception) -> DeadLetterFailure | None:
    """What an exception of the client means for the entity `path` of the namespace `host`; None: it is not of Azure."""
    from azure.core.exceptions import AzureError, ClientAuthenticationError
    from azure.servicebus import exceptions as known

    said = " ".join(str(error).split())[:300]
    match error:
        case known.ServiceBusAuthenticationError() | known.ServiceBusAuthorizationError():
            return NoRight(
                f"{path} of {host}: {said} To do: assign the role 'Azure Service Bus Data Receiver' (and, to resubmit, "
                "'Azure Service Bus Data Sender') on it to the app's identity"
            )
        case ClientAuthenticationError():
            return NoRight(f"{path} of {host}: no token for Service Bus: {said} To do: check the app's identity")
        case known.MessagingEntityNotFoundError() | known.MessagingEntityDisabledError():
            return EntityMissing(f"{path} of {host}: {said} To do: check its name in the policy, and that it is active")
        case TimeoutError():
            return BrokerUnreachable(f"{path} of {host} did not answer in time")
        case AzureError() | OSError():
            return BrokerUnreachable(f"{path} of {host} cannot be reached: {said}")
        case ValueError():
            return EntityMissing(f"{path} of {host}: the client refuses it: {said}")
    return None
