"""Changing how many instances a deployment has: one PATCH of `sku.capacity`, and what became of it.

Requests of each operation:
* `capture`: GET {deployment}
* `request`: PATCH {deployment}, once, whatever the answer
* `poll`: GET of the URL that Azure named for the operation

A 200 is not done, and a failed operation may be reported with HTTP 200 (assumption deployment.failed_operation_status):
success is the capacity read back (`verify`).
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from shared.domain import Action, DeploymentId
from shared.estate import api, deployments
from shared.estate.arm import Arm, ArmReply
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmError, ArmThrottled, ArmUnreachable, ForeignUrl

LONGEST_WAIT_S: Final = 60.0
# After this nobody waits for the answer to a change any more, and its fate is unknown.
CHANGE_TIMEOUT_S: Final = 12.0
"""Retry-After is honoured up to this: a wrong header must not put an operation out of sight."""

BUSY_WAIT_S: Final = 15.0
POLL_WAIT_S: Final = 5.0

_SUCCEEDED: Final = frozenset({"succeeded", "completed"})
_FAILED: Final = frozenset({"failed", "canceled", "cancelled"})
_NO_WORD_ON_THE_OPERATION: Final = frozenset({401, 403, 404, 408})


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Azure took the change. `status_url`: where it reports the operation, "" if nowhere (read the deployment)."""

    status_url: str
    retry_after_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Busy:
    """Known not to be applied: another operation runs (409), or Azure throttles (429). Decide again after the wait."""

    retry_after_s: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Known not to be applied, and no use in asking again: `code` and `message` say why."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """Perhaps applied, perhaps not: only reading back can tell."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Not over, or not known to be: ask again after the wait."""

    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """The operation is over without an error; what it did is to be read back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """The operation is over and failed."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """The URL tells nothing of the operation, now or any more: read the deployment instead."""

    reason: str


Answer = Accepted | Busy | Rejected | Unknown
Progress = Running | Done | Failed | Lost


async def capture(arm: Arm, deployment: DeploymentId, now: datetime) -> DeploymentView:
    """The deployment before the change, from one fresh GET: what `undo` would put back.

    Raises:
        ArmFailure: not readable.
    """
    return await deployments.read(arm, deployment, now)


async def request(arm: Arm, action: Action, view: DeploymentView) -> Answer:
    """Ask for `action.to` instances, once. `view` is the captured one, whose sku name the PATCH repeats.

    A repeated call sends the identical request (`action.request_id` and the body are the same).

    Raises:
        ValueError: the view is of another deployment than the action's.
    """
    if view.id.key != action.target:
        raise ValueError(f"captured was {view.id.key}, but the action is for {action.target}")
    body = {"sku": {"name": view.sku_name, "capacity": action.to}}
    try:
        async with asyncio.timeout(CHANGE_TIMEOUT_S):
            reply = await arm.patch(view.id.arm_id, api.MACHINE_LEARNING, body, action.request_id)
    except TimeoutError:
        return Unknown(reason=f"no answer within {CHANGE_TIMEOUT_S:.0f} s")
    except ArmUnreachable as failure:
        return Unknown(reason=str(failure))
    except ArmError as error:
        return _refusal(error)
    return Accepted(status_url=_status_url(reply), retry_after_s=_wait_s(reply.retry_after_s, POLL_WAIT_S))


async def poll(arm: Arm, status_url: str) -> Progress:
    """Ask once how the operation is doing.

    The body's `status` and `error.code` tell, whatever the HTTP status; a result URL (Location) has no `status`: 202 is
    running, any other success is done. Throttling is Running; an error of the poll itself (5xx, no answer) is Lost,
    because a URL that fails for good must not keep an action open for ever.
    """
    try:
        reply = await arm.get_url(status_url)
    except (ForeignUrl, ArmUnreachable) as failure:
        return Lost(reason=str(failure))
    except ArmError as error:
        return _progress_of_error(error)
    told = _progress_told(reply.body, reply.retry_after_s)
    if told is not None:
        return told
    return Running(retry_after_s=_wait_s(reply.retry_after_s, POLL_WAIT_S)) if reply.status == 202 else Done()


def verify(view: DeploymentView, action: Action) -> str | None:
    """What differs from what was asked for, as a sentence; None if the deployment is as the action wants it."""
    if view.capacity is None:
        return f"the capacity could not be read back; asked for {action.to}"
    if view.capacity != action.to:
        return f"capacity is {view.capacity}, asked for {action.to} (provisioning state {view.provisioning_state})"
    if view.provisioning_state.lower() != "succeeded":
        return f"capacity is {view.capacity} as asked, but the provisioning state is {view.provisioning_state!r}"
    return None


def undo(action: Action) -> tuple[int, int]:
    """The reverse plan as (current, to): from what the action asked for back to what was captured before it."""
    return action.to, action.current


def _refusal(error: ArmError) -> Busy | Rejected | Unknown:
    if error.status in (409, 429):
        return Busy(retry_after_s=_wait_s(error.retry_after_s, BUSY_WAIT_S), reason=str(error))
    if error.status >= 500 or error.status == 408:
        return Unknown(reason=str(error))
    return Rejected(code=error.code, message=str(error))


def _status_url(reply: ArmReply) -> str:
    """Azure-AsyncOperation wherever it is, else the Location of a 202 (that of a 200 would name the resource)."""
    location = reply.headers.get("location", "") if reply.status == 202 else ""
    return reply.headers.get("azure-asyncoperation", "") or location


def _progress_told(body: Mapping[str, Any], retry_after_s: float | None) -> Progress | None:
    """What the body itself says of the operation, None if it says nothing."""
    status = str(body.get("status") or "").lower()
    error = body.get("error")
    if status in _FAILED or (error and status not in _SUCCEEDED):
        said: Mapping[str, Any] = error if isinstance(error, Mapping) else {}
        message = str(said.get("message") or f"Azure gave no message; status {status!r}")
        return Failed(code=str(said.get("code") or body.get("status") or "<no code>"), message=message[:600])
    if status in _SUCCEEDED:
        return Done()
    if status:
        return Running(retry_after_s=_wait_s(retry_after_s, POLL_WAIT_S))
    return None


def _progress_of_error(error: ArmError) -> Progress:
    """An answer of 300 or more: about the operation if its body has a final `status`, or is a refusal with a code."""
    final = str(error.body.get("status") or "").lower() in _FAILED
    if not final and isinstance(error, ArmThrottled):
        return Running(retry_after_s=_wait_s(error.retry_after_s, POLL_WAIT_S))
    if not final and (error.status in _NO_WORD_ON_THE_OPERATION or error.status >= 500 or not error.body.get("error")):
        return Lost(reason=str(error))
    return _progress_told(error.body, error.retry_after_s) or Lost(reason=str(error))


def _wait_s(asked_s: float | None, default_s: float) -> float:
    return default_s if asked_s is None else min(asked_s, LONGEST_WAIT_S)
