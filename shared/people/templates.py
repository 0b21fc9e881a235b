"""A notice in words that its recipient understands: what it is, what to do, where to go on. Pure.

What a notice says comes from everywhere (Azure's errors, names, reasons that people typed), so nothing of it is ever
markup: the forms below escape it, and the channels use only such parts of Teams' and Slack's formats as know none.
"""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from shared.domain import Notice, NoticeKind

MAX_SUBJECT, MAX_TEXT, MAX_FACTS, MAX_FACT, MAX_LINKS = 150, 2000, 10, 300, 5
_BLANKS = re.compile(r"\s+")
# Controls, the halves of pairs, and what turns the direction of text or hides in it.
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202f\u2060-\u206f\ufeff\ud800-\udfff]")
_URL = re.compile(r"https?://[^\s<>\"'\\]+")


@dataclass(frozen=True, slots=True)
class Template:
    """The words of a kind: what happened in general, and what its reader may do. `alarm` kinds have a runbook."""

    title: str
    advice: str
    alarm: bool = True


TEMPLATES: Mapping[NoticeKind, Template] = {
    "approval_requested": Template(
        "A change waits for your decision",
        "Read what is planned, then approve or deny it. Without an answer it is not done when its time is over.",
        alarm=False,
    ),
    "approval_ended": Template(
        "A request for approval has ended", "Nothing, if that is what you expected.", alarm=False
    ),
    "loop_blind": Template(
        "Watchkeeper cannot see, or may not act",
        "Give it back its sight: what it cannot read or who else writes is named above. Until then nothing shrinks.",
    ),
    "promise_unkept": Template(
        "What was promised to a queue cannot be kept",
        "Raise the limit that is named above, or promise less. More instances are not ordered beyond it.",
    ),
    "manual_change": Template(
        "Somebody else changed what Watchkeeper looks after",
        "Nothing, if it was meant. It is left alone for a while; resume earlier if you like.",
    ),
    "action_failed": Template(
        "A change did not work", "Look at the reason. It is tried again later, ever more rarely."
    ),
    "action_stuck": Template(
        "Nobody saw the end of a change", "Look at the deployment in Azure, and at what the app's log says of it."
    ),
    "hold_below_floor": Template(
        "A hold keeps less than a safety floor asks for",
        "Resume, or let the floor's owner agree that less is enough for now.",
    ),
    "exemption_expired": Template(
        "An exemption has ended", "Renew it with a reason if it is still needed.", alarm=False
    ),
    "breaker_tripped": Template(
        "Changes were stopped: too many failures or reversals",
        "Find out what went wrong, mend it, then reset the breaker.",
    ),
    "limit_reached": Template(
        "The limit on changes is used up", "Wait until the hour is over, or raise the limit if the changes are right."
    ),
    "quarantine_aged": Template(
        "Input that could not be read waits for somebody", "Correct and resubmit it, or discard it."
    ),
    "dead_letters_aged": Template(
        "Messages that nobody could take wait in a dead-letter queue", "Read why, then resubmit or discard them."
    ),
    "sweep_stopped": Template(
        "Nobody is watching: the sweep has stopped", "Look whether the app runs. Nothing is scaled until it does."
    ),
    "policy_refused": Template(
        "A new version of a policy is not in force", "Correct the document. The last good version still counts."
    ),
    "unwatched": Template(
        "Workspaces belong to no project", "Give each a project's document, or exclude it by the rule that finds them."
    ),
    "secret_near_expiry": Template(
        "A secret in Key Vault runs out soon", "Put a new version into the vault; it is picked up by itself."
    ),
    "ledger_broken": Template(
        "The chain of the ledger does not hold",
        "Compare the day with its export, and find out who wrote to the storage account.",
    ),
    "control_switched": Template("A person switched something", "Nothing, if you know of it.", alarm=False),
    "digest": Template("Several things happened", "Look at the list; each has an entry of its own.", alarm=False),
}

_PLAIN = Template("Something happened", "Look at its entry.", alarm=False)  # better than nothing for a kind without


def template_of(kind: NoticeKind) -> Template:
    return TEMPLATES.get(kind, _PLAIN)


def runbook_of(kind: NoticeKind) -> str:
    """Where an alarm's page lies in the repository, "" for what is no alarm."""
    return f"docs/runbooks/{kind}.md" if template_of(kind).alarm else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A notice as it is said. All texts are one line without controls, but `text`, which may have several lines."""

    id: str
    kind: str
    severity: str
    title: str
    subject: str
    text: str
    facts: tuple[tuple[str, str], ...]
    advice: str
    runbook: str
    links: tuple[tuple[str, str], ...]


def message_of(notice: Notice, public_url: str, *, with_links: bool) -> Message:
    """The notice in words. `public_url` is where the app is reached, "" if nobody said.

    The notice's own links go along only `with_links`, because they are for its recipient; the link to explain is for
    whoever has the right to look.
    """
    template = template_of(notice.kind)
    links = dict(notice.links) if with_links else {}
    if public_url and notice.entry:
        links["explain"] = f"{public_url}/api/explain/{quote(notice.entry, safe='')}"
    facts = {"target": notice.target, "project": notice.project} | dict(notice.facts)
    return Message(
        id=notice.id,
        kind=notice.kind,
        severity=notice.severity,
        title=template.title,
        subject=line(notice.subject, MAX_SUBJECT),
        text=lines(notice.text, MAX_TEXT),
        facts=tuple((line(name, 60), line(value, MAX_FACT)) for name, value in facts.items() if value)[:MAX_FACTS],
        advice=template.advice,
        runbook=runbook_of(notice.kind),
        links=tuple((line(label, 40), url) for label, url in links.items() if _URL.fullmatch(url))[:MAX_LINKS],
    )


def as_text(message: Message) -> str:
    """For mail without HTML, and logs."""
    parts = [message.subject, "", message.text, ""]
    parts += [f"{name}: {value}" for name, value in message.facts]
    parts += ["", f"What to do: {message.advice}"]
    if message.runbook:
        parts.append(f"Runbook: {message.runbook}")
    parts += [f"{label}: {url}" for label, url in message.links]
    parts += ["", f"{message.severity}, {message.kind}, {message.id}"]
    return "\n".join(parts)


def as_html(message: Message) -> str:
    """For mail; every text escaped, no style that a reader could not do without."""
    escaped = html.escape
    rows = "".join(f"<tr><th align=left>{escaped(n)}</th><td>{escaped(v)}</td></tr>" for n, v in message.facts)
    links = "".join(f'<li><a href="{escaped(url)}">{escaped(label)}</a></li>' for label, url in message.links)
    runbook = f"<p>Runbook: <code>{escaped(message.runbook)}</code></p>" if message.runbook else ""
    return (
        f"<h3>{escaped(message.subject)}</h3>"
        f"<p>{escaped(message.text).replace(chr(10), '<br>')}</p>"
        + (f"<table>{rows}</table>" if rows else "")
        + f"<p><b>What to do:</b> {escaped(message.advice)}</p>{runbook}"
        + (f"<ul>{links}</ul>" if links else "")
        + f"<p><small>{escaped(f'{message.severity}, {message.kind}, {message.id}')}</small></p>"
    )


def line(text: str, most: int) -> str:
    """One line of at most `most` characters, without controls; what is cut is marked."""
    return _cut(_BLANKS.sub(" ", _INVISIBLE.sub(" ", text)).strip(), most)


def lines(text: str, most: int) -> str:
    """The same, with its line breaks."""
    kept = "\n".join(line(part, most) for part in text.splitlines())
    return _cut(kept.strip(), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
