"""What the ways to people decide without a network."""

import asyncio
import socket
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.people.channels.base import LONGEST_RETRY_AFTER_S, judged, retry_after_s
from shared.people.channels.event_grid import event_type
from shared.people.channels.webhook import PrivateAddressError, _guarded_resolver, fault_of
from shared.people.receipts import entry_of
from shared.records.outbox import Posted
from tests.people.builders import NOW, delivery, notice


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T0/B0/x",
        "https://prod-00.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke?sig=y",
        " https://hooks.example.com/x\n",
        "https://8.8.8.8/x",
    ],
)
def test_urls_of_the_outside_are_good(url: str) -> None:
    assert fault_of(url) == ""


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hooks.slack.com/x",
        "http://hooks.slack.com/x",
        "file:///etc/passwd",
        "https://",
        "https://user:word@hooks.example.com/x",
        "https://localhost/x",
        "https://a.localhost/x",
        "https://127.0.0.1/x",
        "https://10.1.2.3/x",
        "https://169.254.169.254/metadata",
        "https://[::1]/x",
        "https://[fd00::1]/x",
        "https://hooks.example.com:port/x",
    ],
)
def test_urls_that_lead_inside_or_nowhere_are_refused_without_repeating_them(url: str) -> None:
    words = fault_of(url)
    assert words
    assert len(url) < 10 or url not in words


@given(st.text(max_size=80))
def test_no_text_breaks_the_look_at_a_url(text: str) -> None:
    assert isinstance(fault_of(text), str)


@pytest.mark.parametrize(
    ("address", "is_public"), [("10.0.0.4", False), ("169.254.169.254", False), ("127.0.0.1", False), ("8.8.8.8", True)]
)
async def test_a_name_that_leads_inside_is_refused(
    monkeypatch: pytest.MonkeyPatch, address: str, is_public: bool
) -> None:
    async def told(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, 443))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", told)
    resolver = _guarded_resolver()
    if is_public:
        assert [one["host"] for one in await resolver.resolve("hooks.example.com", 443)] == [address]
    else:
        with pytest.raises(PrivateAddressError):
            await resolver.resolve("hooks.example.com", 443)
    await resolver.close()


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "30"}, 30),
        ({"Retry-After": "1e9"}, LONGEST_RETRY_AFTER_S),
        ({"Retry-After": "-5"}, 0),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Mon, 05 Jan 2026 12:30:40 GMT", "Date": "Mon, 05 Jan 2026 12:30:00 GMT"}, 40),
        ({"Retry-After": "Mon, 05 Jan 2026 12:30:40 GMT"}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds


@given(st.integers(300, 599))
def test_what_may_pass_is_tried_again_and_the_rest_is_not(status: int) -> None:
    passes = status in (408, 425, 429) or status >= 500
    result = judged(status, "it", "mend it", 3.0)
    assert result.kind == ("later" if passes else "refused")
    assert passes or result.problem.endswith("mend it")


def test_event_types_are_named_after_kinds() -> None:
    assert event_type("manual_change") == "Watchkeeper.Notice.ManualChange"


def test_a_receipt_is_the_same_whenever_it_is_written() -> None:
    told = notice()
    ways = [
        delivery(told, state="delivered", ended_at=NOW, receipt="HTTP 202", attempts=2),
        delivery(told, channel="mail", recipient="ada@example.com", state="failed", ended_at=NOW, problem="400"),
    ]
    first, second = (entry_of(Posted(notice=told, state=state), ways, "partly") for state in ("open", "partly"))
    assert first == second
    assert first is not None
    assert first.summary == "Told by oncall; not by mail to ada@example.com (400): Somebody changed chat"
    assert entry_of(Posted(notice=told), [delivery(told, state="digested", digest="d")], "delivered") is None
