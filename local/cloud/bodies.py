"""The bodies that Azure takes, one model an operation: a path that a model does not know is refused with its name.

So production code cannot send a field that Azure would ignore or refuse (traffic in a PATCH, say) and pass here. Each
model names its source; field names are those of the wire.
"""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from local.cloud.arm_errors import invalid_content

ML_SPEC = "azure-rest-api-specs, machinelearningservices 2024-10-01 and 2025-12-01"


class ArmBody(BaseModel):
    """A body whose unknown members are refused. `read_only` members of a GET may come back in a PUT and are ignored."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Sku(ArmBody):
    """Source: PartialSku / Sku in the OnlineDeployment and OnlineEndpoint examples."""

    name: str | None = None
    tier: Literal["Free", "Basic", "Standard", "Premium"] | None = None
    size: str | None = None
    family: str | None = None
    capacity: int | None = None


class DeploymentPatch(ArmBody):
    """Source: PartialMinimalTrackedResourceWithSku, example OnlineDeployment/ManagedOnlineDeployment/update.json."""

    tags: dict[str, str] | None = None
    sku: Sku | None = None


class Identity(ArmBody):
    """Source: ManagedServiceIdentity in the OnlineEndpoint examples; principalId and tenantId are read-only."""

    type: str
    userAssignedIdentities: dict[str, dict[str, str] | None] | None = None  # noqa: N815 - name of the wire
    principalId: str | None = None  # noqa: N815 - name of the wire
    tenantId: str | None = None  # noqa: N815 - name of the wire


class EndpointPatch(ArmBody):
    """Source: PartialMinimalTrackedResourceWithIdentity, example OnlineEndpoint/update.json. Traffic is not in it."""

    tags: dict[str, str] | None = None
    identity: Identity | None = None


class EndpointProperties(ArmBody):
    """Source: OnlineEndpoint in the specification, example OnlineEndpoint/createOrUpdate.json."""

    authMode: Literal["Key", "AMLToken", "AADToken"]  # noqa: N815 - name of the wire
    description: str | None = None
    properties: dict[str, str] | None = None
    compute: str | None = None
    traffic: dict[str, int] = Field(default_factory=dict)
    mirrorTraffic: dict[str, int] = Field(default_factory=dict)  # noqa: N815 - name of the wire
    publicNetworkAccess: Literal["Enabled", "Disabled"] | None = None  # noqa: N815 - name of the wire
    provisioningState: str | None = None  # noqa: N815 - read-only
    scoringUri: str | None = None  # noqa: N815 - read-only
    swaggerUri: str | None = None  # noqa: N815 - read-only


class EndpointPut(ArmBody):
    """Source: example OnlineEndpoint/createOrUpdate.json; id, name, type and systemData are read-only."""

    location: str
    properties: EndpointProperties
    kind: str | None = None
    tags: dict[str, str] | None = None
    identity: Identity | None = None
    sku: Sku | None = None
    id: str | None = None
    name: str | None = None
    type: str | None = None
    systemData: dict[str, Any] | None = None  # noqa: N815 - read-only


class GraphOptions(BaseModel):
    """Source: QueryRequestOptions, resourcegraph 2022-10-01."""

    model_config = ConfigDict(extra="forbid", strict=True)

    top: int = Field(default=1000, alias="$top", ge=1, le=1000)
    skip: int = Field(default=0, alias="$skip", ge=0)
    skip_token: str | None = Field(default=None, alias="$skipToken")
    result_format: Literal["objectArray"] = Field(default="objectArray", alias="resultFormat")


class GraphQuery(ArmBody):
    """Source: QueryRequest, resourcegraph 2022-10-01. Management groups, facets and tables are not simulated."""

    query: str
    subscriptions: list[str] | None = None
    options: GraphOptions = Field(default_factory=GraphOptions)


class ResourceIds(ArmBody):
    """Source: ResourceIdList, metrics:getBatch 2024-02-01."""

    resourceids: list[str] = Field(min_length=1, max_length=50)


def parsed[Body: BaseModel](model: type[Body], document: dict[str, Any]) -> Body:
    """The body as its model.

    Raises:
        ArmError: 400 that names every path that is unknown, missing or of the wrong type.
    """
    try:
        return model.model_validate(document)
    except ValidationError as error:
        problems = []
        for problem in error.errors():
            path = ".".join(str(part) for part in problem["loc"])
            if problem["type"] == "extra_forbidden":
                problems.append(
                    f"Could not find member '{problem['loc'][-1]}' on object of type '{model.__name__}'. Path '{path}'."
                )
            else:
                problems.append(f"{problem['msg']}. Path '{path}'.")
        raise invalid_content(" ".join(problems)) from error
