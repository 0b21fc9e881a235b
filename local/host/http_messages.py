"""HTTP requests as the worker sees them, and its answers as the client sees them (facts/hostrules.md §3)."""

import json
from collections.abc import Mapping
from datetime import datetime
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import web
from multidict import CIMultiDict

from local.host.protos import Message, TypedData, plain

_JSON = "application/json; charset=utf-8"
_TEXT = "text/plain; charset=utf-8"


async def worker_request(request: web.Request, route_values: Mapping[str, str]) -> TypedData:
    """What the host sends to the worker.

    Header names in lower case, repeats joined by a comma; query parameters without a value are missing; the body only
    where Content-Length says so: a chunked upload arrives empty.
    """
    body = await request.read() if request.content_length else b""
    return http_data(request.method, str(request.url), _headers(request), _query(request), route_values, body)


def http_data(
    method: str,
    url: str,
    headers: Mapping[str, str],
    query: Mapping[str, str],
    params: Mapping[str, str],
    body: bytes,
) -> TypedData:
    """An HTTP request in the worker's form."""
    message = Message(method=method, url=url, headers=headers, query=query, params=params, body=TypedData(bytes=body))
    return TypedData(http=message)


def _headers(request: web.Request) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for name, value in request.headers.items():
        joined.setdefault(name.lower(), []).append(value)
    return {name: ",".join(values) for name, values in joined.items()}


def _query(request: web.Request) -> dict[str, str]:
    joined: dict[str, list[str]] = {}
    for name, value in request.query.items():
        if value:
            joined.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in joined.items()}


def client_response(value: TypedData | None) -> web.Response:
    """The function's return value as a response."""
    if value is None:
        return web.Response(status=200)
    message = getattr(value, "http", None)
    return _text_response(str(plain(value))) if message is None else _http_response(message)


def _http_response(message: Any) -> web.Response:
    body = plain(message.body) or b""
    headers = CIMultiDict({name: value for name, value in message.headers.items() if name.lower() != "content-length"})
    for cookie in getattr(message, "cookies", None) or ():
        headers.add("Set-Cookie", _cookie(cookie))
    content = body.encode() if isinstance(body, str) else body
    return web.Response(status=int(message.status_code), body=content, headers=headers)


def _cookie(message: Any) -> str:
    jar: SimpleCookie = SimpleCookie({message.name: message.value})
    morsel = jar[message.name]
    for attribute in ("domain", "path", "max_age", "same_site"):
        value = getattr(message, attribute, None)
        if value is not None and str(getattr(value, "value", value)):
            morsel[{"max_age": "max-age", "same_site": "samesite"}.get(attribute, attribute)] = str(
                getattr(value, "value", value)
            )
    expires = getattr(getattr(message, "expires", None), "value", None)
    if isinstance(expires, datetime):
        morsel["expires"] = expires.strftime("%a, %d %b %Y %H:%M:%S GMT")
    morsel["secure"] = bool(getattr(message.secure, "value", False))
    morsel["httponly"] = bool(getattr(message.http_only, "value", False))
    return morsel.OutputString()


def _text_response(text: str) -> web.Response:
    """A plain `str`: parsed as JSON; an object with a `body` is the response itself, with its status and headers."""
    try:
        content = json.loads(text)
    except ValueError:
        return web.Response(text=text, headers={"Content-Type": _TEXT})
    if not isinstance(content, dict):
        return _content_response(content, 200, {})
    fields = {str(name).lower(): value for name, value in content.items()}
    if "body" not in fields:
        return _content_response(content, 200, {})
    status = int(fields.get("status") or fields.get("statuscode") or 200)
    return _content_response(fields["body"], status, fields.get("headers") or {})


def _content_response(content: Any, status: int, headers: Mapping[str, Any]) -> web.Response:
    is_text = isinstance(content, str)
    merged = CIMultiDict({"Content-Type": _TEXT if is_text else _JSON})
    merged.update({name: str(value) for name, value in headers.items()})
    body = content if is_text else json.dumps(content, separators=(",", ":"))
    return web.Response(status=status, body=body.encode(), headers=merged)
