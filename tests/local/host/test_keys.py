"""Key files."""

import json
from pathlib import Path

import pytest

from local.host.errors import HostStartError
from local.host.keys import DURABLE_KEY, EVENT_GRID_KEY, Keys


def test_what_is_absent_is_generated(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"host": {"ops": "o"}, "system": {EVENT_GRID_KEY: "e"}}), encoding="utf-8")
    keys = Keys.load(path)
    assert (keys.host, keys.system[EVENT_GRID_KEY]) == ({"ops": "o"}, "e")
    assert len(keys.master) > 40
    assert len(keys.system[DURABLE_KEY]) > 40
    assert Keys.load(path).master != keys.master


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"masterKey": "x"}',
        '{"master": ""}',
        '{"host": ["x"]}',
        '{"functions": {"f": {"k": 1}}}',
        '{"functions": []}',
    ],
)
def test_bad_files_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HostStartError, match=r"keys\.json"):
        Keys.load(path)


def test_nothing_opens_without_a_key_but_anonymous_doors() -> None:
    keys = Keys()
    assert keys.opens(None, "anonymous")
    assert not any(keys.opens(given, level) for given in (None, "", "ä") for level in ("function", "admin", "system"))
