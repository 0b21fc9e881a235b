"""Amounts as Azure's budgets write them: "$11,111.00", "1111.32", "1.111,32 €"."""

import re
from decimal import Decimal
from typing import Any

from shared.signals.fields import field, plain_decimal, wrong

_AMOUNT = re.compile(r"[0-9]+(?:[.,' \u00a0\u202f][0-9]+)*")


def amount_of(value: Any) -> Decimal | None:
    """The amount, None if it is none. A comma before exactly three digits, and no other, groups thousands."""
    plain = plain_decimal(value)
    if plain is not None:
        return Decimal(plain)
    found = _AMOUNT.findall(value) if isinstance(value, str) and len(value) <= 100 else []
    if len(found) != 1:
        return None
    digits = re.sub(r"[' \u00a0\u202f]", "", found[0])
    point = _decimal_mark(digits)
    whole, _, cents = digits.rpartition(point) if point else (digits, "", "")
    number = Decimal(re.sub(r"[.,]", "", whole) + (f".{cents}" if cents else ""))
    return -number if re.search(r"[-\u2212(]", value) else number


def _decimal_mark(digits: str) -> str:
    """Which of "." and "," stands before the decimals; "" if none does."""
    last = max(digits.rfind("."), digits.rfind(","))
    if last < 0:
        return ""
    mark = digits[last]
    other = "," if mark == "." else "."
    if digits.count(mark) > 1:
        return ""
    return "" if mark == "," and other not in digits and len(digits) - last - 1 == 3 else mark


def amount_at(payload: Any, path: str, shown: str = "") -> Decimal | None:
    """The amount at `path`, None if it is missing or empty; `shown` is the path as an error names it.

    Raises:
        Malformed: there is something that is no amount.
    """
    value = field(payload, path)
    if value in (None, ""):
        return None
    amount = amount_of(value)
    if amount is None:
        raise wrong(shown or path, value, "an amount of money")
    return amount
