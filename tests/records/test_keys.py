"""Keys: reversible, and nothing that Azure Tables forbid."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from shared.records import NotStorable
from shared.records.keys import decode_key, encode_key, join_key, prefix_range, split_key
from tests.records.builders import BLUE

FORBIDDEN = re.compile(r"[/\\#?\x00-\x1f\x7f-\x9f]")


@given(st.text())
@example("/a\\b#c?d\x00\x1f\x7f\x85%!|,~ 'ü€😀")
@example("")
def test_a_key_gives_back_its_text_and_holds_nothing_forbidden(text: str) -> None:
    key = encode_key(text)
    assert decode_key(key) == text
    assert not FORBIDDEN.search(key)
    assert key.isascii()


@given(st.lists(st.text(max_size=12), min_size=1, max_size=5))
def test_a_joined_key_gives_back_its_texts(texts: list[str]) -> None:
    assert split_key(join_key(*texts)) == tuple(texts)


def test_a_resource_id_stays_readable_and_short() -> None:
    assert encode_key(BLUE) == BLUE.replace("/", "|")


def test_a_key_that_azure_would_not_take_is_refused() -> None:
    assert len(join_key("x" * 512)) == 512
    with pytest.raises(NotStorable, match="513 characters"):
        join_key("x" * 513)


@given(st.text(alphabet="ab,|~", min_size=1, max_size=4), st.text(alphabet="ab,|~", max_size=6))
def test_a_prefix_range_holds_exactly_what_starts_with_the_prefix(prefix: str, key: str) -> None:
    first, after = prefix_range(prefix)
    assert (first <= key < after) == key.startswith(prefix)
    assert first <= prefix + key < after
