"""The one place that reads app settings: validated at start, with all errors at once.

Locally and in Azure the same settings are read; only their values differ. `local.settings.sample.json` lists them.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

STORAGE = "AzureWebJobsStorage"


class SettingsInvalid(ValueError):
    """One or more app settings are missing or wrong; the message lists them all, each with its remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app needs to know of its surroundings; secrets are never among it, but for Azurite's well-known key.

    `storage` holds the settings of the app's own storage account (connection string, or the suffixes of an
    identity-based connection). Exactly one of `policy_blob` ("container/path") and `policy_file` is set.
    """

    storage: Mapping[str, str]
    policy_blob: str = ""
    policy_file: str = ""
    policy_max_age_s: float = 15.0
    table_prefix: str = ""
    identity_client_id: str = ""
    identity_endpoint: str = ""


def read_settings(environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process.

    Raises:
        SettingsInvalid: naming every setting that is missing or wrong, and what to put there.
    """
    problems: list[str] = []
    settings = Settings(
        storage={name: value for name, value in environment.items() if name.startswith(STORAGE) and value},
        policy_blob=environment.get("WATCHKEEPER_POLICY_BLOB", ""),
        policy_file=environment.get("WATCHKEEPER_POLICY_FILE", ""),
        policy_max_age_s=_seconds(environment, "WATCHKEEPER_POLICY_MAX_AGE_S", 15.0, problems),
        table_prefix=environment.get("WATCHKEEPER_TABLE_PREFIX", ""),
        identity_client_id=environment.get("AZURE_CLIENT_ID", ""),
        identity_endpoint=environment.get("IDENTITY_ENDPOINT", ""),
    )
    problems += _problems(settings)
    if problems:
        raise SettingsInvalid("App settings: " + "; ".join(problems))
    return settings


def _seconds(environment: Mapping[str, str], name: str, default: float, problems: list[str]) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        value = -1.0
    if not (math.isfinite(value) and value >= 0):
        problems.append(f"{name} is {text!r}: write a number of seconds, 0 or more")
    return value


def _problems(settings: Settings) -> list[str]:
    problems = []
    if not settings.storage:
        problems.append(f"{STORAGE} is missing: write a connection string, or {STORAGE}__accountName for identity")
    if bool(settings.policy_blob) == bool(settings.policy_file):
        problems.append(
            "set exactly one of WATCHKEEPER_POLICY_BLOB (container/path, in the app's storage account) and "
            "WATCHKEEPER_POLICY_FILE (a path, for development)"
        )
    if settings.policy_blob and not re.fullmatch(r"[a-z0-9-]{3,63}/.+", settings.policy_blob):
        problems.append(
            f"WATCHKEEPER_POLICY_BLOB is {settings.policy_blob!r}: write container/path, like policies/policy.yaml"
        )
    if settings.table_prefix and not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,20}", settings.table_prefix):
        problems.append(
            f"WATCHKEEPER_TABLE_PREFIX is {settings.table_prefix!r}: write letters and digits, a letter first"
        )
    return problems
