"""What is deployed: the app with what it needs, and nothing of the machine that it was built on."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def listed(*options: str) -> set[str]:
    done = subprocess.run(["git", "ls-files", *options], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no git checkout, so nobody can tell what would be deployed: {done.stderr.strip()}")
    return set(done.stdout.splitlines())


def deployed() -> set[str]:
    """The files under version control that .funcignore, which has the syntax of .gitignore, leaves in."""
    return listed() - listed("--cached", "--ignored", "--exclude-from=.funcignore")


def tops(files: Iterable[str]) -> set[str]:
    return {name.partition("/")[0] for name in files}


def test_the_app_is_deployed_whole() -> None:
    files = deployed()
    assert {"function_app.py", "host.json", "requirements.txt"} <= files
    for folder in ("handlers", "shared"):
        sources = {name for name in listed(folder) if name.endswith(".py")}
        assert sources, folder
        assert sources <= files


def test_nothing_else_is() -> None:
    papers = {"README.md", "CHANGELOG.md", "LICENSE", "pyproject.toml", ".funcignore"}
    assert tops(deployed()) - papers == {"function_app.py", "host.json", "requirements.txt", "handlers", "shared"}


@pytest.mark.parametrize(
    "name",
    [
        ".venv/bin/python",
        ".local/azurite/db.json",
        ".mypy_cache/x",
        ".pytest_cache/x",
        ".ruff_cache/x",
        ".import_linter_cache/x",
        ".hypothesis/x",
        "local.settings.json",
        "local/node_modules/azurite/package.json",
        "shared/__pycache__/services.cpython-313.pyc",
    ],
)
def test_what_lies_about_on_a_developer_s_machine_stays_there(name: str, tmp_path: Path) -> None:
    """In a checkout of its own, because this one's .gitignore would hide what .funcignore forgets."""
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    shutil.copy(ROOT / ".funcignore", tmp_path / ".gitignore")
    done = subprocess.run(["git", "check-ignore", "-q", name], cwd=tmp_path, check=False)
    assert done.returncode == 0, f"{name} would be deployed"
