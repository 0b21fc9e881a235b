"""Notices in words: every kind has them, every alarm a runbook, and nothing of a notice is ever markup."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings

from shared.domain import Notice, NoticeKind
from shared.people.channels import cards
from shared.people.templates import (
    MAX_FACTS,
    MAX_SUBJECT,
    TEMPLATES,
    Message,
    as_html,
    as_text,
    message_of,
    runbook_of,
)
from tests.people.builders import notice, notices

ROOT = Path(__file__).parents[2]
KINDS: tuple[NoticeKind, ...] = get_args(NoticeKind)
patient = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HEADINGS = ("## What it means", "## How to check", "## What to do", "## How to know that it is over")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_and_every_alarm_a_runbook(kind: NoticeKind) -> None:
    template = TEMPLATES[kind]
    assert template.title
    assert template.advice.endswith(".")
    page = ROOT / f"docs/runbooks/{kind}.md"
    assert page.is_file() == template.alarm
    assert runbook_of(kind) == (f"docs/runbooks/{kind}.md" if template.alarm else "")
    if template.alarm:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {template.title}")
        assert [line for line in text.splitlines() if line.startswith("## ")] == list(HEADINGS)
        assert "`" in text.partition(HEADINGS[1])[2].partition(HEADINGS[2])[0], "a request to check with"


def test_every_runbook_is_of_a_kind() -> None:
    assert {page.stem for page in (ROOT / "docs/runbooks").glob("*.md")} <= set(KINDS)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(notices)
@patient
def test_nothing_of_a_notice_is_markup_in_html(told: Notice) -> None:
    message = message_of(told, "https://keeper.example", with_links=True)
    read = _Tags()
    read.feed(as_html(message))
    ours = {"h3", "p", "br", "b", "table", "tr", "th", "td", "ul", "li", "a", "small", "code"}
    assert {tag for tag, _ in read.tags} <= ours
    assert {name for tag, attributes in read.tags for name, _ in attributes} <= {"href", "align"}
    hrefs = [value for tag, attributes in read.tags for name, value in attributes if name == "href"]
    assert hrefs == [url for _, url in message.links]
    assert all(url.startswith(("https://", "http://")) for _, url in message.links)
    assert message.subject in "".join(read.words)


@given(notices)
@patient
def test_nothing_of_a_notice_is_markup_in_cards(told: Notice) -> None:
    """Teams reads Markdown in TextBlock and FactSet, Slack in mrkdwn: neither is ever used."""
    message = message_of(told, "", with_links=True)
    teams, slack = cards.teams(message), cards.slack(message)
    assert _types(teams) <= {"message", "AdaptiveCard", "RichTextBlock", "TextRun", "Action.OpenUrl"}
    assert _types(slack) <= {"header", "section", "plain_text", "context", "actions", "button"}
    assert "<" not in slack["text"]
    assert slack["mrkdwn"] is False
    assert len(slack["blocks"][0]["text"]["text"]) <= 150


@given(notices)
@patient
def test_what_is_said_is_bounded_and_has_no_controls(told: Notice) -> None:
    message = message_of(told, "https://keeper.example", with_links=True)
    assert len(message.subject) <= MAX_SUBJECT
    assert len(message.facts) <= MAX_FACTS
    assert "\n" not in message.subject
    assert "\r" not in as_text(message)
    everything = [message.subject, message.text, *(part for fact in message.facts for part in fact)]
    assert not any(character in text for text in everything for character in "\x00\u202e\u200b\r")
    assert len(str(cards.teams(message)).encode()) < 28 * 1024


def test_links_are_for_the_recipient_and_explain_for_all() -> None:
    told = notice(entry="20260105T1 a/b", links={"approve": "https://keeper.example/x"})
    assert message_of(told, "https://k.example", with_links=False).links == (
        ("explain", "https://k.example/api/explain/20260105T1%20a%2Fb"),
    )
    assert [label for label, _ in message_of(told, "", with_links=True).links] == ["approve"]


def test_a_message_has_all_that_its_reader_needs() -> None:
    told = notice(kind="action_failed", facts={"code": "OutOfCapacity"})
    text = as_text(message_of(told, "", with_links=True))
    for words in (told.subject, told.text, "target: chat", "code: OutOfCapacity", "What to do: ", "Runbook: ", told.id):
        assert words in text


def _types(value: Any) -> set[str]:
    if isinstance(value, list):
        return {one for item in value for one in _types(item)}
    if not isinstance(value, dict):
        return set()
    own = {value["type"]} if "type" in value else set()
    return own | {one for item in value.values() for one in _types(item)}


def test_messages_are_plain_values() -> None:
    assert isinstance(message_of(notice(), "", with_links=True), Message)
