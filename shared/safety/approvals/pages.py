"""The pages that a link leads to: plain HTML, everything escaped, nothing loaded from anywhere, no script.

The headers forbid the rest: no frames, no referrer (the address holds the token), nothing kept by caches.
"""

import base64
import hashlib
from collections.abc import Mapping
from html import escape

from shared.domain import ApprovalRequest
from shared.safety.approvals.links import Link
from shared.safety.approvals.rules import standing
from shared.safety.approvals.words import change_words

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em;color:#1b1b1b}"
    "h1{font-size:1.3em}dt{color:#555;font-size:.85em;margin-top:.6em}dd{margin:0}"
    "textarea{width:100%;font:inherit}button{font:inherit;padding:.5em 1.5em;margin-top:1em}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": (
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-Robots-Tag": "noindex, nofollow",
}
LONGEST_REASON = 500


def question(link: Link, request: ApprovalRequest) -> str:
    """What is asked, and the button that answers. Opening this page has changed nothing."""
    decision = request.decision
    asks = "; ".join(f"{ask.needed} of {', '.join(ask.who)} ({ask.rule})" for ask in request.requirement.asks)
    facts = {
        "Target": request.target_name,
        "Change": change_words(decision),
        "Why": decision.reason,
        "Who is asked": asks,
        "How it stands": standing(request),
        "You are": link.recipient,
        "Plan": request.plan,
    }
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts.items())
    verb, what = ("Approve", "may be done once, as planned") if link.verdict == "approve" else ("Deny", "is not done")
    form = (
        f'<form method="post"><label>Reason (optional)<br><textarea name="reason" rows="3" '
        f'maxlength="{LONGEST_REASON}"></textarea></label><br><button type="submit">{verb}</button></form>'
    )
    told = f"<p>Nothing has happened yet. With the button you say that this change {what}.</p>"
    return _page(f"{verb} this change?", f"<dl>{rows}</dl>{told}{form if request.is_open else ''}")


def said(title: str, words: str) -> str:
    """A page with one sentence."""
    return _page(title, f"<p>{escape(words)}</p>")


def _page(title: str, content: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><h1>{escape(title)}</h1>{content}<p><small>Watchkeeper</small></p></body></html>"
    )
