"""Queues and subscriptions whose dead letters people look after: the policy's section `dead_letters`."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.policy.parts import MONTH_S, Mail, Name, Part, refuse, unit

SIGNALS = "signals"
"""The name under which the queue of the signals is watched, without an entry."""

DEFAULT_OLDER_THAN_S = 86_400.0

# Of Azure alone: our token goes there, and a document must not be able to have it sent to any other host.
_HOST = r"^[a-z][a-z0-9-]{4,48}[a-z0-9]\.servicebus\.(windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)$"
_ENTITY = r"^[A-Za-z0-9]([A-Za-z0-9._/-]{0,258}[A-Za-z0-9])?$"
_SUBSCRIPTION = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,48}[A-Za-z0-9])?$"


def _namespace(text: str) -> str:
    host = text.lower()
    if not re.fullmatch(_HOST, host):  # the value is not repeated: it may be a connection string
        raise refuse(
            "is no fully qualified name of a Service Bus namespace of Azure",
            "Write NAME.servicebus.windows.net, without a scheme and a path; never a connection string.",
        )
    return host


type Namespace = Annotated[str, AfterValidator(_namespace), Field(json_schema_extra={"pattern": _HOST})]
type EntityName = Annotated[str, Field(pattern=_ENTITY)]
type SubscriptionName = Annotated[str, Field(pattern=_SUBSCRIPTION)]


class WatchedDeadLetters(Part):
    """One queue, or one subscription of a topic.

    It says which by `queue`, or by `topic` and `subscription`.
    """

    name: Name
    """Short, unique name; operators and notices go by it."""

    queue: EntityName | None = None
    """Name of the queue."""

    topic: EntityName | None = None
    """Name of the topic."""

    subscription: SubscriptionName | None = None
    """Name of the topic's subscription."""

    namespace: Namespace | None = None
    """Fully qualified name of its Service Bus namespace; without it the namespace of the signals."""

    owner: Mail | None = None
    """Who is told when its dead letters wait."""

    older_than_s: Annotated[float, Field(strict=True, ge=60, le=MONTH_S, json_schema_extra=unit("seconds"))] = (
        DEFAULT_OLDER_THAN_S
    )
    """How long a dead letter may wait before its owner is told."""

    projects: Annotated[tuple[Name, ...], Field(max_length=1)] = ()
    """The project whose messages these are; in a project's document always that project."""

    @property
    def project(self) -> str:
        """ "" if it is no project's."""
        return self.projects[0] if self.projects else ""

    @model_validator(mode="after")
    def _is_one_entity(self) -> Self:
        if self.name == SIGNALS:
            raise refuse(
                f"is named '{SIGNALS}', as the queue of the signals is, which needs no entry",
                "Give it another name, or remove it.",
            )
        given = (self.queue is not None, self.topic is not None, self.subscription is not None)
        if given not in ((True, False, False), (False, True, True)):
            raise refuse(
                "names neither one queue nor one subscription",
                "Write `queue`, or both `topic` and `subscription`.",
            )
        return self
