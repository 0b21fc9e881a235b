"""How a text lies in the columns of a table row.

A column holds 64 KiB and a row 1 MiB. A text that fits is one readable column, `value`; a longer one is compressed and
cut into binary columns `packed00`, `packed01`, ... `schema` is the version of this layout.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

from shared.records.errors import CorruptRow, NotStorable, SchemaTooNew

type Column = str | int | bytes

LAYOUT_VERSION = 1
_COLUMN_BYTES = 64 * 1024
_VALUE_BYTES = 960 * 1024  # 1 MiB less room for keys and further columns


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """One table row, its keys encoded. `etag` is "" on a row that was not read."""

    partition: str
    row: str
    columns: Mapping[str, Column]
    etag: str = ""


def value_columns(text: str) -> dict[str, Column]:
    """The columns that hold `text`.

    Raises:
        NotStorable: more than 960 KiB even when compressed.
    """
    if len(text.encode("utf-16-le")) <= _COLUMN_BYTES:
        return {"schema": LAYOUT_VERSION, "value": text}
    packed = zlib.compress(text.encode())
    if len(packed) > _VALUE_BYTES:
        raise NotStorable(
            f"a value of {len(text)} characters takes {len(packed)} bytes when compressed and a table row holds "
            f"{_VALUE_BYTES}: store its large part as a blob and keep the reference and hash here"
        )
    starts = range(0, len(packed), _COLUMN_BYTES)
    chunks = {f"packed{number:02}": packed[start : start + _COLUMN_BYTES] for number, start in enumerate(starts)}
    return {"schema": LAYOUT_VERSION, **chunks}


def value_text(entity: Entity) -> str:
    """The text that `value_columns` was given.

    Raises:
        SchemaTooNew: laid out by a newer release.
        CorruptRow: columns are missing or changed.
    """
    columns = entity.columns
    check_layout(entity)
    if isinstance(value := columns.get("value"), str):
        return value
    chunks = [chunk for name, chunk in sorted(columns.items()) if name.startswith("packed")]
    try:
        return zlib.decompress(b"".join(chunk for chunk in chunks if isinstance(chunk, bytes))).decode()
    except (zlib.error, UnicodeDecodeError) as error:
        raise CorruptRow(f"row {entity.row} of {entity.partition}: its value cannot be unpacked ({error})") from error


def check_layout(entity: Entity) -> None:
    """Raises SchemaTooNew or CorruptRow unless this release knows the layout of the row."""
    layout = entity.columns.get("schema")
    if not isinstance(layout, int):
        raise CorruptRow(f"row {entity.row} of {entity.partition} has no `schema`: it was not written by this app")
    if layout > LAYOUT_VERSION:
        raise SchemaTooNew(
            f"row {entity.row} of {entity.partition} has layout {layout}, this release knows {LAYOUT_VERSION}: "
            "deploy the release that wrote it, or a newer one"
        )
