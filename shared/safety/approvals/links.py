"""Links that carry one answer of one person to one question: signed, single-use, expiring.

A link's token is a JWT (HS256): who it was made for, which request and which plan, yes or no, and until when. `jti` is
the same whenever the same link is made again, so the same question put twice brings no second vote. The key is a secret
in Key Vault; `kid` is its version. The newest version signs, the last few verify, so a rotation breaks no link that is
under way; disabling a version in the vault takes back every link that it signed.

The signature is all that a link proves: that whoever has it was sent it, or was given it by whom it was sent to.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

from shared.domain import ApprovalRequest, Verdict

KEY_NAME = "watchkeeper-link-key"
"""The secret that signs: 32 random bytes or more, as text."""

VERSIONS = 4
"""So many versions verify: a key that is rotated once an hour still outlives a question of three hours."""

SHORTEST_KEY_BYTES = 32  # RFC 7518, 3.2: not less than the hash's own size
ISSUER, AUDIENCE = "watchkeeper", "watchkeeper-approval"
_CLAIMS = ("iss", "aud", "sub", "jti", "iat", "exp", "req", "plan", "verdict")
_LONGEST_TOKEN = 4096


class KeySource(Protocol):
    """Versions of a secret; `shared.estate.secrets.SecretReader` is one."""

    async def versions(self, name: str, newest: int = 2) -> "Sequence[KeyVersion]":
        """The newest versions that may be used now, the newest first."""
        ...

    async def refetch(self, name: str, because: str) -> "KeyVersion":
        """Read it anew, for what is refused with the versions that are known; not too often."""
        ...


class KeyVersion(Protocol):
    """One version of the key."""

    @property
    def version(self) -> str:
        """Its name in the vault."""
        ...

    @property
    def reveal(self) -> "Any":
        """A function that gives its value."""
        ...


class LinkInvalid(Exception):
    """Not a link of ours, not for this, or not valid any more; the message is for whoever followed it."""

    def __init__(self, code: Literal["link_invalid", "link_expired"], message: str) -> None:
        super().__init__(message)
        self.code = code


class KeyUnusable(Exception):
    """The signing key must not be used; says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a link says: `recipient` answers `verdict` to the request for this plan. `id` is its own."""

    id: str
    request: str
    plan: str
    recipient: str
    verdict: Verdict
    expires_at: datetime


def link_for(request: ApprovalRequest, recipient: str, verdict: Verdict) -> Link:
    """The one link by which this person gives this answer to this question."""
    digest = hashlib.sha256(f"{request.id}|{request.plan}|{recipient}|{verdict}".encode()).hexdigest()
    return Link(
        id=digest[:32],
        request=request.id,
        plan=request.plan,
        recipient=recipient,
        verdict=verdict,
        expires_at=request.last_moment,
    )


def token_of(link: Link, key: KeyVersion, now: datetime) -> str:
    """The link, signed.

    Raises:
        KeyUnusable: the key is too short to sign with.
    """
    import jwt

    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": link.recipient,
        "jti": link.id,
        "iat": int(now.timestamp()),
        "exp": int(link.expires_at.timestamp()),
        "req": link.request,
        "plan": link.plan,
        "verdict": link.verdict,
    }
    return jwt.encode(claims, _strong(key), algorithm="HS256", headers={"kid": key.version})


def kid_of(token: str) -> str:
    """The version of the key that a token says it was signed with; "" if it says none. Nothing is verified here."""
    import jwt

    try:
        kid = jwt.get_unverified_header(token).get("kid", "") if len(token) <= _LONGEST_TOKEN else ""
    except jwt.InvalidTokenError:
        return ""
    return kid if isinstance(kid, str) else ""


def read_token(token: str, keys: Sequence[KeyVersion], now: datetime) -> Link:
    """What a token says, once its signature, its purpose and its time are right.

    Raises:
        LinkInvalid: they are not, or it was signed with a key that is not valid any more.
    """
    import jwt

    kid = kid_of(token)
    key = next((key for key in keys if key.version == kid), None)
    if key is None:
        raise _invalid()
    # Its times are judged below, by the clock that was passed in: the library has one of its own.
    options: Any = {"require": list(_CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False}
    try:
        claims = jwt.decode(
            token, _strong(key), algorithms=["HS256"], audience=AUDIENCE, issuer=ISSUER, options=options
        )
    except jwt.InvalidTokenError as error:
        raise _invalid() from error
    link = _link(claims)
    if now >= link.expires_at:
        at = f"{link.expires_at:%Y-%m-%d %H:%M} UTC"
        raise LinkInvalid("link_expired", f"This link was valid until {at}. What it asked about was not done by it.")
    return link


def _invalid() -> LinkInvalid:
    return LinkInvalid(
        "link_invalid",
        "This link is not valid: it is not complete, was changed, or was taken back. Open it exactly as it is in the "
        "message that you got.",
    )


def _link(claims: Mapping[str, Any]) -> Link:
    texts = {name: claims[name] for name in ("sub", "jti", "req", "plan", "verdict")}
    expires = claims["exp"]
    whole = all(isinstance(text, str) for text in texts.values()) and type(expires) is int
    if not whole or texts["verdict"] not in ("approve", "deny"):
        raise _invalid()
    return Link(
        id=texts["jti"],
        request=texts["req"],
        plan=texts["plan"],
        recipient=texts["sub"],
        verdict=texts["verdict"],
        expires_at=datetime.fromtimestamp(expires, UTC),
    )


def _strong(key: KeyVersion) -> bytes:
    value = str(key.reveal()).encode()
    if len(value) < SHORTEST_KEY_BYTES:
        raise KeyUnusable(
            f"version {key.version} of {KEY_NAME} has {len(value)} bytes. To do: store {SHORTEST_KEY_BYTES} random "
            "bytes or more, such as `openssl rand -base64 48` prints, as a new version"
        )
    return value


class LinkSigner:
    """Makes and reads links. Without `keys` or a `public_url` it makes none: people then answer by the API."""

    def __init__(self, keys: KeySource | None, public_url: str) -> None:
        self._keys = keys
        self.public_url = public_url

    async def links(self, request: ApprovalRequest, recipient: str, now: datetime) -> Mapping[str, str]:
        """The links of this person, by their labels.

        Raises:
            SecretFailure, KeyUnusable: the key cannot be had, or must not be used.
        """
        if self._keys is None or not self.public_url:
            return {}
        key = (await self._keys.versions(KEY_NAME, VERSIONS))[0]
        verdicts: tuple[Verdict, ...] = ("approve", "deny")
        tokens = {verdict: token_of(link_for(request, recipient, verdict), key, now) for verdict in verdicts}
        return {verdict: f"{self.public_url}/api/approvals/link?token={token}" for verdict, token in tokens.items()}

    async def read(self, token: str, now: datetime) -> Link:
        """What a token says.

        Raises:
            LinkInvalid: it does not hold.
            SecretFailure, KeyUnusable: the key cannot be had, so nobody can tell.
        """
        if self._keys is None:
            raise _invalid()
        keys = await self._keys.versions(KEY_NAME, VERSIONS)
        kid = kid_of(token)
        if kid and all(key.version != kid for key in keys):  # perhaps newer than what this process has in memory
            await self._keys.refetch(KEY_NAME, "a link names a version that is not known here")
            keys = await self._keys.versions(KEY_NAME, VERSIONS)
        return read_token(token, keys, now)
