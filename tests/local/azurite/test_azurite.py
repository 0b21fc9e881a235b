"""Azurite starts on ports of its own, serves the real clients, and leaves nothing behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from azure.core.exceptions import ServiceRequestError
from azure.data.tables import TableServiceClient
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient

from local.azurite import Azurite, AzuriteError, installed_script

ROOT = Path(__file__).parents[3]


def ends_within(seconds: float, gone: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if gone():
            return True
        time.sleep(0.05)
    return gone()


def test_serves_blobs_queues_and_tables_to_the_real_clients(azurite: str) -> None:
    with BlobServiceClient.from_connection_string(azurite) as blobs:
        blobs.create_container("proof").upload_blob("a", b"1")
        assert blobs.get_blob_client("proof", "a").download_blob().readall() == b"1"
    with QueueServiceClient.from_connection_string(azurite) as queues:
        queue = queues.create_queue("proof")
        queue.send_message("hello")
        assert [message.content for message in queue.receive_messages()] == ["hello"]
    with TableServiceClient.from_connection_string(azurite) as tables:
        table = tables.create_table("proof")
        table.create_entity({"PartitionKey": "p", "RowKey": "r", "n": 1})
        assert table.get_entity("p", "r")["n"] == 1


async def test_two_run_side_by_side_and_neither_sees_the_others_data(azurite: str) -> None:
    async with Azurite() as other:
        assert other.connection_string != azurite
        with BlobServiceClient.from_connection_string(azurite) as blobs:
            blobs.create_container("mine")
        with BlobServiceClient.from_connection_string(other.connection_string) as blobs:
            assert not blobs.get_container_client("mine").exists()


def test_a_given_folder_keeps_the_data_over_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "storage"
    with Azurite(folder) as first, BlobServiceClient.from_connection_string(first.connection_string) as blobs:
        blobs.create_container("kept").upload_blob("a", b"1")
    with Azurite(folder) as second, BlobServiceClient.from_connection_string(second.connection_string) as blobs:
        assert blobs.get_blob_client("kept", "a").download_blob().readall() == b"1"


def test_stop_ends_the_process_and_removes_the_temporary_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    running = Azurite()
    connection_string = running.start()
    assert list(tmp_path.iterdir())
    running.stop()
    running.stop()
    assert not list(tmp_path.iterdir())
    with (
        BlobServiceClient.from_connection_string(connection_string, retry_total=0) as blobs,
        pytest.raises(ServiceRequestError),
    ):
        blobs.get_service_properties()
    with pytest.raises(AzuriteError, match=r"start\(\)"):
        _ = running.connection_string


def test_azurite_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    program = (
        "import time\nfrom local.azurite import Azurite\nrunning = Azurite()\nrunning.start()\n"
        "print(running._process.pid, flush=True)\ntime.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    parent = subprocess.Popen(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent.stdout:
        azurite_pid = int(parent.stdout.readline())
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()

    def gone() -> bool:
        # The orphan may stay behind as a zombie where nobody reaps it; a zombie has no command line.
        command_line = Path(f"/proc/{azurite_pid}/cmdline")
        try:
            return not command_line.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return True

    assert ends_within(15, gone)


def test_without_node_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AzuriteError, match=r"`node` is not on the PATH.*nodejs\.org"):
        Azurite().start()


def test_a_failing_start_tells_azurites_own_words(tmp_path: Path) -> None:
    occupied = tmp_path / "a-file"
    occupied.mkdir()
    (occupied / "__azurite_db_blob__.json").mkdir()
    with pytest.raises(AzuriteError, match=r"(?s)ended with code.*last words.*EISDIR"):
        Azurite(occupied).start()


def test_a_missing_installation_is_installed_once_and_a_failure_of_npm_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    npm = programs / "npm"
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"azurite": "3.37.0"}}))
    (tmp_path / "package-lock.json").write_text("{}")
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")

    npm.write_text("#!/bin/sh\necho 'npm error: registry unreachable' >&2\nexit 7\n")
    npm.chmod(0o755)
    with pytest.raises(AzuriteError, match=r"(?s)failed with code 7.*registry unreachable"):
        installed_script(tmp_path)

    inventory = {"packages": {"node_modules/azurite": {"version": "3.37.0"}}}
    npm.write_text(
        "#!/bin/sh\necho once >> calls\nmkdir -p node_modules\n"
        f"cat > node_modules/.package-lock.json <<'END'\n{json.dumps(inventory)}\nEND\n"
    )
    installed_script(tmp_path)
    installed_script(tmp_path)
    assert (tmp_path / "calls").read_text() == "once\n"
    assert "Installing Azurite 3.37.0" in capfd.readouterr().err
