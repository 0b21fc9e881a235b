"""What a caller is told when a handler fails."""

import json

import azure.functions as func
import pytest

from handlers.answers import Answer, Problem, answering, body_of, moment_of
from shared.loops.engine import UnknownName
from shared.policy.problems import PolicyUnavailable
from shared.records import CorruptRow, InvalidCursor, InvalidQuestion
from shared.settings import SettingsInvalid
from shared.signals import Malformed


def failing(error: Exception) -> Answer:
    @answering
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(400, "invalid_request", "words"), 400, "invalid_request"),
        (InvalidQuestion("words"), 400, "invalid_request"),
        (InvalidCursor("words"), 400, "invalid_request"),
        (Malformed("words"), 400, "invalid_request"),
        (UnknownName("words"), 404, "not_found"),
        (SettingsInvalid("words"), 500, "settings_invalid"),
        (PolicyUnavailable("words"), 503, "policy_unavailable"),
        (OSError("words"), 503, "unavailable"),
        (KeyError("words"), 503, "unavailable"),  # a defect of ours is not the caller's wrong address
        (ValueError("words"), 503, "unavailable"),  # nor the caller's wrong question
        (CorruptRow("words"), 503, "unavailable"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
async def test_every_failure_has_its_status_its_code_and_its_words(error: Exception, status: int, code: str) -> None:
    answer = await failing(error)(func.HttpRequest("GET", "/api/x", body=b""))
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    told = json.loads(answer.get_body())
    assert told.keys() == {"type", "title", "status", "detail", "code"}
    assert (told["status"], told["code"]) == (status, code)
    assert "words" in told["detail"]


@pytest.mark.parametrize("reason", [chr(0xD800), "x" * 2001])
def test_what_could_not_be_recorded_is_refused_before_it_takes_effect(reason: str) -> None:
    body = json.dumps({"scope": "all", "reason": reason, "by": "ada"}).encode()
    with pytest.raises(Problem, match=r"Cannot be recorded.*: reason") as raised:
        body_of(func.HttpRequest("POST", "/api/resume", body=body), "scope", "reason", "by")
    assert raised.value.status == 400


def test_a_long_reason_in_any_script_can_be_recorded() -> None:
    body = {"scope": "all", "reason": "\U0001f600" * 2000, "by": "ada"}
    request = func.HttpRequest("POST", "/api/resume", body=json.dumps(body).encode())
    assert body_of(request, "scope", "reason", "by") == body


@pytest.mark.parametrize(
    "text", ["soon", "", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "0001-01-01", "1999-12-31T23:59:59Z"]
)
def test_a_time_that_is_none_is_the_callers_to_mend(text: str) -> None:
    with pytest.raises(Problem, match=r"since is .* write a time like") as raised:
        moment_of(text, "since")
    assert raised.value.status == 400


def test_times_are_utc_whatever_their_zone() -> None:
    told = [moment_of(text, "since").isoformat() for text in ("2026-01-05T14:00:00+02:00", "2026-01-05T12:00:00")]
    assert told == ["2026-01-05T12:00:00+00:00"] * 2
