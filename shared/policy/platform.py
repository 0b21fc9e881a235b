"""What only the platform's document says: which workspaces are watched, what runs where, and who may own what.

Deny by default: a project's document is in force only for what a grant gives it. Grants go by ids and names, never by
tags: whoever may write a tag could grant himself what it opens.
"""

import re
from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from shared.domain import QueueId, WorkspaceId
from shared.policy.parts import Mail, Name, Part, refuse, valid_workspace
from shared.policy.resource_ids import form_of

GUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def _guid(text: str) -> str:
    if not re.fullmatch(GUID, text):
        raise refuse(f"is '{text[:60]}', which is no subscription's GUID", "Write the subscription's id.")
    return text


type Subscription = Annotated[str, AfterValidator(_guid), Field(json_schema_extra={"pattern": GUID})]
type Pattern = Annotated[str, Field(min_length=1, max_length=260)]
type Tags = Mapping[str, str]


def fits(pattern: str, name: str) -> bool:
    """Whether a name of Azure fits a pattern (`ml-*`), in any letter case."""
    return fnmatchcase(name.casefold(), pattern.casefold())


class WorkspaceRule(Part):
    """One workspace by its id, or all that fit every field given."""

    id: (
        Annotated[
            str,
            AfterValidator(valid_workspace),
            Field(json_schema_extra={"pattern": "^(/[^/]+){8}$", "x-form": form_of(WorkspaceId)}),
        ]
        | None
    ) = None
    """Full resource id of one workspace."""

    subscription: Subscription | None = None
    """Only workspaces of this subscription (a GUID)."""

    resource_group: Pattern | None = None
    """Only workspaces in resource groups of this name, or of names that fit this pattern (`ml-*`)."""

    name: Pattern | None = None
    """Only workspaces of this name, or of names that fit this pattern."""

    tags: dict[str, str] = Field(default_factory=dict)
    """Only workspaces that carry all these tags, each with this value (or a value that fits this pattern)."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any((self.id, self.subscription, self.resource_group, self.name, self.tags)):
            raise refuse(
                "says nothing",
                "Write `id`, or one or more of `subscription`, `resource_group`, `name` and `tags`; "
                "`name: '*'` is every workspace.",
            )
        return self

    def matches(self, workspace: WorkspaceId, tags: Tags | None) -> bool | None:
        """Whether `workspace` is meant; None if that hangs on its tags, which are not known (`tags` is None)."""
        if self.id is not None and self.id.casefold() != workspace.key:
            return False
        if self.subscription is not None and self.subscription.casefold() != workspace.subscription.casefold():
            return False
        if self.resource_group is not None and not fits(self.resource_group, workspace.resource_group):
            return False
        if self.name is not None and not fits(self.name, workspace.workspace):
            return False
        return self._tagged(tags)

    def _tagged(self, tags: Tags | None) -> bool | None:
        if not self.tags:
            return True
        if tags is None:
            return None
        carried = {name.casefold(): value for name, value in tags.items()}  # names of tags have no letter case
        return all(fits(value, carried.get(name.casefold(), "")) for name, value in self.tags.items())


class QueueRule(Part):
    """The Service Bus queues that fit every field given."""

    subscription: Subscription | None = None
    """Only queues of this subscription (a GUID)."""

    resource_group: Pattern | None = None
    """Only queues in resource groups of this name, or of names that fit this pattern."""

    namespace: Pattern = "*"
    """Only queues of this namespace, or of namespaces whose names fit this pattern."""

    name: Pattern = "*"
    """Only queues of this name, or of names that fit this pattern."""

    def matches(self, queue: QueueId) -> bool:
        in_subscription = self.subscription is None or self.subscription.casefold() == queue.subscription.casefold()
        in_group = self.resource_group is None or fits(self.resource_group, queue.resource_group)
        return in_subscription and in_group and fits(self.namespace, queue.namespace) and fits(self.name, queue.queue)

    def may_name(self, host: str, entity: str) -> bool:
        """Whether an entity of the namespace at `host` ("" for that of the signals) is meant, as far as names tell: a
        rule that goes by subscription or resource group must also say which namespaces it means.
        """
        named = self.namespace != "*" or (self.subscription is None and self.resource_group is None)
        return named and fits(self.namespace, host.partition(".")[0]) and fits(self.name, entity)


class ProjectGrant(Part):
    """What one project may own: endpoints in workspaces, and the queues whose depth may drive them.

    A deployment belongs to the first grant, in the order of the document, that fits it; no other project may name it.
    """

    name: Name
    """The project: its document is `<name>.yaml`."""

    owner: Mail | None = None
    """Who hears about it where its own document does not say."""

    workspaces: tuple[WorkspaceRule, ...]
    """Where its deployments may be. Tags cannot be used here: who may write a tag could grant himself."""

    endpoints: tuple[Pattern, ...] = ("*",)
    """Names, or patterns for names, of the online endpoints in these workspaces that are the project's."""

    queues: tuple[QueueRule, ...] = ()
    """Queues that its targets may read, and (topics too) whose dead letters may be its own; without one, none."""

    secrets: tuple[Pattern, ...] = ()
    """Names, or patterns for names, of Key Vault secrets with webhooks' URLs that its channels may use."""

    @model_validator(mode="after")
    def _goes_by_no_tag(self) -> Self:
        if any(rule.tags for rule in self.workspaces):
            raise refuse(
                "grants by a tag, and who may write a tag could grant himself",
                "Use `id`, `subscription`, `resource_group` or `name`.",
            )
        return self

    def covers(self, workspace: WorkspaceId) -> bool:
        """Whether some of its deployments may be in this workspace."""
        return any(rule.matches(workspace, {}) for rule in self.workspaces)

    def has_endpoint(self, name: str) -> bool:
        """Whether an endpoint of this name is its own, in a workspace that it covers."""
        return any(fits(pattern, name) for pattern in self.endpoints)

    def may_use(self, secret: str) -> bool:
        """Whether a channel of the project may have its URL from this secret."""
        return any(fits(pattern, secret) for pattern in self.secrets)

    def may_read(self, queue: QueueId) -> bool:
        return any(rule.matches(queue) for rule in self.queues)

    def may_look_after(self, host: str, entity: str) -> bool:
        """Whether the dead letters of a queue or topic may be the project's; see `QueueRule.may_name`."""
        return any(rule.may_name(host, entity) for rule in self.queues)
