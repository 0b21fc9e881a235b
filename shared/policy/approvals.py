"""Which plans wait for a person, for whom, and how long: the policy's section `approvals`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from shared.domain import Ask, Dimension, Place, Requirement
from shared.policy.parts import Mail, Name, Part, Percent, PositiveSeconds, Scope, Seconds, refuse, unit
from shared.policy.targets import Environment


class ApprovalWhen(Part):
    """Which changes a rule gates. With neither of the two amounts all of this dimension and direction; with both, one
    of them suffices.
    """

    dimension: Dimension = "capacity"
    """What is changed: `capacity`, `traffic`, `existence` or `jobs`."""

    direction: Literal["grow", "shrink", "any"] = "any"
    """Only more, only less, or both. A deletion shrinks."""

    more_than_instances: (
        Annotated[int, Field(strict=True, ge=0, le=100_000, json_schema_extra=unit("instances"))] | None
    ) = None
    """Changes by more than so many instances: of one change, not of what is there after it (that is `max`)."""

    more_than_usd_per_hour: (
        Annotated[float, Field(strict=True, ge=0, le=1e6, json_schema_extra=unit("US dollars per hour"))] | None
    ) = None
    """Changes that cost or save more than this, by the target's `price_usd_per_hour`. Without a price every change
    counts as more.
    """


class ApprovalRule(Part):
    """A change that this rule gates is made only once the people whom it names have said yes to exactly this plan.

    Several rules may gate one change: all must be satisfied. A project may add rules, and take none away.
    """

    name: Name
    """Short name, which people see in the question."""

    scopes: Annotated[tuple[Scope, ...], Field(min_length=1)] = ("all",)
    """Where it holds: `all`, `project:NAME`, `workspace:NAME`, `target:NAME`, `loop:NAME`; one of them suffices."""

    environments: tuple[Environment, ...] = ()
    """Only for targets of these environments; none named: of any."""

    loop: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    """Only for what this loop wants, such as `scaling`; without it, for any."""

    when: ApprovalWhen = ApprovalWhen()
    """Which changes it gates."""

    who: Annotated[tuple[Mail, ...], Field(min_length=1, max_length=20)]
    """The people who are asked, each with links of their own: e-mail addresses."""

    needed: Annotated[int, Field(strict=True, ge=1, le=2, json_schema_extra=unit("different people"))] = 1
    """How many different people of `who` must say yes: 1 or 2. One no stops it."""

    deadline_s: PositiveSeconds = 14_400.0
    """Time for the answers, from the delivery of the question on. Without them the change is not made."""

    valid_for_s: PositiveSeconds = 1800.0
    """How long an approved plan may wait to be carried out. After that it is not: what is wanted then is asked anew."""

    ask_again_after_s: Seconds = 14_400.0
    """For how long a plan that was denied, or not answered, is not asked again."""

    tolerance_instances: Annotated[int, Field(strict=True, ge=0, le=100_000, json_schema_extra=unit("instances"))] = 1
    """A newer plan takes the place of one that waits only if it differs by more than this, or than `tolerance_pct` if
    that is more.
    """

    tolerance_pct: Percent = 20.0
    """As `tolerance_instances`, as a share of the change that waits."""

    @model_validator(mode="after")
    def _enough_people(self) -> Self:
        people = {address.lower() for address in self.who}
        if len(people) < self.needed:
            raise refuse(
                f"needs {self.needed} different people and names {len(people)}",
                "Name more people under `who`, or lower `needed`.",
            )
        return self

    def gates(self, place: Place, environment: Environment, change: "Change") -> bool:
        """Whether this change of a target waits for the people of this rule."""
        here = not set(self.scopes).isdisjoint(place.scopes) and self.loop in (None, place.loop)
        there = not self.environments or environment in self.environments
        return here and there and change.by != 0 and self._is_meant(change)

    def _is_meant(self, change: "Change") -> bool:
        if change.dimension != self.when.dimension:
            return False
        if self.when.direction not in ("any", "grow" if change.by > 0 else "shrink"):
            return False
        instances, usd, cost = self.when.more_than_instances, self.when.more_than_usd_per_hour, change.usd_per_hour
        if instances is None and usd is None:
            return True
        many = instances is not None and abs(change.by) > instances
        dear = usd is not None and (cost is None or cost > usd)
        return many or dear


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a plan would change: `by` so many instances; `price_usd_per_hour` is of one of them, None if not known."""

    dimension: Dimension
    by: int
    price_usd_per_hour: float | None

    @property
    def usd_per_hour(self) -> float | None:
        """What it costs or saves; None if nobody can tell."""
        return None if self.price_usd_per_hour is None else abs(self.by) * self.price_usd_per_hour


def requirement(
    rules: Iterable[ApprovalRule], place: Place, environment: Environment, change: Change
) -> Requirement | None:
    """What the rules that gate this change ask for together; None if it waits for nobody.

    Each rule keeps its own people and number; of the times and tolerances the strictest counts, and the longest rest
    after a no. Addresses are compared in lower case.
    """
    gating = [rule for rule in rules if rule.gates(place, environment, change)]
    if not gating:
        return None
    return Requirement(
        asks=tuple(
            Ask(rule=rule.name, who=tuple(dict.fromkeys(who.lower() for who in rule.who)), needed=rule.needed)
            for rule in gating
        ),
        deadline_s=min(rule.deadline_s for rule in gating),
        valid_for_s=min(rule.valid_for_s for rule in gating),
        ask_again_after_s=max(rule.ask_again_after_s for rule in gating),
        tolerance_instances=min(rule.tolerance_instances for rule in gating),
        tolerance_pct=min(rule.tolerance_pct for rule in gating),
    )
