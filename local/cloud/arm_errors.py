"""Failures in the words of Azure Resource Manager, so that a client sees the codes and shapes of Azure.

Each factory names the public source of its code and wording; where only the status is known, the code is our reading.
"""

from collections.abc import Mapping
from typing import Any


class ArmError(Exception):
    """An answer of 400 or more: raised where the fault is found, turned into an answer in `front_door`."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})
        self.details: list[dict[str, str]] = []

    def body(self) -> dict[str, Any]:
        """The common error document (ARM RPC, "Error response content")."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def bad_request(message: str, code: str = "BadRequest") -> ArmError:
    return ArmError(400, code, message)


def invalid_content(message: str) -> ArmError:
    """Source: ARM's answer to a body that it cannot read (`InvalidRequestContent`)."""
    return ArmError(
        400, "InvalidRequestContent", f"The request content was invalid and could not be deserialized: {message}"
    )


def not_found(resource_type: str, name: str, group: str) -> ArmError:
    """Source: ARM common errors (`ResourceNotFound`)."""
    return ArmError(
        404,
        "ResourceNotFound",
        f"The Resource '{resource_type}/{name}' under resource group '{group}' was not found. For more details "
        "please go to https://aka.ms/ARMResourceNotFoundFix",
    )


def forbidden(client_id: str, object_id: str, action: str, scope: str) -> ArmError:
    """Source: Azure RBAC troubleshooting (`AuthorizationFailed`)."""
    return ArmError(
        403,
        "AuthorizationFailed",
        f"The client '{client_id}' with object id '{object_id}' does not have authorization to perform action "
        f"'{action}' over scope '{scope}' or the scope is invalid. If access was recently granted, please "
        "refresh your credentials.",
    )


def unauthorized(code: str, message: str) -> ArmError:
    """Source: ARM's 401 with its challenge (`AuthenticationFailed`, `InvalidAuthenticationToken`, ...)."""
    challenge = (
        'Bearer authorization_uri="https://login.microsoftonline.com/00000000-0000-0000-0000-000000000001", '
        f'error="invalid_token", error_description="{message}"'
    )
    return ArmError(401, code, message, {"WWW-Authenticate": challenge})


def conflict(message: str, retry_after_s: int | None = None) -> ArmError:
    """Source: azure-cli#17075 and azure-sdk-for-net#36961 for the wording; the code is not documented."""
    headers = {} if retry_after_s is None else {"Retry-After": str(retry_after_s)}
    return ArmError(409, "Conflict", message, headers)
