"""Who outranks whom: the one order, and nothing else that a fold could order by."""

from shared.domain import Intent, IntentKind, Source

PRECEDENCE: tuple[Source, ...] = (
    "savings",
    "scaling",
    "budget",
    "platform",
    "rollout",
    "manual_change",
    "person",
)
"""Lowest first."""

# Within one source a floor outranks a ceiling (more is safer than less), and a hold outranks both.
KINDS: tuple[IntentKind, ...] = ("lease", "wish", "ceiling", "floor", "hold")

PEOPLE: tuple[Source, ...] = ("manual_change", "person")
"""Whose hold is respected below a safety floor, and alarmed."""

MAY_ONLY_ADD: tuple[Source, ...] = ("rollout", *PEOPLE)
"""They outrank a safety floor to ask for more than it; for less than it only a person's hold is heard."""


def rank(intent: Intent) -> tuple[object, ...]:
    """Precedence; among equals the greater wish is the safer one. The rest makes the order of intents irrelevant."""
    value = -1 if intent.value is None else intent.value
    says = (intent.rule, intent.reason, intent.holder, sorted(intent.split.items()), sorted(intent.needs.items()))
    return PRECEDENCE.index(intent.source), KINDS.index(intent.kind), value, *says


def person_holds(intent: Intent) -> bool:
    return intent.kind == "hold" and intent.source in PEOPLE


def may_overrule(intent: Intent, source: Source) -> bool:
    """Whether `source` must bear this intent: it ranks higher, or is a lease or a safety floor, which bind all."""
    binds_all = intent.kind == "lease" or (intent.kind == "floor" and intent.source == "platform")
    return binds_all or PRECEDENCE.index(intent.source) > PRECEDENCE.index(source)
