"""The search for canaries finds them in whatever form they were written."""

import base64
import gzip

import pytest

from tests.virtual.canary.scenario import KEY_1, VARIABLE
from tests.virtual.canary.search import Canaries, look_at_exception


@pytest.mark.parametrize(
    "written",
    [
        KEY_1,
        f'{{"a": "{KEY_1}"}}'.encode("utf-16-le"),
        KEY_1.encode().hex(),
        gzip.compress(KEY_1.encode(), mtime=0),
        "key=canary-of-the-link-key-0001-Zq7%2F%2B&x",
    ],
)
def test_a_canary_is_found_in_any_form(written: object) -> None:
    canaries = Canaries({"key": KEY_1})
    canaries.look("logs", "here", written)
    assert canaries.found
    assert KEY_1 not in str(canaries.found)


@pytest.mark.parametrize("before", ["", "a", "ab", "abc"])
def test_a_canary_is_found_in_base64_wherever_it_begins(before: str) -> None:
    canaries = Canaries({"variable": VARIABLE})
    canaries.look("logs", "here", base64.b64encode(f"{before}{VARIABLE}\n".encode()))
    assert canaries.found


def test_a_canary_is_found_in_the_cause_of_an_exception() -> None:
    canaries = Canaries({"key": KEY_1})
    try:
        try:
            raise ValueError(KEY_1)
        except ValueError:
            raise RuntimeError("hidden") from None
    except RuntimeError as error:
        look_at_exception(canaries, error)
    assert canaries.found
