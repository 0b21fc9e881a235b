"""Marks tests with the rules of local/host/rules.py that they prove."""

from collections.abc import Callable

from local.host.rules import RULES

_KNOWN = {rule.id for rule in RULES}


def rule[Test: Callable[..., object]](*ids: str) -> Callable[[Test], Test]:
    """`@rule("http.exception_500")` on a test; an id that is not in the table fails at collection."""
    unknown = set(ids) - _KNOWN
    if unknown or not ids:
        raise ValueError(f"no such rule in local/host/rules.py: {sorted(unknown)}")
    return lambda test: test
