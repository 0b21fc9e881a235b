"""What operators see of what comes in, as plain JSON values."""

import base64
from collections.abc import Iterable, Sequence
from typing import Any

from shared.loops.intake import Item
from shared.records.chain import StoredEntry
from shared.records.origin import Origin
from shared.records.quarantine import Closing, Quarantined
from shared.records.signals import DayCount, KindCount

Plain = dict[str, Any]

SHOWN_BYTES = 1024 * 1024


def item_view(item: Item) -> Plain:
    """What one item of a delivery became; only what there is to say."""
    if item.became == "quarantined":
        return {"became": item.became, "quarantine": item.id, "reason": item.reason}
    if item.became == "duplicate":
        return {"became": item.became, "id": item.id, "kind": item.kind}
    return {
        "became": item.became,
        "id": item.id,
        "kind": item.kind,
        "entry": item.entry,
        "handled_by": list(item.handled_by),
        "targets": item.targets,
        "decided": item.decided,
    }


def signal_view(entry: StoredEntry) -> Plain:
    """A recorded signal: `handling` is handled, not_yet_handled or unknown."""
    body = entry.body
    return {
        "entry": entry.id,
        "received_at": entry.at.isoformat(),
        "endpoint": entry.endpoint_key,
        "summary": entry.summary,
        **{name: body.get(name) for name in ("signal", "handling", "handled_by", "woke", "origin")},
    }


def kinds_view(days: Sequence[DayCount]) -> list[Plain]:
    """Every kind and source of these days, summed up, the last seen first."""
    by_kind: dict[tuple[str, str], list[tuple[str, KindCount]]] = {}
    for day in days:
        for kind in day.kinds:
            by_kind.setdefault((kind.kind, kind.source), []).append((day.day, kind))
    shown = [_kind_view(kind, source, counts) for (kind, source), counts in by_kind.items()]
    return sorted(shown, key=lambda view: str(view["last_seen"]), reverse=True)


def _kind_view(kind: str, source: str, counts: Sequence[tuple[str, KindCount]]) -> Plain:
    return {
        "kind": kind,
        "source": source,
        "handling": counts[-1][1].handling,
        "count": sum(count.count for _, count in counts),
        "first_seen": min(count.first_at for _, count in counts).isoformat(),
        "last_seen": max(count.last_at for _, count in counts).isoformat(),
        "days": {day: count.count for day, count in counts},
    }


def quarantined_view(entry: Quarantined) -> Plain:
    """An entry without its body."""
    return {
        "id": entry.id,
        "state": entry.state,
        "reason": entry.reason,
        "source": entry.source,
        "kind": entry.kind,
        "size": entry.size,
        "count": entry.count,
        "first_at": entry.first_at.isoformat(),
        "last_at": entry.last_at.isoformat(),
        "open_since": entry.open_since.isoformat(),
        "origins": _origins(entry.origins),
        "closings": [_closing(closing) for closing in entry.closings],
    }


def body_view(body: bytes) -> Plain:
    """The body as text, or in base64 where it is none; of a large one the first mebibyte, and it says so."""
    shown = body[:SHOWN_BYTES]
    truncated = len(body) > len(shown)
    try:
        return {"body": shown.decode(errors="ignore" if truncated else "strict"), "truncated": truncated}
    except UnicodeDecodeError:
        return {"body_base64": base64.b64encode(shown).decode(), "truncated": truncated}


def _origins(origins: Iterable[Origin]) -> list[Plain]:
    return [
        {"trigger": one.trigger, "queue": one.queue, "message": one.message, "attempts": one.attempts}
        for one in origins
    ]


def _closing(closing: Closing) -> Plain:
    return {
        "how": closing.how,
        "by": closing.by,
        "reason": closing.reason,
        "at": closing.at.isoformat(),
        "became": list(closing.became),
    }
