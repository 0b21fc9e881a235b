"""Keys of table rows.

Azure Tables forbid / \\ # ? and control characters in keys, and keys travel in URLs. So every character outside a small
set is written as the two hexadecimal digits of its UTF-8 bytes after `!`; only the slash, of which resource ids are
full, has a short form (`|`). Encoded keys compare equal exactly if the texts do.
"""

from urllib.parse import quote, unquote

from shared.records.errors import NotStorable

_SEPARATOR = ","  # never part of an encoded text
_LIMIT_CHARACTERS = 512  # Azure Tables: 1 KiB of UTF-16


def encode_key(text: str) -> str:
    """`text` as characters that are safe in a table key: letters, digits and ``_.-~!|``."""
    return quote(text, safe="/").replace("%", "!").replace("/", "|")


def decode_key(key: str) -> str:
    """The text that `encode_key` was given; of a key that is not ours, some text."""
    return unquote(key.replace("|", "/").replace("!", "%"))


def join_key(*texts: str) -> str:
    """One key of several texts, which `split_key` gives back.

    Raises:
        NotStorable: longer than Azure Tables allow.
    """
    key = _SEPARATOR.join(encode_key(text) for text in texts)
    if len(key) > _LIMIT_CHARACTERS:
        raise NotStorable(f"{texts!r} makes a key of {len(key)} characters; Azure Tables allow {_LIMIT_CHARACTERS}")
    return key


def split_key(key: str) -> tuple[str, ...]:
    return tuple(decode_key(part) for part in key.split(_SEPARATOR))


def prefix_range(prefix: str) -> tuple[str, str]:
    """`(first, after)`: every key that starts with `prefix` (encoded already) is in first <= key < after."""
    return prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1)
