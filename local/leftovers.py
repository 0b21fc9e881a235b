"""Temporary folders that a process names with its id, so that the next one removes what a killed one has left."""

import os
import re
import shutil
import tempfile
from pathlib import Path


def temporary_folder(name: str) -> Path:
    """A new folder `NAME-PID-...`; those of the same name whose process is gone are removed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{name}-*"):
        found = re.fullmatch(rf"{re.escape(name)}-(\d+)-\w+", folder.name)
        if found is not None and not _runs(int(found[1])):
            shutil.rmtree(folder, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"{name}-{os.getpid()}-"))


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):  # somebody else's, or no process of ours
        return True
    return True
