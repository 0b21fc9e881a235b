"""What else signals are for than waking a loop: a listener says which kinds it hears, and hears each at least once."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from shared.domain import Signal
from shared.estate.secrets import SecretReader
from shared.loops.secret_expiry import tell_of_expiry
from shared.people.door import Door


class Listener(Protocol):
    """Somebody who must know of signals of some kinds at once. What it does may be done again."""

    name: str
    kinds: frozenset[str]

    async def hear(self, signal: Signal) -> None:
        """What it raises lets the signal be delivered again."""
        ...


class NewSecretVersions:
    """A new version of a secret of our vault: every process reads it anew."""

    name = "secrets"
    kinds = frozenset({"key_vault.secret_new_version"})

    def __init__(self, secrets: SecretReader) -> None:
        self._secrets = secrets

    async def hear(self, signal: Signal) -> None:
        if secret := _secret_of(signal, self._secrets):
            await self._secrets.announce(secret, f"a new version was announced (event {signal.id})")


class SecretsThatRunOut:
    """A secret of our vault expires soon, or has expired: people hear of it, once a version."""

    name = "secret_expiry"
    kinds = frozenset({"key_vault.secret_near_expiry", "key_vault.secret_expired"})

    def __init__(self, secrets: SecretReader, door: Door, now: Callable[[], datetime]) -> None:
        self._secrets, self._door, self._now = secrets, door, now

    async def hear(self, signal: Signal) -> None:
        if secret := _secret_of(signal, self._secrets):
            version, ends = signal.fields.get("version", ""), signal.fields.get("expires", "")
            over = signal.at if signal.kind == "key_vault.secret_expired" else None
            expires_on = datetime.fromisoformat(ends).astimezone(UTC) if ends else over
            await tell_of_expiry(self._secrets, self._door, secret, version, expires_on, self._now())


def _secret_of(signal: Signal, secrets: SecretReader) -> str:
    """The name of the secret that a signal speaks of, "" if it is none of our vault."""
    ours = signal.fields.get("vault", "").lower() == secrets.vault_name.lower() != ""
    return signal.fields.get("object_name", "") if ours else ""
