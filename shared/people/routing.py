"""Who hears of a notice, and by which channel. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.domain import Notice, Severity
from shared.policy import Policy
from shared.policy.notices import WEBHOOKS, Channel, Notices

_RANK: dict[Severity, int] = {"info": 0, "warning": 1, "critical": 2}


@dataclass(frozen=True, slots=True)
class Route:
    """One way of a notice: `recipient` is an address for mail, "" for whoever reads the channel.

    `with_links`: the notice's own links go along.
    """

    channel: Channel
    recipient: str
    with_links: bool


def routes(notice: Notice, settings: Notices, owners: Sequence[str] = ()) -> tuple[Route, ...]:
    """Every way that the notice takes, each recipient of mail once.

    `owners` are those that are known beside the notice's own. A notice for one person goes to that person with its
    links, whatever the severity and kinds of the channels; the others that fit hear of it without them.
    """
    found: list[Route] = list(_to_recipient(notice, settings))
    told = {route.recipient.casefold() for route in found if route.channel.kind == "mail"}
    reached = {route.channel.name for route in found if route.channel.kind != "mail"}
    for channel in settings.channels:
        if not _fits(channel, notice) or channel.name in reached:
            continue
        if channel.kind != "mail":
            found.append(Route(channel, "", with_links=not notice.recipient))
            continue
        for address in _addresses(channel, notice, owners):
            if address.casefold() not in told:
                told.add(address.casefold())
                found.append(Route(channel, address, with_links=not notice.recipient))
    return tuple(found)


def owners_of(policy: Policy, target: str, tags: dict[str, str] | None = None) -> tuple[str, ...]:
    """Whom a target concerns: the owner that the policy names, else the one that the resource's tag names."""
    known = policy.target(target)
    if known is not None and known.owner:
        return (known.owner,)
    wanted = policy.notices.owner_tag.casefold()
    tagged = [value.strip() for name, value in (tags or {}).items() if name.casefold() == wanted]
    return tuple(address for address in tagged if "@" in address and " " not in address)


def _to_recipient(notice: Notice, settings: Notices) -> Iterator[Route]:
    if not notice.recipient:
        return
    wanted = notice.recipient.casefold()
    fitting = [channel for channel in settings.channels if _in_projects(channel, notice)]
    mail = next((channel for channel in fitting if channel.kind == "mail"), None)
    if mail is not None:
        yield Route(mail, notice.recipient, with_links=True)
    for channel in fitting:
        if channel.kind in WEBHOOKS and [address.casefold() for address in channel.recipients] == [wanted]:
            yield Route(channel, "", with_links=True)


def _fits(channel: Channel, notice: Notice) -> bool:
    return (
        _RANK[notice.severity] >= _RANK[channel.min_severity]
        and (not channel.kinds or notice.kind in channel.kinds)
        and _in_projects(channel, notice)
    )


def _in_projects(channel: Channel, notice: Notice) -> bool:
    return not channel.projects or notice.project in channel.projects


def _addresses(channel: Channel, notice: Notice, owners: Sequence[str]) -> tuple[str, ...]:
    return (*channel.recipients, *(notice.owners + tuple(owners) if channel.to_owners else ()))
