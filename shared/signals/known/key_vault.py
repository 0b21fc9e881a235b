"""Key Vault: new versions, expiry ahead and past, access. An event carries names and times, never a value."""

from shared.signals.kind import Kind, event_kind, text, time

_SERVICE = "Microsoft.KeyVault"
_OBJECT = (
    text("vault", "data.VaultName", doc="The vault's name."),
    text("object_id", "data.Id", doc="The URL of the version."),
    text("object_type", "data.ObjectType", doc="`secret`, `key` or `certificate`.", lower=True),
    text("object_name", "data.ObjectName", "subject", doc="The name of the secret, key or certificate.", required=True),
    text("version", "data.Version", doc="The version."),
    time("not_before", "data.NBF", doc="From when it is valid."),
    time("expires", "data.EXP", doc="Until when it is valid."),
)


def _kinds_of(thing: str, title: str) -> tuple[Kind, ...]:
    return (
        event_kind(
            f"key_vault.{thing}_new_version",
            f"{_SERVICE}.{title}NewVersionCreated",
            description=f"A {thing}, or a version of one, was created.",
            fields=_OBJECT,
        ),
        event_kind(
            f"key_vault.{thing}_near_expiry",
            f"{_SERVICE}.{title}NearExpiry",
            description=f"The current version of a {thing} will expire soon (by default in 30 days).",
            fields=_OBJECT,
        ),
        event_kind(
            f"key_vault.{thing}_expired",
            f"{_SERVICE}.{title}Expired",
            description=f"The current version of a {thing} expired.",
            fields=_OBJECT,
        ),
    )


KINDS = (
    *_kinds_of("secret", "Secret"),
    *_kinds_of("key", "Key"),
    *_kinds_of("certificate", "Certificate"),
    event_kind(
        "key_vault.access_changed",
        f"{_SERVICE}.VaultAccessPolicyChanged",
        description="Who may use the vault, or how that is decided, was changed.",
        fields=(text("vault", "data.VaultName", doc="The vault's name."),),
    ),
)
