"""Every assumption is a live switch, and has a test in this folder that shows all its values to a real client."""

import re
from pathlib import Path

import pytest

from local.cloud import Cloud
from shared.assumptions import BY_NAME


def test_every_assumption_has_a_test_here() -> None:
    files = Path(__file__).parent.glob("test_*.py")
    tested = {name for file in files for name in re.findall(r"def test_(\w+)\(", file.read_text())}
    # The local host's are in tests/local/durable, tests/virtual/test_upkeep.py and test_intake.py, those of App Service
    # in tests/virtual/test_approval_callers.py.
    elsewhere = ("durable.", "host.", "auth.")
    of_azure = [name for name in BY_NAME if not name.startswith(elsewhere)]
    missing = [name for name in of_azure if name.replace(".", "_") not in tested]
    assert not missing


def test_an_unknown_value_is_refused_with_the_known_ones(cloud: Cloud) -> None:
    with pytest.raises(ValueError, match="accepted, conflict"):
        cloud.assumptions["endpoint.traffic_put_during_update"] = "perhaps"
