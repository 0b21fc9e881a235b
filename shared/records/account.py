"""The app's own storage account, found in the same app settings by which the Functions host finds it."""

from collections.abc import Mapping
from typing import Literal

from shared.records.errors import SettingsMissing
from shared.settings import STORAGE


def endpoint(storage: Mapping[str, str], service: Literal["blob", "table"]) -> str:
    """Where the account of an identity-based connection keeps its blobs or tables.

    Raises:
        SettingsMissing: no setting names an account.
    """
    if uri := storage.get(f"{STORAGE}__{service}ServiceUri"):
        return uri
    if account := storage.get(f"{STORAGE}__accountName"):
        return f"https://{account}.{service}.core.windows.net"
    raise SettingsMissing(
        f"no storage account: set {STORAGE} (a connection string), or {STORAGE}__accountName or "
        f"{STORAGE}__{service}ServiceUri for a managed identity"
    )
