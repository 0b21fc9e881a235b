"""What the parts of a policy document are made of: names, addresses, quantities with their units, scopes.

Every field of a part has its unit in its name and in the schema (`x-unit`), a default where one is safe, and a
docstring that is the reference text.
"""

import re
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from shared.domain import INSTANCES_PER_DEPLOYMENT, DeploymentId, QueueId, WorkspaceId
from shared.domain.scopes import SCOPE_FORMS, is_scope, normal_scope
from shared.policy.resource_ids import MalformedId, canonical_id

REFUSED_VALUE = "refused_value"
"""Type of the validation errors that carry their own `reason` and `remedy`."""

MONTH_S = 30 * 24 * 3600


def refuse(reason: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError(REFUSED_VALUE, "{reason}. {remedy}", {"reason": reason, "remedy": remedy})


class Named(Protocol):
    @property
    def name(self) -> str: ...


def unique_names[T: Named](entries: tuple[T, ...]) -> tuple[T, ...]:
    names = [entry.name for entry in entries]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise refuse(f"names '{twice[0]}' twice", "Give each entry a name of its own.")
    return entries


def valid_deployment(text: str) -> str:
    try:
        return canonical_id(text, DeploymentId)
    except MalformedId as error:
        raise refuse(error.reason, error.remedy) from error


def valid_queue(text: str) -> str:
    try:
        return canonical_id(text, QueueId)
    except MalformedId as error:
        raise refuse(error.reason, error.remedy) from error


def valid_workspace(text: str) -> str:
    try:
        return canonical_id(text, WorkspaceId)
    except MalformedId as error:
        raise refuse(error.reason, error.remedy) from error


NAME = r"^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
MAIL = r"^[^@\s]+@[^@\s]+\.[^@\s]+$"
TARGET_NAME = r"^([a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?\.)?[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$"
GLOB = r"^(/.+|[a-z0-9*?\[\]!.-]+)$"


def valid_name(text: str) -> str:
    if not re.fullmatch(NAME, text):
        tame = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:32].strip("-")
        advice = f"Write '{tame}'." if tame else "Write something like 'chat'."
        raise refuse(
            f"is '{text[:60]}', but a name is 1 to 32 lower case letters, digits and inner hyphens",
            advice,
        )
    return text


def valid_target_name(text: str) -> str:
    """As `valid_name`, or the name of a project's target as it is known outside of its document: `project.name`."""
    return text if re.fullmatch(TARGET_NAME, text) else valid_name(text)


def valid_mail(text: str) -> str:
    if not re.fullmatch(MAIL, text):
        raise refuse(f"is '{text[:60]}', which is no e-mail address", "Write one address, like team@example.com.")
    return text


def valid_match(text: str) -> str:
    if text.startswith("/"):
        return valid_deployment(text)
    if not re.fullmatch(GLOB, text):
        raise refuse(
            f"is '{text[:60]}', which is neither a pattern for target names nor the id of a deployment",
            "Write a name like 'chat', a pattern like 'chat-*', or a full id that starts with '/subscriptions/'.",
        )
    return text


def unit(name: str) -> dict[str, Any]:
    return {"x-unit": name}


type Instances = Annotated[
    int, Field(strict=True, ge=1, le=INSTANCES_PER_DEPLOYMENT, json_schema_extra=unit("instances"))
]
type Seconds = Annotated[float, Field(strict=True, ge=0, le=MONTH_S, json_schema_extra=unit("seconds"))]
type PositiveSeconds = Annotated[float, Field(strict=True, ge=0.1, le=MONTH_S, json_schema_extra=unit("seconds"))]
type Rate = Annotated[
    float, Field(strict=True, ge=1e-6, le=1e6, json_schema_extra=unit("messages per second and instance"))
]

type UsdPerHour = Annotated[float, Field(strict=True, ge=0.01, le=1e6, json_schema_extra=unit("US dollars per hour"))]


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


def _scope(text: str) -> str:
    if not is_scope(text):
        raise refuse(f"is '{text[:60]}', which is no scope", f"Write {SCOPE_FORMS}.")
    return normal_scope(text)


def _not_empty[T](items: tuple[T, ...]) -> tuple[T, ...]:
    if not items:
        raise refuse("is empty", "Write at least one item, or remove it.")
    return items


# Said after the items' own faults: pydantic's `min_length` would count out those that are wrong.
NOT_EMPTY = AfterValidator(_not_empty)

type Scope = Annotated[str, AfterValidator(_scope)]
type Name = Annotated[str, AfterValidator(valid_name), Field(json_schema_extra={"pattern": NAME})]
type TargetName = Annotated[str, AfterValidator(valid_target_name), Field(json_schema_extra={"pattern": NAME})]
type Mail = Annotated[str, AfterValidator(valid_mail), Field(json_schema_extra={"pattern": MAIL})]
type Reason = Annotated[str, Field(min_length=1, max_length=500)]
type Percent = Annotated[float, Field(strict=True, ge=0, le=100, json_schema_extra=unit("percent"))]
type Count = Annotated[int, Field(strict=True, ge=1, le=100_000, json_schema_extra=unit("count"))]
