"""Of Key Vault."""

from shared.assumptions.base import Assumption

ASSUMPTIONS = (
    Assumption(
        name="vault.throttled_retry_after",
        question="Does Key Vault's 429 carry Retry-After?",
        values=("present", "absent"),
        default="present",
        source="not documented; the throttling guidance asks for exponential backoff and names no header",
        breaks_if_wrong="Pauses would be too short or too long; the last value is used meanwhile.",
    ),
    Assumption(
        name="vault.revoked_token",
        question="How does Key Vault answer a token that is not valid any more although its time is not over?",
        values=("claims_challenge", "plain_challenge"),
        default="claims_challenge",
        source="documented for people (continuous access evaluation), not for managed identities",
        breaks_if_wrong="The client would send its kept token again: secrets are refused until that's time is over.",
    ),
    Assumption(
        name="vault.deleted_address",
        question="What does a client meet at the address of a vault that was deleted (and can be recovered)?",
        values=("no_address", "answers_404"),
        default="no_address",
        source="known, not looked up",
        breaks_if_wrong="With an answer the last values are given up at once; without an address they are used for "
        "WATCHKEEPER_SECRET_STALE_S, as while the vault is out of reach.",
    ),
)
