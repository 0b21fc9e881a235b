"""What a killed run has left of temporary folders is removed by the next."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from local.leftovers import temporary_folder


def test_folders_of_processes_that_are_gone_are_removed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine = temporary_folder("azurite")
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    (left := tmp_path / f"azurite-{gone.pid}-abc").mkdir()
    (left / "file").write_text("x")
    others = [tmp_path / f"other-{gone.pid}-abc", tmp_path / "azurite-kept", tmp_path / "azurite-1-abc"]
    for folder in others:
        folder.mkdir()
    second = temporary_folder("azurite")
    assert not left.exists()
    assert all(folder.is_dir() for folder in (mine, second, *others))
