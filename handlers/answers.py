"""HTTP in and out for operators: JSON, and one error shape (RFC 9457) with stable codes."""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from typing import Any

import azure.functions as func

log = logging.getLogger("watchkeeper")

# Titles of the codes that a client may meet; the detail says what was wrong and what to do.
TITLES = {
    "already_closed": "Somebody has dealt with it already",
    "invalid_request": "The request cannot be used",
    "not_found": "There is no such thing",
    "not_in_policy": "The policy does not name it any more",
    "not_carried_out": "Nothing was changed, so nothing can be put back",
    "already_undone": "It was put back already",
    "overtaken": "Something else was changed since",
    "outside_policy": "The policy does not allow it",
    "not_allowed": "This is not yours to do",
    "conflict": "It is too late, or too early, for this",
    "policy_unavailable": "No policy is in force",
    "settings_invalid": "App settings are wrong",
    "too_large": "That is more than is taken at a time",
    "still_malformed": "It still cannot be read",
    "unavailable": "Something that is needed cannot be reached",
}

# What a person writes goes into the ledger; what the ledger refuses must not take effect first.
MAX_TEXT = 2000

# By which a function key may come, and its name; the host reads them.
_KEYS = ("code", "clientId")
# Who does it and why may be said of everything.
_ALWAYS = ("by", "reason")

Answer = Callable[..., Awaitable[func.HttpResponse]]
# Parameters of a route that are one of some words, asked for when the route is: the words' types are imported on use.
Words = Callable[[], Mapping[str, Sequence[str]]]
# Looks at fields of a body; raises Problem.
Check = Callable[[Mapping[str, Any]], object]


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
    """Turn what goes wrong in a handler into an error that says what to do, never a bare 500. Its route takes no
    parameters.
    """
    return answering_to()(handler)


def answering_to(*parameters: str, others: bool = False, words: Words | None = None) -> Callable[[Answer], Answer]:
    """The same for a route that takes these parameters in its URL; any other is refused: a filter with a typing error
    would otherwise be none. `others`: whatever else is in the URL is none of ours. `words`: the parameters that are one
    of some words. All that is wrong with them is named at once.
    """

    def wrapped(handler: Answer) -> Answer:
        @wraps(handler)
        async def safe(*args: Any, **kwargs: Any) -> func.HttpResponse:
            try:
                if not others:
                    _check_parameters(kwargs["req"] if "req" in kwargs else args[0], parameters, words)
                return await handler(*args, **kwargs)
            except Exception as error:
                return _answer_to(error, handler.__name__)

        return safe

    return wrapped


def _check_parameters(req: func.HttpRequest, known: Sequence[str], words: Words | None = None) -> None:
    checks: list[Callable[[], object]] = [lambda: _check_names(req, known)]
    checks += [partial(read, req, name) for name, read in _READINGS.items() if name in known]
    possible = {} if words is None else words()
    checks += [partial(_check_word, req, name, possible[name]) for name in possible]
    all_of(checks)


def _check_names(req: func.HttpRequest, known: Sequence[str]) -> None:
    if unknown := sorted(set(req.params) - {*known, *_KEYS}):
        words = ", ".join(known) or "none"
        raise Problem(400, "invalid_request", f"Unknown parameter: {', '.join(unknown)}; this route takes: {words}.")


def _check_word(req: func.HttpRequest, name: str, possible: Sequence[str]) -> None:
    given = req.params.get(name)
    if given is not None and given not in possible:
        raise Problem(400, "invalid_request", f"{name} is {given!r}; possible: {', '.join(possible)}.")


def all_of(checks: Iterable[Callable[[], object]]) -> None:
    """Make all checks of a request, so that whoever mends it needs no second try.

    Raises:
        Problem: one that names everything that cannot be used.
    """
    said = []
    for check in checks:
        try:
            check()
        except Problem as wrong:
            if wrong.code != "invalid_request":
                raise
            said.append(str(wrong))
    if said:
        raise Problem(400, "invalid_request", " ".join(dict.fromkeys(said)))


def _answer_to(error: Exception, name: str) -> func.HttpResponse:
    from shared.loops.engine import UnknownName
    from shared.policy import PolicyUnavailable
    from shared.records import InvalidQuestion, NotStorable
    from shared.settings import SettingsInvalid
    from shared.signals import Malformed

    match error:
        case Problem():
            return problem(error.status, error.code, str(error))
        case UnknownName():
            return problem(404, "not_found", str(error))
        case InvalidQuestion() | Malformed() | NotStorable():  # what could never be stored is nobody's id
            return problem(400, "invalid_request", str(error))
        case SettingsInvalid():
            return problem(500, "settings_invalid", str(error))
        case PolicyUnavailable():
            return problem(503, "policy_unavailable", str(error))
        case _:
            log.error("%s failed", name, exc_info=error)
            return problem(503, "unavailable", f"{type(error).__name__}: {error}. The log has the details.")


def body_of(
    req: func.HttpRequest, *required: str, optional: Sequence[str] = (), checks: Sequence[Check] = ()
) -> Mapping[str, Any]:
    """The JSON object in the request, with the required fields as texts that are not empty.

    `by` is the caller where App Service has signed one in: who leaves it out is named, and nobody signs for another.
    `checks` look at single fields: each gets the fields that are there and are known and can be recorded.

    Raises:
        Problem: no body (chunked uploads arrive without one), not a JSON object, or fields are missing, unknown (a
            pause whose end has a typing error would otherwise have none), cannot be recorded or do not pass the
            checks: all are named; or `by` is somebody else.
    """
    raw = req.get_body()
    if not raw:
        raise Problem(400, "invalid_request", "The body is missing; send a JSON object, not chunked.")
    try:
        body: Any = json.loads(raw)
    except ValueError as error:
        raise Problem(400, "invalid_request", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "invalid_request", f"The body is a {type(body).__name__}, expected an object.")
    fields: dict[str, Any] = _by_the_caller(req, body) if "by" in required else body
    missing = [name for name in required if not isinstance(fields.get(name), str) or not fields[name].strip()]
    known = dict.fromkeys((*required, *optional, *_ALWAYS))
    unknown = sorted(fields.keys() - known.keys())
    unusable = [name for name in required if name not in missing and not can_be_recorded(fields[name])]
    usable = {name: fields[name] for name in fields.keys() & known.keys() if name not in (*missing, *unusable)}
    kinds = (
        ("Missing in the body (text, not empty)", missing, ""),
        ("Unknown in the body", unknown, f"; possible: {', '.join(known)}"),
        (f"Cannot be recorded, write at most {MAX_TEXT} characters of Unicode", unusable, ""),
    )
    said = [f"{words}: {', '.join(names)}{more}." for words, names, more in kinds if names]
    all_of((*(partial(_refuse, words) for words in said), *(partial(check, usable) for check in checks)))
    return fields


def _refuse(words: str) -> None:
    raise Problem(400, "invalid_request", words)


def _by_the_caller(req: func.HttpRequest, body: dict[str, Any]) -> dict[str, Any]:
    """The body with `by` as App Service vouches for it; as it is where nobody is signed in (programs with a key)."""
    from handlers.callers import signed_in
    from shared.settings import signs_callers_in

    mine = signed_in(req.headers) if signs_callers_in() else frozenset()
    by = body.get("by")
    if not mine or (isinstance(by, str) and by.strip().lower() in mine):
        return body
    if by is not None:
        raise Problem(403, "not_allowed", f"You are signed in as {min(mine)}; nobody can sign for another.")
    return {**body, "by": min(mine)}


def can_be_recorded(text: str) -> bool:
    """Whether the ledger can keep what a person wrote."""
    halves = any("\ud800" <= character <= "\udfff" for character in text)  # half of a pair has no UTF-8
    return len(text) <= MAX_TEXT and not halves


def window_of(req: func.HttpRequest, now: datetime, default: timedelta) -> tuple[datetime, datetime]:
    """`since` and `until` of a question: until now if it does not say, and from `default` before that.

    Raises:
        Problem: they are no times.
    """
    until = time_of(req, "until") or now + timedelta(seconds=1)
    return time_of(req, "since") or until - default, until


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


def limit_of(req: func.HttpRequest) -> int:
    """How many a page holds: `limit`, 50 without it.

    Raises:
        Problem: not a number from 1 to 500.
    """
    return _number_of(req, "limit", 50, 500)


def days_of(req: func.HttpRequest) -> int:
    """How many days back: `days`, 7 without it.

    Raises:
        Problem: not a number from 1 to 31, for so long kinds are counted.
    """
    from shared.records.signals import MAX_DAYS

    return _number_of(req, "days", 7, MAX_DAYS)


def _number_of(req: func.HttpRequest, name: str, default: int, most: int) -> int:
    text = req.params.get(name, str(default))
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(most))) or not 1 <= int(text) <= most:
        raise Problem(400, "invalid_request", f"{name} is {text!r}; write a number from 1 to {most}.")
    return int(text)


def word_of(req: func.HttpRequest, name: str) -> Any:
    """The parameter `name`, one of the `words` of its route; None without it."""
    return req.params.get(name)


def time_of(req: func.HttpRequest, name: str) -> datetime | None:
    """The parameter `name` as a time, None without it.

    Raises:
        Problem: it is none.
    """
    return moment_of(req.params[name], name) if name in req.params else None


# Parameters that mean the same on every route that takes them.
_READINGS: Mapping[str, Callable[[func.HttpRequest, str], object]] = {
    "since": time_of,
    "until": time_of,
    "limit": lambda req, _: limit_of(req),
    "days": lambda req, _: days_of(req),
}


def page_of[T](req: func.HttpRequest, items: Mapping[str, T], *, falling: bool = False) -> tuple[list[T], str | None]:
    """A page of what is in memory anyway, in the order of its keys, and the cursor of the next page (None: the last).

    Raises:
        Problem: a limit out of range.
    """
    limit, cursor = limit_of(req), req.params.get("cursor")
    keys = sorted(items, reverse=falling)
    if cursor is not None:
        keys = [key for key in keys if (key < cursor if falling else key > cursor)]
    shown = keys[:limit]
    return [items[key] for key in shown], shown[-1] if len(keys) > limit else None
