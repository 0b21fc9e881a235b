"""What a caller is told when a handler fails."""

import json
from collections.abc import Mapping
from functools import partial
from typing import Any

import azure.functions as func
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.answers import Answer, Problem, all_of, answering, answering_to, body_of, moment_of, page_of
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


def test_all_that_is_wrong_with_a_body_is_named_at_once() -> None:
    def check(fields: Mapping[str, Any]) -> None:
        assert fields.keys() == {"acts"}, "what is wrong in itself is not looked at again"
        raise Problem(400, "invalid_request", "acts is 'x'; possible: all.")

    body = json.dumps({"reason": "x" * 2001, "by": 7, "ownr": "a", "acts": "x"}).encode()
    request = func.HttpRequest("PUT", "/api/x", body=body)
    with pytest.raises(Problem) as raised:
        body_of(request, "scope", "reason", "by", optional=("acts",), checks=(check, check))
    assert str(raised.value) == (
        "Missing in the body (text, not empty): scope, by. "
        "Unknown in the body: ownr; possible: scope, reason, by, acts. "
        "Cannot be recorded, write at most 2000 characters of Unicode: reason. acts is 'x'; possible: all."
    )


async def test_all_that_is_wrong_with_the_parameters_is_named_at_once() -> None:
    @answering_to("since", "until", "limit", "state", "days", words=lambda: {"state": ("open", "closed")})
    async def handler(req: func.HttpRequest) -> func.HttpResponse:
        raise AssertionError("it is not called")

    wrong = {"since": "soon", "until": "late", "limit": "0", "state": "ajar", "days": "9" * 5000, "lmit": "1"}
    answer = await handler(func.HttpRequest("GET", "/api/x", params=wrong, body=b""))
    detail = json.loads(answer.get_body())["detail"]
    assert answer.status_code == 400
    said = (
        "lmit; this route takes: since",
        "since is 'soon'",
        "until is 'late'",
        "limit is '0'",
        "possible: open, closed",
    )
    assert [words for words in said if words not in detail] == []
    assert "days is '999" in detail


def test_a_problem_of_another_kind_is_told_alone() -> None:
    with pytest.raises(Problem, match="somebody else") as raised:
        all_of([partial(fail, "invalid_request", "words"), partial(fail, "not_allowed", "somebody else")])
    assert raised.value.code == "not_allowed"


def fail(code: str, words: str) -> None:
    raise Problem(400, code, words)


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


def by_somebody(headers: dict[str, str], **body: str) -> func.HttpRequest:
    return func.HttpRequest("POST", "/api/pause", headers=headers, body=json.dumps({"reason": "r"} | body).encode())


def test_who_is_signed_in_signs_for_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    ada = {"x-ms-client-principal-name": "Ada@example.com"}
    assert body_of(by_somebody(ada, by="bea@example.com"), "by")["by"] == "bea@example.com"  # anybody can send a header
    monkeypatch.setenv("WEBSITE_AUTH_ENABLED", "True")
    assert body_of(by_somebody(ada), "by", "reason")["by"] == "ada@example.com"
    assert body_of(by_somebody(ada, by="ADA@example.com"), "by")["by"] == "ADA@example.com"
    for by in ("bea@example.com", "", "ada"):
        with pytest.raises(Problem, match="nobody can sign for another") as raised:
            body_of(by_somebody(ada, by=by), "by")
        assert (raised.value.status, raised.value.code) == (403, "not_allowed")
    assert body_of(by_somebody({}, by="nightly-job"), "by")["by"] == "nightly-job"


@given(st.sets(st.text(max_size=3), max_size=12), st.integers(1, 5), st.booleans())
def test_the_pages_of_a_list_are_the_list(keys: set[str], limit: int, falling: bool) -> None:
    items = {key: key for key in keys}
    seen: list[str] = []
    cursor: str | None = None
    for _ in range(len(keys) + 1):
        parameters = {"limit": str(limit)} | ({} if cursor is None else {"cursor": cursor})
        page, cursor = page_of(func.HttpRequest("GET", "/api/x", params=parameters, body=b""), items, falling=falling)
        assert len(page) <= limit
        seen += page
        if cursor is None:
            break
    assert seen == sorted(keys, reverse=falling)


def test_a_function_key_in_the_address_is_no_unknown_parameter() -> None:
    from handlers.answers import _check_parameters

    _check_parameters(func.HttpRequest("GET", "/api/x", params={"code": "k", "clientId": "c"}, body=b""), ())
    with pytest.raises(Problem, match="Unknown parameter: codes; this route takes: limit"):
        _check_parameters(func.HttpRequest("GET", "/api/x", params={"codes": "k"}, body=b""), ("limit",))
