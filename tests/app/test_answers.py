"""What a caller is told when a handler fails."""

import json

import azure.functions as func
import pytest

from handlers.answers import Answer, Problem, answering
from shared.loops.engine import UnknownName
from shared.policy.problems import PolicyUnavailable
from shared.settings import SettingsInvalid


def failing(error: Exception) -> Answer:
    @answering
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise error

    return handler


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(400, "invalid_request", "words"), 400, "invalid_request"),
        (ValueError("words"), 400, "invalid_request"),
        (UnknownName("words"), 404, "not_found"),
        (SettingsInvalid("words"), 500, "settings_invalid"),
        (PolicyUnavailable("words"), 503, "policy_unavailable"),
        (OSError("words"), 503, "unavailable"),
        (KeyError("words"), 503, "unavailable"),  # a defect of ours is not the caller's wrong address
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
