"""Key vaults with their secrets: every version of each, what is enabled, active and expired, and what was deleted."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.cloud.estate.resources import Resource


@dataclass(eq=False, slots=True, kw_only=True)
class SecretVersion:
    """One version. `not_before` and `expires_on` are for the reader to respect: the vault hands it out all the same."""

    id: str
    value: str
    created: datetime
    updated: datetime
    enabled: bool = True
    not_before: datetime | None = None
    expires_on: datetime | None = None


@dataclass(eq=False, kw_only=True)
class Vault(Resource):
    """Secrets by lower-cased name, each as its versions, the oldest first. `deleted` are the soft-deleted ones."""

    secrets: dict[str, list[SecretVersion]] = field(default_factory=dict)
    deleted: dict[str, list[SecretVersion]] = field(default_factory=dict)

    def set(
        self,
        name: str,
        value: str,
        at: datetime,
        *,
        enabled: bool = True,
        not_before: datetime | None = None,
        expires_on: datetime | None = None,
    ) -> SecretVersion:
        """A new version.

        Raises:
            ValueError: the name belongs to a secret that was deleted and not purged (409 in Azure).
        """
        if name.lower() in self.deleted:
            raise ValueError(f"secret {name} of vault {self.name} is deleted but recoverable: recover or purge it")
        version = SecretVersion(
            id=uuid.uuid4().hex,
            value=value,
            created=at,
            updated=at,
            enabled=enabled,
            not_before=not_before,
            expires_on=expires_on,
        )
        self.secrets.setdefault(name.lower(), []).append(version)
        return version

    def change(self, name: str, version: str, at: datetime, **attributes: Any) -> None:
        """Attributes (enabled, not_before, expires_on) of one version; "" is the newest.

        Raises:
            KeyError: there is no such secret or version.
            ValueError: there is no such attribute.
        """
        if unknown := set(attributes) - {"enabled", "not_before", "expires_on"}:
            raise ValueError(f"unknown attributes: {', '.join(sorted(unknown))}")
        versions = self.secrets[name.lower()]
        found = next((one for one in reversed(versions) if version in ("", one.id)), None)
        if found is None:
            raise KeyError(version)
        found.updated = at
        for attribute, value in attributes.items():
            setattr(found, attribute, value)

    def delete(self, name: str) -> None:
        """Soft-delete. Raises: KeyError if there is no such secret."""
        self.deleted[name.lower()] = self.secrets.pop(name.lower())

    def recover(self, name: str) -> None:
        """Raises: KeyError if no such secret was deleted."""
        self.secrets[name.lower()] = self.deleted.pop(name.lower())
