"""What a kind of signal is: which messages it recognises, and which fields it reads from them.

A kind is declared in one module of `shared/signals/known`; the reference (`docs/signals.md`) is written from it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.domain import Signal
from shared.signals.fields import Malformed, field, moment_of, plain_decimal, text_at, unpacked, wrong
from shared.signals.message import Message
from shared.signals.redaction import canonical, clipped, redact_source


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One field of a kind: its name (`<currency>` stands for a part that the payload decides), what it says, how it is
    read (values by name, none if the payload has none; Malformed if it cannot be). Without what is `required` there is
    no signal; any other field that cannot be read costs only itself."""

    name: str
    doc: str
    read: Callable[[Message], Mapping[str, str]]
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of signal.

    `recognises` says whether a message is of this kind; `or_else` the same where no kind recognises it. `about` are its
    subjects, by default those of the envelope; `identity` its id where that of the envelope changes with a repetition.
    """

    name: str
    description: str
    from_: str
    recognises: Callable[[Message], bool]
    fields: tuple[Field, ...]
    or_else: Callable[[Message], bool] | None = None
    about: Callable[[Message], tuple[str, ...]] | None = None
    identity: Callable[[Message], str] | None = None


def text(name: str, *paths: str, doc: str, required: bool = False, lower: bool = False) -> Field:
    """The first text that one of the paths leads to."""

    def read(message: Message) -> Mapping[str, str]:
        for path in paths:
            found = text_at(message.content, path, message.shown(path))
            if found:
                return {name: clipped(found.lower() if lower else found)}
        if required:
            raise wrong(message.shown(paths[0]), None, "a text")
        return {}

    return Field(name=name, doc=doc, read=read, required=required)


def number(name: str, *paths: str, doc: str) -> Field:
    """The first number at one of the paths, as a plain decimal."""

    def read(message: Message) -> Mapping[str, str]:
        for path in paths:
            value = field(message.content, path)
            if value not in (None, ""):
                plain = plain_decimal(value)
                if plain is None:
                    raise wrong(message.shown(path), value, "a number")
                return {name: plain}
        return {}

    return Field(name=name, doc=doc, read=read)


def time(name: str, *paths: str, doc: str) -> Field:
    """The first time at one of the paths, as ISO 8601 in UTC. Seconds since 1970 are a time, the year 1 is none."""

    def read(message: Message) -> Mapping[str, str]:
        for path in paths:
            value = field(message.content, path)
            if value not in (None, ""):
                at = moment_of(_iso(value))
                if at is None:
                    raise wrong(message.shown(path), value, "a time")
                return {name: at.isoformat()} if at.year > 1 else {}
        return {}

    return Field(name=name, doc=doc, read=read)


def _iso(value: Any) -> str:
    """Seconds since 1970 as a time; anything else as it is."""
    plain = plain_decimal(value)
    if plain is not None and 0 <= float(plain) < 253_402_300_800:  # before year 10000
        return datetime.fromtimestamp(float(plain), UTC).isoformat()
    return value if isinstance(value, str) else ""


def raw(name: str, *paths: str, doc: str) -> Field:
    """The first value at one of the paths, as canonical JSON; a text that holds JSON is read."""

    def read(message: Message) -> Mapping[str, str]:
        for path in paths:
            written = canonical(unpacked(field(message.content, path)), limit=2_000)
            if written:
                return {name: written}
        return {}

    return Field(name=name, doc=doc, read=read)


def derived(name: str, of: Callable[[Message], str], *, doc: str) -> Field:
    """A text that is worked out from several fields."""

    def read(message: Message) -> Mapping[str, str]:
        found = of(message)
        return {name: clipped(found)} if found else {}

    return Field(name=name, doc=doc, read=read)


def event_kind(
    name: str,
    *types: str,
    description: str,
    fields: tuple[Field, ...] = (),
    about: Callable[[Message], tuple[str, ...]] | None = None,
) -> Kind:
    """The kind of events of these types, in whatever letter case."""
    wanted = frozenset(each.lower() for each in types)
    return Kind(
        name=name,
        description=description,
        from_=", ".join(f"`{each}`" for each in types),
        recognises=lambda message: message.form == "event" and message.type in wanted,
        fields=fields,
        about=about,
    )


def alert_kind(
    name: str,
    *,
    description: str,
    from_: str,
    recognises: Callable[[Message], bool],
    fields: tuple[Field, ...],
    or_else: Callable[[Message], bool] | None = None,
    about: Callable[[Message], tuple[str, ...]] | None = None,
    identity: Callable[[Message], str] | None = None,
) -> Kind:
    """A kind of alerts; `from_` says for people which."""
    return Kind(
        name=name,
        description=description,
        from_=from_,
        recognises=lambda message: message.form == "alert" and recognises(message),
        or_else=None if or_else is None else lambda message: message.form == "alert" and or_else(message),
        fields=fields,
        about=about,
        identity=identity,
    )


EVENT_FIELDS = (
    text("subject", "subject", doc="What the event is about, in its publisher's words."),
    raw("extensions", "extensions", doc="Attributes of the envelope that its schema does not have, as JSON."),
)
ALERT_FIELDS = (
    text("condition", "essentials.monitorCondition", doc="`fired` or `resolved`.", lower=True),
    text("rule", "essentials.alertRule", doc="The name of the alert rule."),
    text("rule_id", "essentials.alertRuleID", doc="The resource id of the alert rule.", lower=True),
    text("severity", "essentials.severity", doc="`Sev0` (critical) to `Sev4`."),
    text("service", "essentials.monitoringService", doc="The monitoring service, as it calls itself."),
    text("target_type", "essentials.targetResourceType", doc="The type of the target.", lower=True),
    text("target_group", "essentials.targetResourceGroup", doc="The resource group of the target.", lower=True),
    text("origin_id", "essentials.originAlertId", doc="The alert's id in its monitoring service."),
    text("link", "essentials.investigationLink", doc="Where to look into it, without the query."),
    text("description", "essentials.description", doc="The rule's description."),
    time("fired_at", "essentials.firedDateTime", doc="When it fired."),
    raw("affected", "essentials.configurationItems", doc="The affected items, as a JSON list."),
    raw("custom", "custom", doc="The rule's own properties, as JSON."),
)
KEPT = "data"
KEPT_DOC = "The event's data or the alert's context as JSON: bounded, without URL queries and secrets."
UNREAD = "unread"
UNREAD_DOC = "Which further fields are not what they should be, and why; they are left out here."


def signal_of(message: Message, kind: Kind) -> Signal:
    """The signal that a message of this kind is.

    Raises:
        Malformed: its data is no object, or a required field is missing or wrong.
    """
    data = message.content.get("data")
    if kind.fields and message.form == "event" and not isinstance(data, Mapping | None):
        raise wrong("data", data, "an object")
    return Signal(
        id=kind.identity(message) if kind.identity else message.id,
        source=redact_source(message.source),
        kind=kind.name,
        at=message.at,
        subjects=kind.about(message) if kind.about else message.subjects,
        fields=_read(message, kind.fields),
    )


def unknown_signal(message: Message, name: str) -> Signal:
    """The signal that a message of no known kind is: its own name, and all that it says."""
    return signal_of(message, Kind(name=name, description="", from_="", recognises=lambda _: True, fields=()))


def _read(message: Message, own: tuple[Field, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    unread: dict[str, None] = {}  # several fields may be read from one place
    for each in (EVENT_FIELDS if message.form == "event" else ALERT_FIELDS) + own:
        try:
            found |= each.read(message)
        except Malformed as error:
            if each.required:
                raise
            unread[str(error)] = None
    last = {UNREAD: clipped("; ".join(unread)), KEPT: canonical(message.kept)}
    return found | {name: value for name, value in last.items() if value}
