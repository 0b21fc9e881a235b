"""Rates by slot of the day or week as a short text: two letters a slot, exact to a quarter of a percent.

A text and not numbers, because it is stored with every target, read at every sweep, and changed once in ten minutes.
"""

import math

SLOT_S = 600
SLOTS_A_DAY = 86_400 // SLOT_S
SLOTS_A_WEEK = 7 * SLOTS_A_DAY

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_"
_LEAST_PER_S = 1e-4
_STEP = 0.005
_UNSEEN, _ZERO, _FIRST = 0, 1, 2
_CODES = len(_LETTERS) ** 2


def _value(code: int) -> float | None:
    if code == _UNSEEN:
        return None
    return 0.0 if code == _ZERO else _LEAST_PER_S * math.exp(_STEP * (code - _FIRST))


_TEXTS = [high + low for high in _LETTERS for low in _LETTERS]
_VALUES = {text: _value(code) for code, text in enumerate(_TEXTS)}


def rate_in(profile: str, slot: int) -> float | None:
    """The rate of a slot (a second), None if it was never seen; `profile` may be empty."""
    return _VALUES[profile[2 * slot : 2 * slot + 2]] if profile else None


def with_rate(profile: str, slots: int, slot: int, rate_per_s: float) -> str:
    """The profile of so many slots with this one changed. Rates beyond 70,000 a second are cut off."""
    code = _ZERO
    if rate_per_s >= _LEAST_PER_S:
        code = min(_CODES - 1, _FIRST + round(math.log(rate_per_s / _LEAST_PER_S) / _STEP))
    whole = profile or _TEXTS[_UNSEEN] * slots
    return whole[: 2 * slot] + _TEXTS[code] + whole[2 * slot + 2 :]
