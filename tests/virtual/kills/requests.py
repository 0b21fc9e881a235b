"""What a request of the app is, in a few words: so that kill points can be counted, chosen and named.

`Notices POST batch n` is a transaction of the outbox that starts with a notice, `ARM PATCH deployments` a change. Names
hold no id: the same step of the same mechanism has the same name in every run.
"""

import re
from collections.abc import Mapping
from urllib.parse import unquote

from yarl import URL

# Of the tables whose rows are of several kinds, the first part of the row key says which.
_ROW_KINDS: Mapping[str, tuple[str, ...]] = {
    "State": ("target", "intent", "desired", "action"),
    "Notices": ("n", "o", "d", "w", "c"),
    "Ledger": ("e", "i", "h"),
}
_STATES = {
    "action": r"claimed|sent|accepted|succeeded|failed|refused|superseded",
    "d": r"waiting|following|delivered|digested|failed",
    "n": r"open|delivered|partly|failed|nobody",
    "Ledger": r"decision|outcome|notice|control|signal|approval",
    "Approvals": r"pending|approved|denied|expired|replaced|used",
    "Quarantine": r"open|closed",
}
_TABLE = re.compile(r"Watchkeeper(\w+?)(?:\(|$)")
_IN_BATCH = re.compile(r"Watchkeeper(\w+?)[(? ]")
_ROW_KEY = re.compile(r"RowKey['\"]?\s*[:=]\s*['\"]([A-Za-z]+)(?:,|'|\"|\\u002[cC])")
_NAMED = re.compile(r"/providers/[^/]+((?:/[^/]+/[^/]+)*)(/[^/]+)?$")


def name_of(method: str, url: URL, body: bytes, tables: str, blobs: str) -> str:
    """The name of a request; `tables` and `blobs` are where this storage account's services are (host and port)."""
    if url.authority == tables:
        return _of_tables(method, unquote(url.raw_path), url.query, unquote(body.decode("utf-8", "replace")))
    if url.authority == blobs:
        container = re.sub(r"-t\d+x\d+$", "", url.path.split("/")[2])
        return f"blob {method} {container}" + ("" if url.path.count("/") > 2 else " (container)")
    return _of_azure(method, url)


def _of_tables(method: str, path: str, query: Mapping[str, str], body: str) -> str:
    last = path.rsplit("/", 1)[-1]
    if last == "Tables":
        return "tables create"
    if last == "$batch":
        found = _IN_BATCH.search(body)
        return _described(f"{found[1] if found else '?'} batch", body)
    found = _TABLE.search(last)
    name = found[1] if found else last
    if method == "GET" and "RowKey" not in last:
        return f"{name} query{_asked(query.get('$filter', ''))}"
    return _described(f"{name} {'get' if method == 'GET' else method}", f"{last} {body}")


def _asked(condition: str) -> str:
    """By which rows a query asks, where one table answers several."""
    for key, words in (
        ("done eq 'no'", "left"),
        ("done eq 'yes'", "old"),
        ("'o,", "open"),
        ("'w,", "waiting"),
        ("'d,", "deliveries"),
        ("'c,", "channels"),
        ("'n,", "notices"),
        ("'e,", "entries"),
    ):
        if key in condition:
            return f" {words}"
    return ""


def _described(what: str, text: str) -> str:
    """With the kind of row and the state that is written, where that tells steps apart."""
    table = what.split(" ", 1)[0]
    row = _ROW_KEY.search(text)
    kind = row[1] if row and row[1] in _ROW_KINDS.get(table, ()) else ""
    states = _STATES.get(kind) or _STATES.get(table)
    written = re.search(rf"\W(?:state|kind)\W+({states})\W", text) if states else None
    return " ".join(part for part in (what, kind if table != "Ledger" else "", written[1] if written else "") if part)


def _of_azure(method: str, url: URL) -> str:
    host, path = url.host or "", url.path
    if "/msi/" in path or "identity" in path:
        return "identity GET token"
    for ending, words in (
        (".vault.azure.net", "vault"),
        (".eventgrid.azure.net", "topic"),
        (".communication.azure.com", "mail"),
        (".logic.azure.com", "webhook teams"),
        ("hooks.slack.com", "webhook slack"),
        ("hooks.example.com", "webhook any"),
        (".metrics.monitor.azure.com", "metrics"),
    ):
        if host.endswith(ending):
            return f"{words} {method}"
    return f"ARM {method} {_type_of(path)}"


def _type_of(path: str) -> str:
    """The last type in a resource's path, or the operation behind it."""
    if "mfeOperation" in path:
        return "operation"
    named = path.rstrip("/").rsplit("/providers/", 1)[-1].split("/")[1:]
    if len(named) % 2:
        return named[-1]
    return named[-2] if named else path.rsplit("/", 1)[-1]
