"""`python -m shared.signals`: what payloads become, without an Azure package."""

import io
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from shared.signals.__main__ import main
from tests.signals.test_kinds import REPOSITORY
from tests.signals.test_payloads import ACTIVE_MESSAGES


def test_each_payload_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "events.json"
    file.write_text(json.dumps([ACTIVE_MESSAGES, {"what": 1}, ACTIVE_MESSAGES | {"eventType": "Contoso.Thing"}]))
    assert main([str(file)]) == 1
    first, second, third = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["file"], first["index"], first["known"]) == (str(file), 0, True)
    assert (first["signal"]["kind"], first["signal"]["at"][:10]) == ("servicebus.active_messages", "2026-03-02")
    assert (second["index"], "neither an Event Grid event" in second["reason"]) == (1, True)
    assert (third["index"], third["known"], third["signal"]["kind"]) == (2, False, "Contoso.Thing")


def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_text(json.dumps(ACTIVE_MESSAGES))
    bad.write_bytes(b"\xff{")
    assert main([str(good)]) == 0
    assert main([str(bad), str(good)]) == 1
    assert main([str(good), str(tmp_path), str(tmp_path / "none.json"), "\0"]) == 2
    told = capsys.readouterr()
    assert "Traceback" not in told.err
    assert len(told.err.splitlines()) == 3
    assert "not JSON" in told.out


@pytest.mark.parametrize("arguments", [[], ["--docs", "file"], ["--what"]])
def test_wrong_usage(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2


def test_the_input_is_read(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    body = io.BytesIO(json.dumps(ACTIVE_MESSAGES).encode())
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=body))
    assert main(["-"]) == 0
    assert json.loads(capsys.readouterr().out)["file"] == "-"


def test_it_imports_the_standard_library_only() -> None:
    program = (
        "import sys, shared.signals.__main__ as command, shared.signals.registry as registry; registry.kinds()\n"
        "print([name for name in ('azure', 'pydantic', 'aiohttp', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
