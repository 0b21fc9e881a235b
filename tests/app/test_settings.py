"""App settings: read in one place, wrong ones named all at once, the sample complete."""

import ast
import json
from pathlib import Path

import pytest

from shared.settings import SettingsInvalid, read_settings

ROOT = Path(__file__).parents[2]
GOOD = {"AzureWebJobsStorage": "UseDevelopmentStorage=true", "WATCHKEEPER_POLICY_FILE": "policy.yaml"}


def test_good_settings() -> None:
    settings = read_settings(GOOD | {"WATCHKEEPER_POLICY_MAX_AGE_S": "2.5", "AZURE_CLIENT_ID": "c"})
    assert settings.storage == {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}
    assert (settings.policy_file, settings.policy_blob, settings.policy_max_age_s) == ("policy.yaml", "", 2.5)
    assert settings.identity_client_id == "c"


def test_links_to_this_machine_need_no_encryption() -> None:
    assert read_settings(GOOD | {"WATCHKEEPER_PUBLIC_URL": "http://127.0.0.1:7071/"}).public_url


def test_an_identity_based_connection() -> None:
    settings = read_settings(
        {"AzureWebJobsStorage__accountName": "keeper", "WATCHKEEPER_POLICY_BLOB": "policies/a/policy.yaml"}
    )
    assert settings.storage == {"AzureWebJobsStorage__accountName": "keeper"}
    assert settings.policy_blob == "policies/a/policy.yaml"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"AzureWebJobsStorage": ""}, ["AzureWebJobsStorage is missing", "AzureWebJobsStorage__accountName"]),
        ({"WATCHKEEPER_POLICY_FILE": ""}, ["exactly one of WATCHKEEPER_POLICY_BLOB"]),
        ({"WATCHKEEPER_POLICY_BLOB": "policies/p.yaml"}, ["exactly one of WATCHKEEPER_POLICY_BLOB"]),
        ({"WATCHKEEPER_POLICY_FILE": "", "WATCHKEEPER_POLICY_BLOB": "p.yaml"}, ["'p.yaml'", "container/path"]),
        ({"WATCHKEEPER_POLICY_MAX_AGE_S": "soon"}, ["WATCHKEEPER_POLICY_MAX_AGE_S is 'soon'"]),
        ({"WATCHKEEPER_POLICY_MAX_AGE_S": "-1"}, ["WATCHKEEPER_POLICY_MAX_AGE_S is '-1'"]),
        ({"WATCHKEEPER_POLICY_MAX_AGE_S": "nan"}, ["WATCHKEEPER_POLICY_MAX_AGE_S is 'nan'"]),
        ({"WATCHKEEPER_POLICY_MAX_AGE_S": "inf"}, ["WATCHKEEPER_POLICY_MAX_AGE_S is 'inf'"]),
        ({"WATCHKEEPER_SECRET_MAX_AGE_S": "7200"}, ["WATCHKEEPER_SECRET_MAX_AGE_S is 7200", "3600 or less"]),
        (
            {"WATCHKEEPER_VAULT_URL": "https://kv.vault.azure.net/secrets/x"},
            ["WATCHKEEPER_VAULT_URL", "without a path"],
        ),
        ({"WATCHKEEPER_PUBLIC_URL": "http://keeper.example.com"}, ["WATCHKEEPER_PUBLIC_URL", "starts with https://"]),
        ({"WATCHKEEPER_NOTICE_TOPIC": "http://127.0.0.1.example.com/"}, ["WATCHKEEPER_NOTICE_TOPIC", "https://"]),
        ({"WATCHKEEPER_TABLE_PREFIX": "1-a"}, ["WATCHKEEPER_TABLE_PREFIX is '1-a'", "a letter first"]),
    ],
)
def test_a_wrong_setting_is_named_with_its_remedy(changes: dict[str, str], words: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as error:
        read_settings(GOOD | changes)
    for word in words:
        assert word in str(error.value)


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(SettingsInvalid) as error:
        read_settings({"WATCHKEEPER_POLICY_MAX_AGE_S": "x", "WATCHKEEPER_TABLE_PREFIX": "?"})
    for name in ("AzureWebJobsStorage", "WATCHKEEPER_POLICY_BLOB", "WATCHKEEPER_POLICY_MAX_AGE_S", "TABLE_PREFIX"):
        assert name in str(error.value)


def sample() -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.sample.json").read_text(encoding="utf-8"))["Values"]
    return values


def test_the_sample_can_be_used_as_it_is() -> None:
    settings = read_settings(sample())
    assert (ROOT / settings.policy_file).is_file()


def test_the_sample_lists_every_setting_of_ours() -> None:
    """Names in `shared/settings.py`, in the triggers and in host.json."""
    files = [ROOT / "shared" / "settings.py", *(ROOT / "handlers").glob("*.py")]
    constants = [
        node.value
        for path in files
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    named = {text.strip("%") for text in constants if text.strip("%").isupper() and "WATCHKEEPER_" in text}
    hub = json.loads((ROOT / "host.json").read_text(encoding="utf-8"))["extensions"]["durableTask"]["hubName"]
    ours = {name for name in sample() if name.startswith("WATCHKEEPER_")}
    assert ours == {name for name in named if " " not in name} | {hub.strip("%")}


def test_settings_are_read_in_one_place() -> None:
    """Production code has no other look at the environment, so no switch for tests can hide there."""
    readers = [
        path.relative_to(ROOT).as_posix()
        for folder in ("handlers", "shared")
        for path in (ROOT / folder).rglob("*.py")
        if any(word in path.read_text(encoding="utf-8") for word in ("os.environ", "getenv"))
    ]
    assert readers == ["shared/settings.py"]
