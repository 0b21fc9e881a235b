"""The secrets that we use, from Key Vault, kept in this process's memory and nowhere else.

A value is kept for `ttl_s` at most. It is read anew before that when its generation moved (a new version was
announced, an operator dropped it), when it expired, or when a caller was refused with it (`refetch`). While the vault
cannot be reached, the last value is used for `stale_s` beyond, and says so.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from shared.estate.cache import Cached
from shared.estate.secret_failures import NoVault, SecretFailure, SecretUnusable, VaultUnreachable
from shared.estate.vault import Secret, Vault
from shared.records.generations import GenerationWatch
from shared.records.secret_uses import SecretUses

__all__ = ["Secret", "SecretFailure", "SecretReader", "SecretState", "VaultUnreachable"]

log = logging.getLogger("watchkeeper")

REFETCH_EVERY_S = 30.0
"""A storm of callers that are refused with one secret asks the vault for it once in this time."""

EVERYTHING = "cache:secrets"
"""The generation by which operators drop all secrets, the last known good ones too."""

NEWEST = 0  # of a key (name, number of versions): the newest version alone, whatever versions there are
type Key = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretState:
    """What this process knows of a secret, without its value. `error` is of the last load, "" if it succeeded."""

    name: str
    versions: tuple[str, ...] = ()
    fetched_at: datetime | None = None
    expires_on: datetime | None = None
    error: str = ""
    failed_at: datetime | None = None


class SecretReader:
    """One per process. `vault` None: the app has none, and every question is answered with `NoVault`."""

    def __init__(
        self,
        vault: Vault | None,
        watch: GenerationWatch,
        uses: SecretUses,
        now: Callable[[], datetime],
        *,
        ttl_s: float,
        stale_s: float,
    ) -> None:
        self._vault = vault
        self._watch = watch
        self.uses = uses
        self._now = now
        self._last_use_s = ttl_s + stale_s
        self._cached: Cached[Key, tuple[Secret, ...]] = Cached(self._load, ttl_s, now, SecretFailure)
        self._last_good: dict[Key, tuple[Secret, ...]] = {}
        self._states: dict[str, SecretState] = {}
        self._refetched_at: dict[str, datetime] = {}
        self._used_on: dict[str, date] = {}
        watch.on_change("secret:", self._forget_generation)
        watch.on_change(EVERYTHING, self._forget_generation)

    @property
    def vault_name(self) -> str:
        """ "" if there is no vault."""
        return self._vault.name if self._vault else ""

    async def close(self) -> None:
        if self._vault is not None:
            await self._vault.close()

    async def get(self, name: str) -> Secret:
        """The newest version of a secret of the app's vault.

        Raises:
            SecretFailure: it cannot be had or must not be used; says what to do.
        """
        secret = await self.peek(name)
        await self._note_use(name)
        return secret

    async def peek(self, name: str) -> Secret:
        """Like `get`, for whoever looks after secrets: it is no use of it."""
        return (await self._secrets((name, NEWEST)))[0]

    async def versions(self, name: str, newest: int = 2) -> tuple[Secret, ...]:
        """The newest versions that may be used now, the newest first: sign with the first, verify with any.

        Raises:
            SecretFailure: there is none.
        """
        if newest < 1:
            raise ValueError(f"newest is {newest}: ask for one version or more")
        secrets = await self._secrets((name, newest))
        await self._note_use(name)
        return secrets

    async def refetch(self, name: str, because: str) -> Secret:
        """Like `get`, for a caller that was refused with the value it has: read from the vault now.

        Not more often than every `REFETCH_EVERY_S`; in between the answer is what was read last, and a caller that has
        this version already knows that it does not help. Other processes hear of a version that is new. `because` is
        logged and kept: never the words of a client that may repeat the value.
        """
        now = self._now()
        last = self._refetched_at.get(name)
        if last is not None and timedelta(0) <= now - last < timedelta(seconds=REFETCH_EVERY_S):
            return await self.get(name)
        self._refetched_at[name] = now
        before = self._states.get(name)
        log.info("secret %s is read anew: %s", name, because)
        self._cached.forget(lambda key: key[0] == name)
        found = await self.get(name)
        if before is not None and found.version not in before.versions:
            why = f"a caller was refused with an older version: {because}"
            await self._watch.tell_others(self.generation_of(name), why)
        return found

    async def announce(self, name: str, why: str, by: str = "") -> None:
        """Tell every process, this one too, that a secret changed."""
        await self._watch.bump(self.generation_of(name), why, by=by)

    def generation_of(self, name: str) -> str:
        """The name of a secret's generation. The vault's names know no letter case."""
        return f"secret:{self.vault_name}/{name}".lower()

    def states(self) -> tuple[SecretState, ...]:
        """What this process has asked for, by name."""
        return tuple(self._states[name] for name in sorted(self._states))

    async def _secrets(self, key: Key) -> tuple[Secret, ...]:
        name = key[0]
        if self._vault is None:
            raise NoVault(name)
        await self._watch.check()
        if usable := self._unexpired(await self._ask(key)):
            return usable
        self._cached.forget(lambda kept: kept == key)  # it ran out while it was kept: there may be a newer version
        if usable := self._unexpired(await self._ask(key)):
            return usable
        raise SecretUnusable(f"secret {name!r} of vault {self._vault.name} has expired. To do: create a new version")

    async def _ask(self, key: Key) -> tuple[Secret, ...]:
        try:
            return (await self._cached.get(key))[1]
        except VaultUnreachable as failure:
            last = self._last_good.get(key, ())
            age = self._now() - min((secret.fetched_at for secret in last), default=self._now())
            if not last or age > timedelta(seconds=self._last_use_s):
                raise
            return tuple(replace(secret, stale_because=str(failure)) for secret in last)

    async def _load(self, key: Key) -> tuple[Secret, ...]:
        name, number = key
        assert self._vault is not None
        try:
            if number == NEWEST:
                secrets: tuple[Secret, ...] = (await self._vault.newest(name),)
            else:
                secrets = await self._vault.versions(name, number)
        except SecretFailure as failure:
            self._note_failure(key, failure)
            raise
        self._last_good[key] = secrets
        self._states[name] = SecretState(
            name=name,
            versions=tuple(secret.version for secret in secrets),
            fetched_at=secrets[0].fetched_at,
            expires_on=secrets[0].expires_on,
        )
        return secrets

    def _note_failure(self, key: Key, failure: SecretFailure) -> None:
        name = key[0]
        if not isinstance(
            failure, VaultUnreachable
        ):  # the vault said no: what it gave before is not to be used any more
            self._last_good = {known: good for known, good in self._last_good.items() if known[0] != name}
        known = self._states.get(name, SecretState(name=name))
        self._states[name] = replace(known, error=str(failure), failed_at=self._now())
        used = "the last one is used meanwhile" if key in self._last_good else "there is none to use"
        log.warning("%s; %s", failure, used)

    def _unexpired(self, secrets: tuple[Secret, ...]) -> tuple[Secret, ...]:
        now = self._now()
        return tuple(secret for secret in secrets if secret.expires_on is None or now < secret.expires_on)

    def _forget_generation(self, generation: str) -> None:
        if generation == EVERYTHING:
            self._cached.forget()
            self._last_good.clear()
        else:
            self._cached.forget(lambda key: self.generation_of(key[0]) == generation)

    async def _note_use(self, name: str) -> None:
        """Once a day and process."""
        today = self._now().date()
        if self._used_on.get(name) == today:
            return
        try:
            await self.uses.note(self.vault_name, name, self._now())
        except Exception:  # the secret is there, and its next use tries this again
            log.warning("it could not be kept that secret %s is in use", name, exc_info=True)
        else:
            self._used_on[name] = today
