"""The one place that reads app settings: validated at start, with all errors at once.

Locally and in Azure the same settings are read; only their values differ. `local.settings.sample.json` lists them.
"""

import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

STORAGE = "AzureWebJobsStorage"

_BLOB, _FOLDER = r"[a-z0-9-]{3,63}/.+", r"[a-z0-9-]{3,63}(/.*)?"
LONGEST_SECRET_AGE_S = 3600.0


class SettingsInvalid(ValueError):
    """One or more app settings are missing or wrong; the message lists them all, each with its remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What the app needs to know of its surroundings; secrets are never among it, but for Azurite's well-known key.

    `storage` holds the settings of the app's own storage account (connection string, or the suffixes of an
    identity-based connection). Exactly one of `policy_blob` ("container/path") and `policy_file` is set;
    `policy_projects` is where the projects' documents lie, "container/prefix" or a folder accordingly ("": none).
    What is "" among the rest is not used: `public_url` is where links in notices lead, `vault_url` the Key Vault,
    `notice_topic` the endpoint of an Event Grid custom topic, `mail_endpoint` and `mail_sender` those of Azure
    Communication Services. `platform_auth`: App Service signs callers in ("Easy Auth") and vouches for the header that
    names them. `signals_namespace` is the Service Bus connection of the signals (a connection string, or
    the fully qualified name for the identity).

    A secret is kept for `secret_max_age_s`, and `secret_stale_s` longer while the vault cannot be reached; caches look
    every `generation_check_s` whether another process says that they are out of date.
    After `quarantine_max_age_s`, malformed input that nobody has dealt with is an alarm.
    """

    storage: Mapping[str, str]
    policy_blob: str = ""
    policy_file: str = ""
    policy_projects: str = ""
    policy_max_age_s: float = 15.0
    public_url: str = ""
    vault_url: str = ""
    secret_max_age_s: float = 1800.0
    secret_stale_s: float = 14400.0
    generation_check_s: float = 5.0
    notice_topic: str = ""
    mail_endpoint: str = ""
    mail_sender: str = ""
    signals_queue: str = ""
    signals_namespace: str = ""
    quarantine_max_age_s: float = 14400.0
    table_prefix: str = ""
    identity_client_id: str = ""
    identity_endpoint: str = ""
    platform_auth: bool = False


# Links carry a vote, and topics and mail get our token: none of it goes over the network in the open.
_SECURE_URL = r"(https://[^/\s]+|http://(localhost|127\.0\.0\.1)(:\d+)?)(/.*)?"


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
        policy_projects=environment.get("WATCHKEEPER_POLICY_PROJECTS", ""),
        policy_max_age_s=_seconds(environment, "WATCHKEEPER_POLICY_MAX_AGE_S", 15.0, problems),
        public_url=environment.get("WATCHKEEPER_PUBLIC_URL", "").rstrip("/"),
        vault_url=environment.get("WATCHKEEPER_VAULT_URL", "").rstrip("/"),
        secret_max_age_s=_seconds(environment, "WATCHKEEPER_SECRET_MAX_AGE_S", 1800.0, problems),
        secret_stale_s=_seconds(environment, "WATCHKEEPER_SECRET_STALE_S", 14400.0, problems),
        generation_check_s=_seconds(environment, "WATCHKEEPER_GENERATION_CHECK_S", 5.0, problems),
        notice_topic=environment.get("WATCHKEEPER_NOTICE_TOPIC", ""),
        mail_endpoint=environment.get("WATCHKEEPER_MAIL_ENDPOINT", ""),
        mail_sender=environment.get("WATCHKEEPER_MAIL_SENDER", ""),
        signals_queue=environment.get("WATCHKEEPER_SIGNALS_QUEUE", ""),
        signals_namespace=environment.get("WATCHKEEPER_SIGNALS", "")
        or environment.get("WATCHKEEPER_SIGNALS__fullyQualifiedNamespace", ""),
        quarantine_max_age_s=_seconds(environment, "WATCHKEEPER_QUARANTINE_MAX_AGE_S", 14400.0, problems),
        table_prefix=environment.get("WATCHKEEPER_TABLE_PREFIX", ""),
        identity_client_id=environment.get("AZURE_CLIENT_ID", ""),
        identity_endpoint=environment.get("IDENTITY_ENDPOINT", ""),
        platform_auth=signs_callers_in(environment),
    )
    problems += _problems(settings)
    if problems:
        raise SettingsInvalid("App settings: " + "; ".join(problems))
    return settings


def signs_callers_in(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether App Service signs callers in, and so vouches for the headers that name them."""
    return environment.get("WEBSITE_AUTH_ENABLED", "").lower() == "true"


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
    problems += _wrong_places(settings)
    for name, url in (
        ("WATCHKEEPER_PUBLIC_URL", settings.public_url),
        ("WATCHKEEPER_VAULT_URL", settings.vault_url),
        ("WATCHKEEPER_NOTICE_TOPIC", settings.notice_topic),
        ("WATCHKEEPER_MAIL_ENDPOINT", settings.mail_endpoint),
    ):
        if url and not re.fullmatch(_SECURE_URL, url):
            problems.append(f"{name} is {url!r}: write a URL that starts with https:// (http:// on this machine alone)")
    if settings.vault_url and not re.fullmatch(r"https://[^/\s]+", settings.vault_url):
        problems.append("WATCHKEEPER_VAULT_URL: write https://NAME.vault.azure.net, without a path")
    if settings.secret_max_age_s > LONGEST_SECRET_AGE_S:
        problems.append(
            f"WATCHKEEPER_SECRET_MAX_AGE_S is {settings.secret_max_age_s:g}: a secret is kept for an hour at most, "
            f"write {LONGEST_SECRET_AGE_S:g} or less"
        )
    if bool(settings.mail_endpoint) != bool(settings.mail_sender):
        problems.append("set both of WATCHKEEPER_MAIL_ENDPOINT and WATCHKEEPER_MAIL_SENDER, or none")
    if settings.table_prefix and not re.fullmatch(r"[A-Za-z][A-Za-z0-9]{0,20}", settings.table_prefix):
        problems.append(
            f"WATCHKEEPER_TABLE_PREFIX is {settings.table_prefix!r}: write letters and digits, a letter first"
        )
    return problems


def _wrong_places(settings: Settings) -> list[str]:
    """Blobs that are not named as `container/path`."""
    if not settings.policy_blob:
        return []
    places = (
        ("WATCHKEEPER_POLICY_BLOB", settings.policy_blob, _BLOB, "container/path, like policies/policy.yaml"),
        ("WATCHKEEPER_POLICY_PROJECTS", settings.policy_projects, _FOLDER, "container/prefix, like policies/projects"),
    )
    return [
        f"{name} is {value!r}: write {example}"
        for name, value, form, example in places
        if value and not re.fullmatch(form, value)
    ]
