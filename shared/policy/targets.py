"""What is watched, and the capacity that nobody takes away from it: targets and floors, as types."""

from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from shared.domain import DeploymentId, Mode, Place, QueueId
from shared.policy.parts import (
    GLOB,
    Instances,
    Mail,
    Name,
    Part,
    Reason,
    TargetName,
    refuse,
    unit,
    valid_deployment,
    valid_match,
    valid_queue,
)
from shared.policy.resource_ids import form_of
from shared.policy.scaling import KnownRate, Scaling

type Environment = Literal["dev", "stage", "prod"]
type LoadKind = Literal["requests", "cpu_utilization", "gpu_utilization"]


class TargetLoad(Part):
    """What shows the load of a deployment that is called directly, without a queue."""

    by: LoadKind
    """`requests`: how many come and how long they take. `cpu_utilization`, `gpu_utilization`: how busy instances are;
    for load that requests do not show, like streams."""

    full_at_pct: Annotated[float, Field(strict=True, ge=10, le=95, json_schema_extra=unit("percent"))] = 80.0
    """Utilization at which an instance counts as fully used. Only with `by: cpu_utilization` or `gpu_utilization`."""

    @model_validator(mode="after")
    def _is_of_utilization(self) -> Self:
        if self.by == "requests" and "full_at_pct" in self.model_fields_set:
            raise refuse(
                "has full_at_pct, which says nothing of requests",
                "Remove `full_at_pct`, or write `by: gpu_utilization` or `by: cpu_utilization`.",
            )
        return self


def _queue_or_load(schema: dict[str, Any]) -> None:
    """Exactly one of the two, for whoever checks a document with the schema alone."""
    given = [{"required": [name], "properties": {name: {"not": {"type": "null"}}}} for name in ("queue", "load")]
    schema["allOf"] = [{"oneOf": given}]  # of its own: `oneOf` beside `properties` would be forms of a target


class Target(Part):
    """A deployment, and the queue that it serves or whatever else shows its load."""

    model_config = ConfigDict(json_schema_extra=_queue_or_load)

    name: TargetName
    """Short, unique name for people, logs and web addresses. One of a project is known as `project.name`."""

    deployment: Annotated[
        str,
        AfterValidator(valid_deployment),
        Field(json_schema_extra={"pattern": "^(/[^/]+){12}$", "x-form": form_of(DeploymentId)}),
    ]
    """Full resource id of the Azure ML online deployment to scale."""

    queue: (
        Annotated[
            str,
            AfterValidator(valid_queue),
            Field(json_schema_extra={"pattern": "^(/[^/]+){10}$", "x-form": form_of(QueueId)}),
        ]
        | None
    ) = None
    """Full resource id of the Service Bus queue whose work the deployment does. Either this or `load`."""

    load: TargetLoad | None = None
    """What shows its load if it is called directly, without a queue, like `{by: requests}`. Either this or `queue`."""

    dead_letters: bool = True
    """Whether the dead letters of its queue are looked after. An entry in the document's `dead_letters` goes before."""

    mode: Mode = "observe"
    """`off` looks away, `observe` decides and records, `enforce` also acts. The loop's mode may be more cautious."""

    owner: Mail | None = None
    """E-mail address of those who hear about this target."""

    environment: Environment = "prod"
    """What it is for: `dev`, `stage` or `prod`, the most careful one."""

    project: Name | None = None
    """The project that it belongs to; without one it is the platform's own."""

    scaling: Scaling = Scaling()
    """How it is scaled; what is left out comes from `defaults`."""

    @property
    def deployment_id(self) -> DeploymentId:
        return DeploymentId.parse(self.deployment)

    @property
    def queue_id(self) -> QueueId | None:
        """None for a deployment without a queue."""
        return None if self.queue is None else QueueId.parse(self.queue)

    @property
    def rules(self) -> Scaling:
        """As its `scaling`; where instances are counted by how busy they are, each serves one busy instance's worth."""
        if self.load is None or self.load.by == "requests":
            return self.scaling
        return self.scaling.model_copy(update={"service_rate": KnownRate(per_instance_per_s=1.0)})

    def place(self, loop: str) -> Place:
        """Where an act of `loop` on this target belongs."""
        return Place(
            loop=loop, target=self.name, project=self.project or "", workspace_id=self.deployment_id.workspace_id
        )


class Floor(Part):
    """The platform's word that some deployments never get smaller, whatever a target's own `min` says."""

    match: Annotated[str, AfterValidator(valid_match), Field(json_schema_extra={"pattern": GLOB})]
    """Whom it protects: a target's name, a pattern for names (`chat-*`), or the resource id of a deployment."""

    min_instances: Instances
    """Fewest instances."""

    reason: Reason
    """Why, for the person who meets it at night."""

    def protects(self, target: Target) -> bool:
        if self.match.startswith("/"):
            return self.match.casefold() == target.deployment.casefold()
        return fnmatchcase(target.name, self.match)
