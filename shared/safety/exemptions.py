"""The gate of exemptions: what people have taken out, by order or by a tag on the deployment, until it runs out.

The tag `watchkeeper-exempt` on a deployment reads `reason|until=2026-04-01` (the first moment of that UTC day, or a
time like 2026-04-01T08:00Z). A tag that cannot be read exempts, because somebody meant it to, and says so.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from shared.safety.facts import ActFacts, Refusal

TAG = "watchkeeper-exempt"
_FIRST_YEAR = 2000


@dataclass(frozen=True, slots=True)
class TagExemption:
    """What the tag says; `until` None if that cannot be read."""

    reason: str
    until: datetime | None


def gate(facts: ActFacts) -> Refusal | None:
    one = facts.records.exemptions.covering(facts.place, facts.act, facts.now)
    if one is not None:
        until = one.expires_at.astimezone(UTC)
        return Refusal(
            code="exempt",
            reason=f"{one.scope} is exempt from {_words(one.acts)} until {until:%Y-%m-%d %H:%M} UTC "
            f"({one.owner}, by {one.by}): {one.reason}.",
            remedy="End it with DELETE /api/exemptions, or wait until it runs out.",
        )
    return _by_tag(facts)


def _by_tag(facts: ActFacts) -> Refusal | None:
    tag = tag_exemption(facts.tags)
    if tag is None:
        return None
    if tag.until is None:
        return Refusal(
            code="exempt",
            reason=f"The deployment's tag {TAG} says {tag.reason!r}, without an end that can be read.",
            remedy=f"Write it as `reason|until=2026-04-01`, or remove the tag {TAG}.",
        )
    if facts.now >= tag.until:
        return None
    longest = timedelta(days=facts.limits.exemption_max_days)
    too_far = tag.until - facts.now > longest
    return Refusal(
        code="exempt",
        reason=f"The deployment is exempt by its tag {TAG} until {tag.until:%Y-%m-%d %H:%M} UTC: {tag.reason}.",
        remedy=f"That is more than the {longest.days} days that policy allows: bring it nearer, or remove the tag."
        if too_far
        else "Remove the tag, or wait until it runs out.",
    )


def tag_exemption(tags: Mapping[str, str]) -> TagExemption | None:
    """What the tag on a deployment says, None if there is none."""
    text = next((value for name, value in tags.items() if name.lower() == TAG), None)
    if text is None:
        return None
    reason, _, rest = text.partition("|")
    name, _, written = rest.partition("=")
    return TagExemption(text if name.strip() != "until" else reason.strip(), _moment(name, written))


def _moment(name: str, written: str) -> datetime | None:
    if name.strip() != "until":
        return None
    try:
        until = datetime.fromisoformat(written.strip())
        at = until.astimezone(UTC) if until.tzinfo else until.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return at if at.year >= _FIRST_YEAR else None


def _words(acts: str) -> str:
    return "all changes" if acts == "all" else acts
