"""Resource ids in a policy: where the domain's types only refuse one, this tells its author which segment is wrong."""

import re

from shared.domain import DeploymentId, QueueId, WorkspaceId

# Azure is the judge of its names; these keep out what cannot be one (a forgotten placeholder, a space, a whole path).
_NAME_PATTERN = r"[A-Za-z0-9][\w.()~-]{0,259}"
_PATTERNS = {"subscription": r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"}
_KINDS = {
    DeploymentId: "an Azure ML online deployment",
    QueueId: "a Service Bus queue",
    WorkspaceId: "an Azure ML workspace",
}

type IdKind = type[DeploymentId] | type[QueueId] | type[WorkspaceId]
_LONGEST_SHOWN = 60


class MalformedId(ValueError):
    """Not an id of the kind asked for; `reason` names the segment, `remedy` the form."""

    def __init__(self, reason: str, remedy: str) -> None:
        self.reason = reason
        self.remedy = remedy
        super().__init__(f"{reason}. {remedy}")


def form_of(kind: IdKind) -> str:
    """The id with placeholders, for people."""
    return kind.template.replace("{", "<").replace("}", ">")


def canonical_id(text: str, kind: IdKind) -> str:
    """`text` with the fixed words in Azure's spelling and the names as written.

    Raises:
        MalformedId: the first segment that is wrong, missing or too much.
    """
    remedy = f"The form is {form_of(kind)}."
    if not text.startswith("/"):
        raise MalformedId(_wrong_start(text), remedy)
    found, wanted = text.split("/"), kind.template.split("/")
    for number in range(1, len(wanted)):
        reason = _fault(number, found, wanted)
        if reason is not None:
            raise MalformedId(f"is not the id of {_KINDS[kind]}: {reason}", remedy)
    if len(found) > len(wanted):
        extra = _short("/".join(found[len(wanted) :]))
        raise MalformedId(f"goes on after the id of {_KINDS[kind]}: '/{extra}'", remedy)
    return kind.parse(text).arm_id


def _wrong_start(text: str) -> str:
    if text.casefold().startswith("http"):
        return "is a web address, not a resource id"
    return f"starts with '{_short(text.split('/')[0])}', but a resource id starts with '/subscriptions/'"


def _fault(number: int, found: list[str], wanted: list[str]) -> str | None:
    expected = wanted[number]
    is_name = expected.startswith("{")
    spoken = f"the name of the {expected.strip('{}').replace('_', ' ')}" if is_name else f"'{expected}'"
    spoken = "the GUID of the subscription" if expected == "{subscription}" else spoken
    segment = found[number] if number < len(found) else ""
    if not segment:
        return f"segment {number}, {spoken}, is missing"
    if is_name:
        is_right = re.fullmatch(_PATTERNS.get(expected.strip("{}"), _NAME_PATTERN), segment) is not None
    else:
        is_right = segment.casefold() == expected.casefold()
    return None if is_right else f"segment {number} is '{_short(segment)}', expected {spoken}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}..."
