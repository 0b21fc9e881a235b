"""A message as an Adaptive Card (Teams) and as blocks (Slack), made only of parts that know no markup. Pure.

Teams: TextBlock and FactSet read Markdown, so every text is a TextRun of a RichTextBlock, which does not. Slack:
`plain_text` objects, which know neither links nor mentions.
"""

from typing import Any

from shared.people.templates import Message

_COLOURS = {"info": "accent", "warning": "warning", "critical": "attention"}
_SIGNS = {"info": "Info", "warning": "Warning", "critical": "Critical"}


def teams(message: Message) -> dict[str, Any]:
    """The body for a webhook of Teams' Workflows: a message with one Adaptive Card (version 1.4)."""
    body = [
        _rich(_run(message.subject, weight="bolder", size="medium", color=_COLOURS[message.severity])),
        *(_rich(_run(part)) for part in message.text.split("\n") if part),
        *(_rich(_run(f"{name}: ", weight="bolder"), _run(value)) for name, value in message.facts),
        _rich(_run("What to do: ", weight="bolder"), _run(message.advice)),
    ]
    if message.runbook:
        body.append(_rich(_run("Runbook: ", weight="bolder"), _run(message.runbook)))
    body.append(_rich(_run(f"{_SIGNS[message.severity]}, {message.kind}, {message.id}", size="small", isSubtle=True)))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": message.subject,
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in message.links],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def slack(message: Message) -> dict[str, Any]:
    """The body for an incoming webhook of Slack."""
    blocks: list[dict[str, Any]] = [{"type": "header", "text": _plain(message.subject)}]
    if message.text:
        blocks.append({"type": "section", "text": _plain(message.text)})
    if message.facts:
        blocks.append({"type": "section", "fields": [_plain(f"{name}: {value}") for name, value in message.facts]})
    blocks.append({"type": "section", "text": _plain(f"What to do: {message.advice}")})
    if message.links:
        buttons = [{"type": "button", "text": _plain(label), "url": url} for label, url in message.links]
        blocks.append({"type": "actions", "elements": buttons})
    context = [_SIGNS[message.severity], message.kind, *([message.runbook] if message.runbook else []), message.id]
    blocks.append({"type": "context", "elements": [_plain(", ".join(context))]})
    # The fallback is read as markup: what could be one is escaped as Slack asks for.
    fallback = message.subject.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return {"text": fallback, "mrkdwn": False, "blocks": blocks}


def _run(text: str, **style: object) -> dict[str, Any]:
    return {"type": "TextRun", "text": text, **style}


def _rich(*runs: dict[str, Any]) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": list(runs)}


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text or " ", "emoji": False}
