"""Where settings come from, and how bindings refer to them."""

import json
import os
from pathlib import Path

import pytest

from local.host.errors import HostStartError
from local.host.settings import (
    UnresolvedSettingError,
    find_connection,
    in_environment,
    load_settings,
    references,
    resolve,
)
from tests.local.host.rule import rule


def write(folder: Path, document: object) -> Path:
    (folder / "local.settings.json").write_text(json.dumps(document), encoding="utf-8")
    return folder


def test_environment_then_file_and_given_settings_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONE", "environment")
    monkeypatch.setenv("TWO", "environment")
    folder = write(tmp_path, {"Values": {"ONE": "file", "TWO": "file", "THREE": "file"}})
    settings = load_settings(folder, {"TWO": "given"})
    assert [settings[name] for name in ("ONE", "TWO", "THREE")] == ["environment", "given", "file"]


@rule("limits.setting_names")
@pytest.mark.parametrize("name", ["a.b", "a:b", "a-b", "1a", ""])
def test_names_that_azure_on_linux_refuses(tmp_path: Path, name: str) -> None:
    with pytest.raises(HostStartError, match="does not accept"):
        load_settings(write(tmp_path, {"Values": {name: "x"}}))
    with pytest.raises(HostStartError, match="does not accept"):
        load_settings(tmp_path / "none", {name: "x"})


@pytest.mark.parametrize(
    ("document", "words"),
    [([], "JSON object"), ({"IsEncrypted": True}, "encrypted"), ({"Values": {"A": 1}}, "Values.A")],
)
def test_a_file_that_is_wrong(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(HostStartError, match=words):
        load_settings(write(tmp_path, document))


def test_settings_are_the_environment_only_meanwhile() -> None:
    with in_environment({"OF_THE_APP": "1"}):
        assert os.environ["OF_THE_APP"] == "1"
        os.environ["MADE_BY_THE_APP"] = "1"
    assert "OF_THE_APP" not in os.environ
    assert "MADE_BY_THE_APP" not in os.environ


def test_references_are_found_and_resolved_at_any_depth() -> None:
    binding = {"a": "%X%-%Y%", "b": [{"c": "%Z%"}], "d": 1, "e": "100 %"}
    assert references(binding) == {"X", "Y", "Z"}
    assert resolve(binding, {"X": "1", "Y": "2", "Z": "3"}) == {"a": "1-2", "b": [{"c": "3"}], "d": 1, "e": "100 %"}
    with pytest.raises(UnresolvedSettingError, match="'%Z%' does not resolve"):
        resolve(binding, {"X": "1", "Y": "2"})


@rule("life.connections", "limits.setting_names")
def test_connections() -> None:
    assert find_connection("C", {"C": "plain", "AzureWebJobsC": "prefixed"}) == "prefixed"
    assert find_connection("C", {"C": "plain", "C__fullyQualifiedNamespace": "n"}) == "plain"
    suffixes = {"C__fullyQualifiedNamespace": "n", "C__credential": "managedidentity", "Cx__other": "no"}
    assert find_connection("C", suffixes) == {"fullyQualifiedNamespace": "n", "credential": "managedidentity"}
    with pytest.raises(UnresolvedSettingError, match="'C' does not exist"):
        find_connection("C", {"C": "", "D": "x"})
