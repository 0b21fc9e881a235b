"""Why a secret cannot be had, in types that say what to do. No message holds a value; no failure is read as empty."""


class SecretFailure(Exception):
    """Base of all failures here. `retry_after_s`: how long the vault asked to be left alone, None if it did not."""

    retry_after_s: float | None = None


class NoVault(SecretFailure):
    """The app has no Key Vault."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"secret {name!r} is needed, but no Key Vault is configured. To do: set WATCHKEEPER_VAULT_URL to the "
            "vault's URL (https://NAME.vault.azure.net)"
        )


class SecretRefused(SecretFailure):
    """The vault does not let us read it."""


class SecretMissing(SecretFailure):
    """The vault has no such secret; it may have been deleted."""


class SecretUnusable(SecretFailure):
    """It is there, but must not be used: disabled, not yet active, expired, or empty."""


class VaultUnreachable(SecretFailure):
    """No answer that says anything of the secret: ask again later."""

    def __init__(self, message: str, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
