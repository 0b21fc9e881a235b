"""Who is told what, by which way: the policy's section `notices`."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from shared.domain import NoticeKind, Severity
from shared.policy.parts import Count, Mail, Name, Part, PositiveSeconds, refuse, unique_names, unit
from shared.policy.tighten import tightens

type ChannelKind = Literal["event_grid", "teams", "slack", "webhook", "mail"]
type SecretName = Annotated[str, Field(min_length=1, max_length=127, pattern=r"^[0-9a-zA-Z-]+$")]

WEBHOOKS: tuple[ChannelKind, ...] = ("teams", "slack", "webhook")


class Channel(Part):
    """One way to people."""

    name: Name
    """Short, unique name; receipts and operators go by it."""

    kind: ChannelKind
    """`event_grid`: the topic of the app settings. `teams`, `slack`, `webhook` (plain JSON): a URL. `mail`: e-mail."""

    secret: SecretName | None = None
    """Name of the Key Vault secret with the webhook's URL, which is a secret itself and never written here."""

    recipients: tuple[Mail, ...] = ()
    """Mail: who gets every notice of this channel. A webhook: the one person whose it is, who then gets what is
    for that person alone.
    """

    to_owners: bool = True
    """Mail: also to the owners of what the notice is about."""

    min_severity: Severity = "info"
    """Least severity: `info`, `warning` or `critical`."""

    kinds: tuple[NoticeKind, ...] = ()
    """Kinds of notices; empty for all."""

    projects: tuple[Name, ...] = ()
    """Projects whose notices go here; empty for all, and for what concerns no project."""

    quiet: bool = False
    """Digests only, one a window; but for what is critical and requests for approval."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> Self:
        if self.kind in WEBHOOKS and self.secret is None:
            raise refuse(
                f"is a {self.kind} channel without `secret`",
                "Put the webhook's URL into Key Vault and write the name of that secret.",
            )
        if self.kind not in WEBHOOKS and self.secret is not None:
            raise refuse(f"is a {self.kind} channel with a `secret`", "Remove `secret`: only webhooks have a URL.")
        if self.kind == "event_grid" and self.recipients:
            raise refuse("is an event_grid channel with `recipients`", "Remove them: whoever subscribes gets all.")
        if self.kind in WEBHOOKS and len(self.recipients) > 1:
            raise refuse(
                f"is a {self.kind} channel with {len(self.recipients)} recipients",
                "Write the one person whose webhook it is, or none.",
            )
        return self


class Digest(Part):
    """When many notices become one."""

    window_s: PositiveSeconds = 600.0
    """Length of the window in which single notices are counted, for each channel."""

    limit: Count = 10
    """Most single notices a channel gets in a window; the rest comes as one digest at its end. What is critical, and
    requests for approval, always come singly.
    """


class Notices(Part):
    """Who is told what. Without a channel nobody is: notices are then in the ledger and in `GET /api/notices` only."""

    channels: Annotated[tuple[Channel, ...], AfterValidator(unique_names), tightens("add")] = ()
    """The ways to people."""

    digest: Digest = Digest()
    """When many notices become one."""

    give_up_after_s: Annotated[float, Field(strict=True, ge=60, le=7 * 86_400, json_schema_extra=unit("seconds"))] = (
        86_400.0
    )
    """How long a delivery that does not work is tried again."""

    owner_tag: Annotated[str, Field(min_length=1, max_length=100)] = "owner"
    """Tag of the Azure resource that holds its owner's address, for targets whose owner the policy does not name."""

    def channel(self, name: str) -> Channel | None:
        return next((channel for channel in self.channels if channel.name == name), None)
