"""Provisioning states of Azure resources, as far as we must tell them apart."""

_SETTLED = ("succeeded", "failed", "canceled")


def is_settled(provisioning_state: str) -> bool:
    """Whether no operation runs on the resource; a failed update leaves it usable. In any letter case."""
    return provisioning_state.lower() in _SETTLED
