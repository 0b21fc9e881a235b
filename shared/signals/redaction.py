"""What is kept of a foreign payload: bounded in size, and without what could open a door.

Query strings of URLs carry SAS signatures, function keys and tokens, and nothing that a decision needs; claims are
whole tokens taken apart; validation codes let whoever has them confirm a subscription.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

TEXT_CHARS = 2_000
JSON_CHARS = 8_000
REDACTED = "[redacted]"
LEFT_OUT = "_left_out"

# None of these can start inside what it has just looked at in vain: time grows with the text, not with its square.
_URL = re.compile(
    r"(?<![a-z0-9+.-])([a-z][a-z0-9+.-]{0,20}://)(?:[^\s/?#\"'<>@]*@)?([^\s?#\"'<>]*)(\?[^\s#\"'<>]*)?(#[^\s\"'<>]*)?",
    re.IGNORECASE,
)
_PAIR = re.compile(
    r"\b((?:account|shared.?access|access|primary|secondary|api|client)?[_-]?(?:key|signature|secret|password|pwd|sig)"
    r"|(?:access|id|refresh)?_?token)(\s{0,3}=\s{0,3})[^;&,\s\"'}]+",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"(?<![\w-])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?|\bbearer\s{1,3}[\w.~+/-]{8,}=*", re.IGNORECASE)
_SECRET_NAME = re.compile(
    r"claims|validation(code|url)|password|passwd|connection.?string|signature|credential"
    r"|(^|[_-]|account|access|api|shared|client|sas|primary|secondary)(key|secret|token)s?$",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """The text without query strings of URLs, passwords in them, key=value secrets and bearer tokens."""
    if "://" in text:
        text = _URL.sub(_bare, text)
    if "=" in text:
        text = _PAIR.sub(rf"\1\2{REDACTED}", text)
    return _TOKEN.sub(REDACTED, text)


def _bare(url: re.Match[str]) -> str:
    """A URL without user, query, and a fragment that has values in it; the portal's links are paths in fragments."""
    query, fragment = url[3] or "", url[4] or ""
    if query:
        query = f"?{REDACTED}"
    if "=" in fragment or "?" in fragment:
        fragment = f"#{REDACTED}"
    return f"{url[1]}{url[2]}{query}{fragment}"


def redact_source(source: str) -> str:
    """A source without secrets that still differs from every other source."""
    clean = redact(source)
    return clean if clean == source else f"{clean}#{hashlib.sha256(source.encode()).hexdigest()[:12]}"


def clipped(text: str) -> str:
    """The redacted text, cut to what a record can hold."""
    clean = redact(text[: 4 * TEXT_CHARS])
    return clean if len(clean) <= TEXT_CHARS else f"{clean[: TEXT_CHARS - 1]}…"


def without_secrets(value: Any, name: str = "") -> Any:
    """The JSON value with every text redacted, and whatever is named like a secret replaced."""
    if _SECRET_NAME.search(name) and value not in (None, "", [], {}) and not isinstance(value, bool | int | float):
        return REDACTED
    if isinstance(value, Mapping):
        return {redact(key): without_secrets(inner, key.strip()) for key, inner in value.items()}
    if isinstance(value, list):
        return [without_secrets(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def canonical(value: Any, limit: int = JSON_CHARS) -> str:
    """The JSON value in its one written form, redacted, at most `limit` characters; "" for nothing.

    Of an object that is larger, whole members are left out, the largest first, and named under `_left_out`.
    """
    if value in (None, "", [], {}):
        return ""
    clean = without_secrets(value)
    written = _written(clean)
    if len(written) <= limit:
        return written
    if not isinstance(clean, dict):
        return _written({LEFT_OUT: f"{len(written)} characters"})
    kept: dict[str, Any] = {}
    room = limit - 100
    sizes = sorted((len(_written(inner)) + len(key) + 5, key) for key, inner in clean.items())
    for size, key in sizes:
        room -= size
        if room < 0:
            break
        kept[key] = clean[key]
    left_out = sorted(key[:100] for key in clean if key not in kept)
    return _written(kept | {LEFT_OUT: left_out if len(_written(left_out)) <= 90 else f"{len(left_out)} members"})


def _written(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
