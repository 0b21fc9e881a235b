"""Versions of orchestrations: host.json's `defaultVersion`, `versionMatchStrategy`, `versionFailureStrategy`.

A new instance gets the default version of the app that starts it. An app does not run an instance that is newer than
itself: it waits until the newer app is there (Reject), or fails (Fail). Source: DurableTaskOptions.cs, facts/hostrules.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from packaging.version import InvalidVersion, parse

from local.host.errors import HostStartError

_MATCHES = {"none": "None", "strict": "Strict", "currentorolder": "CurrentOrOlder"}
_FAILURES = {"reject": "Reject", "fail": "Fail"}


@dataclass(frozen=True, slots=True)
class Versioning:
    """What host.json says of versions; `default` "" if it names none."""

    default: str = ""
    match: str = "CurrentOrOlder"
    failure: str = "Reject"

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Self:
        """Of the durableTask section with lower-case keys.

        Raises:
            HostStartError: a strategy that the real host does not know.
        """
        return cls(
            default=str(options.get("defaultversion") or ""),
            match=_strategy(options, "versionMatchStrategy", _MATCHES, "CurrentOrOlder"),
            failure=_strategy(options, "versionFailureStrategy", _FAILURES, "Reject"),
        )

    def mismatch(self, instance: str) -> str:
        """Why an instance of this version may not run here, "" if it may."""
        if self.match == "None" or not self.default:
            return ""
        compared = _compared(instance, self.default)
        if self.match == "Strict" and compared != 0:
            return f"The orchestration version '{instance}' does not match the worker version '{self.default}'."
        if self.match == "CurrentOrOlder" and compared > 0:
            return f"The orchestration version '{instance}' is greater than the worker version '{self.default}'."
        return ""


def _strategy(options: Mapping[str, Any], name: str, known: Mapping[str, str], default: str) -> str:
    value = options.get(name.lower(), default)
    if str(value).lower() not in known:
        raise HostStartError(
            f"host.json: extensions.durableTask.{name} is {value!r}; possible: {', '.join(known.values())}."
        )
    return known[str(value).lower()]


def _compared(one: str, other: str) -> int:
    """Below 0, 0 or above; no version is older than any."""
    if not one or not other:
        return bool(one) - bool(other)
    try:
        first, second = parse(one), parse(other)
    except InvalidVersion:
        return (one > other) - (one < other)
    return (first > second) - (first < second)
