"""Any notice, with the worst that texts can hold."""

from datetime import UTC, datetime
from typing import Any, get_args

from hypothesis import strategies as st

from shared.domain import Delivery, Notice, NoticeKind, Severity

NOW = datetime(2026, 1, 5, 12, 30, tzinfo=UTC)
NASTY = (
    "<script>alert(1)</script>",
    "[click](https://evil.example)",
    "<!channel> <https://evil.example|click>",
    "a\r\nBcc: everybody@example.com",
    "**bold** _it_ `code` # head",
    '"><img src=x onerror=alert(1)>',
    "\u202egnp.exe\u0000",
)
texts = st.one_of(st.sampled_from(NASTY), st.text(max_size=300))
urls = st.one_of(
    st.just("https://keeper.example/api/approve?token=t&x=1"),
    st.sampled_from(["javascript:alert(1)", 'https://a"onclick="x', "data:text/html,x", "https://a b"]),
    st.text(max_size=30),
)


def notice(number: int = 1, **changes: Any) -> Notice:
    fields: dict[str, Any] = {
        "id": f"20260105T{number:06}-note",
        "kind": "manual_change",
        "severity": "warning",
        "at": NOW,
        "subject": "Somebody changed chat",
        "text": "Capacity went from 2 to 5.",
        "target": "chat",
    }
    return Notice(**fields | changes)


def delivery(told: Notice, **changes: Any) -> Delivery:
    fields: dict[str, Any] = {
        "notice": told.id,
        "channel": "oncall",
        "created_at": NOW,
        "gives_up_at": NOW,
        "next_at": NOW,
    }
    return Delivery(**fields | changes)


notices = st.builds(
    notice,
    kind=st.sampled_from(get_args(NoticeKind)),
    severity=st.sampled_from(get_args(Severity)),
    subject=texts,
    text=texts,
    target=texts,
    project=texts,
    entry=texts,
    facts=st.dictionaries(texts, texts, max_size=12),
    links=st.dictionaries(texts, urls, max_size=6),
)
