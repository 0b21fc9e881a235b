"""Azure resource ids: of a queue, of the online deployment that serves it, and of the workspace that holds that.

Azure compares resource ids without regard to letter case; `key` is the form to compare and store by, `arm_id` the one
to show and to send.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

INSTANCES_PER_DEPLOYMENT = 50
"""Azure ML's own limit of instances in one online deployment (facts: how-to-manage-quotas)."""


class InvalidResourceId(ValueError):
    """A resource id that is not of the expected type; the message names the segment that is wrong."""


@dataclass(frozen=True, slots=True)
class _ResourceId:
    """A resource id as the values of its template, in order."""

    template: ClassVar[str]

    @classmethod
    @lru_cache(maxsize=1 << 16)  # a sweep asks for the same few thousand ids, many times each
    def parse(cls, arm_id: str) -> Self:
        """Read `/subscriptions/...`; fixed segments in any letter case.

        Raises:
            InvalidResourceId: with the position and the expected word.
        """
        expected = cls.template.split("/")[1:]
        given = arm_id.strip().split("/")[1:]
        if not arm_id.strip().startswith("/") or len(given) != len(expected):
            raise InvalidResourceId(f"{arm_id!r} is not of the form {cls.template}")
        values = []
        for position, (want, got) in enumerate(zip(expected, given, strict=True), start=1):
            if want.startswith("{"):
                if not got:
                    raise InvalidResourceId(f"{arm_id!r}: segment {position} ({want}) is empty")
                values.append(got)
            elif want.lower() != got.lower():
                raise InvalidResourceId(f"{arm_id!r}: segment {position} is {got!r}, expected {want!r}")
        return cls(*values)

    @property
    def arm_id(self) -> str:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return self.template.format(**fields)

    @property
    def key(self) -> str:
        """Lower-cased id: equal for two spellings of one resource."""
        return self.arm_id.lower()

    def __str__(self) -> str:
        return self.arm_id


@dataclass(frozen=True, slots=True)
class WorkspaceId(_ResourceId):
    """A workspace of Azure Machine Learning."""

    template: ClassVar[str] = (
        "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices"
        "/workspaces/{workspace}"
    )

    subscription: str
    resource_group: str
    workspace: str


@dataclass(frozen=True, slots=True)
class DeploymentId(_ResourceId):
    """An online deployment of Azure Machine Learning."""

    template: ClassVar[str] = (
        "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.MachineLearningServices"
        "/workspaces/{workspace}/onlineEndpoints/{endpoint}/deployments/{deployment}"
    )

    subscription: str
    resource_group: str
    workspace: str
    endpoint: str
    deployment: str

    @property
    def workspace_id(self) -> str:
        return self.arm_id.split("/onlineEndpoints/")[0]

    @property
    def endpoint_id(self) -> str:
        return self.arm_id.rsplit("/deployments/", 1)[0]

    @property
    def endpoint_key(self) -> str:
        """The unit of arbitration and the partition of all state: an endpoint with all its deployments."""
        return self.endpoint_id.lower()


@dataclass(frozen=True, slots=True)
class QueueId(_ResourceId):
    """A Service Bus queue."""

    template: ClassVar[str] = (
        "/subscriptions/{subscription}/resourceGroups/{resource_group}/providers/Microsoft.ServiceBus"
        "/namespaces/{namespace}/queues/{queue}"
    )

    subscription: str
    resource_group: str
    namespace: str
    queue: str

    @property
    def namespace_id(self) -> str:
        return self.arm_id.split("/queues/")[0]
