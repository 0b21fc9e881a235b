"""Faults to inject: at which request, with what answer, before or after the effect, or with no answer at all.

A fault is matched on method, host and path; each hit uses up one of `times`. `on_hit` runs at the exact request: in
process it can kill the host; another process long-polls the control API for the hit while `withhold="hang"` keeps the
caller waiting.
"""

import asyncio
import inspect
import itertools
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from local.cloud.routing import Call, Reply

OnHit = Callable[[Call], Awaitable[None] | None]


@dataclass(eq=False, kw_only=True)
class Fault:
    """One kind of trouble.

    Attributes:
        method: exact method; empty matches all.
        host, path: regular expressions, searched without regard to letter case.
        when: "before" the effect (the service never sees the request) or "after" it.
        status, headers, body: the answer instead of the service's; status 0 leaves the service's answer (and, before
        the
            effect, lets the request go on).
        withhold: "close" drops the connection, "hang" holds the request until `release()` and then drops the
        connection.
        delay_s: wait on the clock before anything else.
        times: hits left.
        on_hit: called with the request, before anything else; may be a coroutine function.
    """

    method: str = ""
    host: str = ""
    path: str = ""
    when: Literal["before", "after"] = "before"
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    withhold: Literal["no", "close", "hang"] = "no"
    delay_s: float = 0
    times: int = 1
    on_hit: OnHit | None = None
    name: str = ""
    hits: int = field(default=0, init=False)
    _hit: asyncio.Event = field(default_factory=asyncio.Event, init=False)
    _released: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    def __post_init__(self) -> None:
        for what in ("host", "path"):
            try:
                re.compile(getattr(self, what))
            except re.error as error:
                raise ValueError(f"fault: {what} is not a regular expression: {error}") from error
        allowed = {"when": ("before", "after"), "withhold": ("no", "close", "hang")}
        for what, values in allowed.items():
            if getattr(self, what) not in values:
                raise ValueError(f"fault: {what} must be one of {', '.join(values)}, not {getattr(self, what)!r}")

    def matches(self, call: Call) -> bool:
        return (
            self.times > 0
            and self.method.upper() in ("", call.method)
            and re.search(self.host, call.host, re.IGNORECASE) is not None
            and re.search(self.path, call.path, re.IGNORECASE) is not None
        )

    async def hit(self, call: Call) -> None:
        """Use up one of `times`, wake whoever waits for the hit, run the hook."""
        self.times -= 1
        self.hits += 1
        self._hit.set()
        if self.on_hit is not None:
            result = self.on_hit(call)
            if inspect.isawaitable(result):
                await result

    async def wait_for_hit(self, timeout_s: float) -> bool:
        """True once the fault was hit (real seconds: it is another process that waits)."""
        try:
            await asyncio.wait_for(self._hit.wait(), timeout_s)
        except TimeoutError:
            return False
        return True

    def release(self) -> None:
        """Let go of the requests that hang."""
        self._released.set()

    async def wait_for_release(self) -> None:
        await self._released.wait()

    def reply(self) -> Reply | None:
        """The answer in place of the service's, if there is one."""
        if not self.status:
            return None
        body = (
            self.body
            if self.body is not None
            else {"error": {"code": "InjectedFault", "message": f"fault {self.name}"}}
        )
        return Reply(self.status, body, dict(self.headers))

    def as_json(self) -> dict[str, Any]:
        shown = ("name", "method", "host", "path", "when", "status", "withhold", "delay_s", "times", "hits")
        return {key: getattr(self, key) for key in shown}


JSON_FIELDS = frozenset({"method", "host", "path", "when", "status", "headers", "body", "withhold", "delay_s", "times"})


class Faults:
    """The faults in force, first match wins."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._numbers = itertools.count(1)

    def add(self, fault: Fault) -> Fault:
        fault.name = fault.name or f"fault-{next(self._numbers)}"
        self._faults.append(fault)
        return fault

    def add_json(self, text: bytes) -> Fault:
        """A fault from a JSON object with the attributes of `Fault`.

        Raises:
            ValueError: not an object, or it has unknown keys.
        """
        document = json.loads(text)
        if not isinstance(document, dict) or set(document) - JSON_FIELDS:
            raise ValueError(f"a fault is a JSON object with keys of: {', '.join(sorted(JSON_FIELDS))}")
        return self.add(Fault(**document))

    def match(self, call: Call, when: str) -> Fault | None:
        return next((fault for fault in self._faults if fault.when == when and fault.matches(call)), None)

    def named(self, name: str) -> Fault:
        """Raises: KeyError if there is no such fault."""
        for fault in self._faults:
            if fault.name == name:
                return fault
        raise KeyError(name)

    def clear(self) -> None:
        """Forget all faults and let go of what hangs."""
        for fault in self._faults:
            fault.release()
        self._faults.clear()

    def as_json(self) -> list[dict[str, Any]]:
        return [fault.as_json() for fault in self._faults]
