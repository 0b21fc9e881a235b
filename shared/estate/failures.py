"""What can go wrong between us and Azure Resource Manager, in types that say what is known of the request's fate.

A message says what failed, where, and what to do; a 403 names the missing action.
"""

import re
from collections.abc import Mapping
from typing import Any

_ACTION = re.compile(r"perform action '([^']+)'(?: over scope '([^']+)')?")


class ArmFailure(Exception):
    """Base of all failures here: catch this one where a measurement becomes Missing."""


class ForeignUrl(ArmFailure):
    """A URL that is not Azure Resource Manager's: our token is sent nowhere else."""


class ArmUnreachable(ArmFailure):
    """No answer. For a read: try again later. For a change: its fate is unknown until a read tells."""

    def __init__(self, where: str, reason: str) -> None:
        super().__init__(f"no answer to {where}: {reason}")
        self.where = where
        self.reason = reason


class ArmError(ArmFailure):
    """Azure answered, and not with success.

    Attributes:
        status: HTTP status.
        code: `error.code` of the body, or a word of ours in <angle brackets> if the body had none.
        message: `error.message` of the body, shortened.
        retry_after_s: as Azure asked, uncapped; None if it did not.
        body: the parsed JSON object, {} if there was none.
        missing_action: the RBAC action that a 403 names, "" otherwise.
    """

    def __init__(
        self,
        where: str,
        status: int,
        code: str,
        message: str,
        *,
        retry_after_s: float | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> None:
        self.where = where
        self.status = status
        self.code = code
        self.message = message
        self.retry_after_s = retry_after_s
        self.body: Mapping[str, Any] = body or {}
        named = _ACTION.search(message) if status == 403 else None
        self.missing_action = named.group(1) if named else ""
        super().__init__(f"{status} {code} on {where}: {message}{self._advice()}")

    def _advice(self) -> str:
        if self.missing_action:
            return f" To do: grant '{self.missing_action}' to Watchkeeper's identity (infra/roles.json) at that scope."
        return _ADVICE.get(self.status, "")


_ADVICE = {
    401: " To do: check that the app's managed identity exists and that IDENTITY_ENDPOINT reaches it.",
    403: " To do: assign Watchkeeper's role (infra/roles.json) to its identity at that scope.",
    404: " To do: check the resource id in the policy; the resource may have been deleted.",
}


class ArmThrottled(ArmError):
    """Azure asks for a longer pause than a function should sit through: come back after `retry_after_s`."""


def failure_of(where: str, status: int, body: Mapping[str, Any], text: str, retry_after_s: float | None) -> ArmError:
    """The typed failure of an answer of 300 or more, whose body is `{"error": {"code", "message"}}` or flat."""
    error = body.get("error")
    said: Mapping[str, Any] = error if isinstance(error, Mapping) else body
    code = str(said.get("code") or f"<http {status}>")
    # What is no error document is not repeated: it may be anything, a resource with its environment variables too.
    unsaid = f"the answer is no error document ({len(text)} characters)" if text else "the answer has no body"
    message = str(said.get("message") or unsaid)[:600]
    if 300 <= status < 400:
        message = f"a redirect, which is not followed: {message}"
    kind = ArmThrottled if status == 429 else ArmError
    return kind(where, status, code, message, retry_after_s=retry_after_s, body=body)
