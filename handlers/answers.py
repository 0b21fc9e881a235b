"""HTTP in and out for operators: JSON, and one error shape (RFC 9457) with stable codes."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any

import azure.functions as func

log = logging.getLogger("watchkeeper")

# Titles of the codes that a client may meet; the detail says what was wrong and what to do.
TITLES = {
    "invalid_request": "The request cannot be used",
    "not_found": "There is no such thing",
    "policy_unavailable": "No policy is in force",
    "settings_invalid": "App settings are wrong",
    "unavailable": "Something that is needed cannot be reached",
}

# What a person writes goes into the ledger; what the ledger refuses must not take effect first.
MAX_TEXT = 2000

Answer = Callable[..., Awaitable[func.HttpResponse]]


class Problem(Exception):
    """Answered to the caller as it is."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code = status, code


def ok(body: object, status: int = 200) -> func.HttpResponse:
    """`body` as JSON."""
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/json")


def problem(status: int, code: str, detail: str) -> func.HttpResponse:
    """An error, as application/problem+json."""
    body = {"type": "about:blank", "title": TITLES[code], "status": status, "detail": detail, "code": code}
    return func.HttpResponse(json.dumps(body), status_code=status, mimetype="application/problem+json")


def answering(handler: Answer) -> Answer:
    """Turn what goes wrong in a handler into an error that says what to do, never a bare 500."""

    @wraps(handler)
    async def safe(*args: Any, **kwargs: Any) -> func.HttpResponse:
        from shared.loops.engine import UnknownName
        from shared.policy import PolicyUnavailable
        from shared.records import InvalidQuestion
        from shared.settings import SettingsInvalid
        from shared.signals import Malformed

        try:
            return await handler(*args, **kwargs)
        except Problem as error:
            return problem(error.status, error.code, str(error))
        except UnknownName as error:
            return problem(404, "not_found", str(error))
        except (InvalidQuestion, Malformed) as error:
            return problem(400, "invalid_request", str(error))
        except SettingsInvalid as error:
            return problem(500, "settings_invalid", str(error))
        except PolicyUnavailable as error:
            return problem(503, "policy_unavailable", str(error))
        except Exception as error:
            log.exception("%s failed", handler.__name__)
            return problem(503, "unavailable", f"{type(error).__name__}: {error}. The log has the details.")

    return safe


def body_of(req: func.HttpRequest, *required: str) -> Mapping[str, Any]:
    """The JSON object in the request, with the required fields as texts that are not empty.

    Raises:
        Problem: no body (chunked uploads arrive without one), not a JSON object, or fields are missing or
            cannot be recorded: all are named.
    """
    raw = req.get_body()
    if not raw:
        raise Problem(400, "invalid_request", "The body is missing; send a JSON object, not chunked.")
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise Problem(400, "invalid_request", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "invalid_request", f"The body is a {type(body).__name__}, expected an object.")
    missing = [name for name in required if not isinstance(body.get(name), str) or not body[name].strip()]
    if missing:
        raise Problem(400, "invalid_request", f"Missing in the body (text, not empty): {', '.join(missing)}.")
    if unusable := [name for name in required if not _can_be_recorded(body[name])]:
        limit = f"at most {MAX_TEXT} characters of Unicode"
        raise Problem(400, "invalid_request", f"Cannot be recorded, write {limit}: {', '.join(unusable)}.")
    return body


def _can_be_recorded(text: str) -> bool:
    halves = any("\ud800" <= character <= "\udfff" for character in text)  # half of a pair has no UTF-8
    return len(text) <= MAX_TEXT and not halves


def moment_of(text: str, name: str) -> datetime:
    """An ISO 8601 time; without a zone it is UTC.

    Raises:
        Problem: it is none, or before 2000, when there was nothing of ours to ask for.
    """
    no_time = Problem(400, "invalid_request", f"{name} is {text!r}; write a time like 2026-01-05T12:00:00Z.")
    try:
        given = datetime.fromisoformat(text)
        at = given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise no_time from error
    if at.year < 2000:
        raise no_time
    return at


def expiry_of(body: Mapping[str, Any], now: datetime) -> datetime | None:
    """When a control ends: `expires_at` (a time) or `for_s` (seconds); neither: not by itself.

    Raises:
        Problem: both, or one that makes no sense or lies in the past.
    """
    at, for_s = body.get("expires_at"), body.get("for_s")
    if at is not None and for_s is not None:
        raise Problem(400, "invalid_request", "Give expires_at or for_s, not both.")
    if for_s is not None:
        if isinstance(for_s, bool) or not isinstance(for_s, int | float) or not 0 < for_s <= 366 * 86400:
            raise Problem(400, "invalid_request", f"for_s is {for_s!r}; write seconds, more than 0 and at most a year.")
        return now + timedelta(seconds=for_s)
    if at is None:
        return None
    expires_at = moment_of(str(at), "expires_at")
    if expires_at <= now:
        raise Problem(400, "invalid_request", f"expires_at {at} is in the past.")
    return expires_at
