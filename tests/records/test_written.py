"""A reader of every version ever written, of everything that is stored."""

import importlib
import pkgutil
from pathlib import Path
from typing import Any

import pytest

import shared.records
from shared.records import codec
from shared.records.codec import Codec


def every_codec() -> dict[str, Codec[Any]]:
    """Of all modules that store something, by the name of the type."""
    names = [module.name for module in pkgutil.walk_packages(shared.records.__path__, "shared.records.")]
    modules = [importlib.import_module(name) for name in names]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Codec)]
    return {one.name: one for one in [*found, *codec._CODECS.values()]}


CODECS = every_codec()
WRITTEN = sorted((Path(__file__).parent / "written").glob("*.json"))


def test_a_text_of_every_version_of_every_stored_type_is_kept() -> None:
    versions = {(name, version) for name, one in CODECS.items() for version in range(1, one.version + 1)}
    kept = {(path.name.split(".")[0], int(path.name.split(".")[1])) for path in WRITTEN}
    assert kept == versions


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: path.stem)
def test_what_was_ever_written_is_read_and_a_changed_type_has_a_new_version(path: Path) -> None:
    """`written/<Type>.<version>.json` are texts as that version wrote them.

    If this fails, a stored type was changed: raise its version and add the upgrade where its Codec is made, and keep a
    text of the new version here. Only a version that was never deployed anywhere may be rewritten instead.
    """
    name, version, _ = path.name.split(".")
    text = path.read_text(encoding="utf-8").strip()
    one = CODECS[name]
    value = one.decode(text)
    assert one.decode(one.encode(value)) == value
    if int(version) == one.version:
        assert one.encode(value) == text
