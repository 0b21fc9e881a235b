"""Secrets that run out: people hear of it once a version, whether the vault's event or our own look finds it first."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from shared.domain import Notice, entry_id
from shared.estate.secrets import SecretFailure, SecretReader, VaultUnreachable
from shared.people.door import Door

NEAR = timedelta(days=30)
"""As early as Key Vault's own event."""

USED_WITHIN = timedelta(days=30)
"""A secret that was not used for so long is not ours to worry about any more."""


async def look_at_expiry(secrets: SecretReader, door: Door, now: datetime) -> Sequence[str]:
    """Look at every secret that any process used lately; a sentence for each that runs out or cannot be used."""
    found = []
    for use in await secrets.uses.since(secrets.vault_name, now - USED_WITHIN):
        try:
            secret = await secrets.peek(use.name)
        except VaultUnreachable as failure:  # says nothing of the secret
            found.append(str(failure))
        except SecretFailure as failure:
            found.append(str(failure))
            await _tell(secrets, door, unusable_notice(secrets.vault_name, use.name, str(failure), now), now)
        else:
            if secret.expires_on is not None and secret.expires_on - now <= NEAR:
                notice = expiry_notice(secrets.vault_name, use.name, secret.version, secret.expires_on, now)
                found.append(notice.subject)
                await _tell(secrets, door, notice, now)
            elif use.told:
                await secrets.uses.tell(secrets.vault_name, use.name, "", now)
    return found


async def tell_of_expiry(
    secrets: SecretReader, door: Door, name: str, version: str, expires_on: datetime | None, now: datetime
) -> None:
    """What an event of the vault says of a version: it runs out, or has."""
    await _tell(secrets, door, expiry_notice(secrets.vault_name, name, version, expires_on, now), now)


def expiry_notice(vault: str, name: str, version: str, expires_on: datetime | None, now: datetime) -> Notice:
    """`expires_on` None: the event did not say when."""
    over = expires_on is not None and expires_on <= now
    when = "soon" if expires_on is None else f"{'at' if over else 'on'} {expires_on:%Y-%m-%d %H:%M} UTC"
    verb = "expired" if over else "expires"
    return _notice(
        "expired" if over else "near-expiry",
        vault,
        name,
        version,
        now,
        critical=over,
        subject=f"Secret {name} of vault {vault} {verb} {when}",
        text=(
            f"Version {version} of the secret {name!r} {verb} {when}. "
            "Put a new version into the vault: it is picked up by itself within minutes."
        ),
    )


def unusable_notice(vault: str, name: str, why: str, now: datetime) -> Notice:
    subject = f"Secret {name} of vault {vault} cannot be used"
    return _notice("unusable", vault, name, "", now, critical=True, subject=subject, text=f"{why}.")


def _notice(
    what: str, vault: str, name: str, version: str, now: datetime, *, critical: bool, subject: str, text: str
) -> Notice:
    vault, name = vault.lower(), name.lower()
    facts = {"vault": vault, "secret": name, "version": version}
    return Notice(
        id=entry_id(now, f"secret-{what}-{vault}-{name}-{version}"),
        kind="secret_near_expiry",
        severity="critical" if critical else "warning",
        at=now,
        subject=subject,
        text=text,
        facts={label: value for label, value in facts.items() if value},
    )


async def _tell(secrets: SecretReader, door: Door, notice: Notice, now: datetime) -> None:
    """Once for what is the matter now, on whatever day it was first seen; a crash in between tells it twice."""
    name, matter = notice.facts["secret"], notice.id.partition("T-secret-")[2]
    if await secrets.uses.told(secrets.vault_name, name) == matter:
        return
    await door.tell(notice)
    await secrets.uses.tell(secrets.vault_name, name, matter, now)
