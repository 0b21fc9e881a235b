"""The policies that a what-if compares: today's, and changes of it, judged as the policy's documents are. No numpy."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.domain import DeploymentId, QueueId
from shared.policy.loading import review_policy
from shared.policy.problems import PolicyInvalid, Problem
from shared.policy.scaling import Scaling

MOST_VARIANTS = 5
TODAY = "today"

_NAME = "a-target"
_PLACE = "targets[0]"
_SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"
# A document needs a deployment and a queue; which, is all one to a replay.
_DEPLOYMENT = DeploymentId(_SUBSCRIPTION, "group", "workspace", "endpoint", "deployment").arm_id
_QUEUE = QueueId(_SUBSCRIPTION, "group", "namespace", "queue").arm_id


class VariantInvalid(ValueError):
    """It is no policy; the message names everything that is wrong."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A policy to try: `changes` of another (None: taken out), and what its author should look at again."""

    label: str
    policy: Scaling
    changes: Mapping[str, Any]
    warnings: tuple[str, ...] = ()


def variant_of(base: Scaling, changes: Mapping[str, Any], label: str = "") -> Variant:
    """`base` with `changes`, the fields of a target's `scaling` as a policy's document writes them.

    Raises:
        VariantInvalid: with all that is wrong.
    """
    scaling = {**base.model_dump(mode="json", exclude_none=True), **changes}
    scaling = {name: value for name, value in scaling.items() if value is not None}
    label = label or ", ".join(f"{name}={_written(value)}" for name, value in changes.items()) or TODAY
    target = {"name": _NAME, "deployment": _DEPLOYMENT, "queue": _QUEUE, "scaling": scaling}
    try:
        reviewed = review_policy(json.dumps({"version": 1, "targets": [target]}), label)
    except PolicyInvalid as error:
        raise VariantInvalid(" ".join(_words(problem) for problem in error.problems)) from error
    warnings = tuple(_words(one) for one in reviewed.warnings if ".scaling" in one.path)
    return Variant(label=label, policy=reviewed.policy.targets[0].scaling, changes=dict(changes), warnings=warnings)


def variants_of(base: Scaling, changes: Sequence[Mapping[str, Any]]) -> tuple[Variant, ...]:
    """Today's policy first, then each of `changes`.

    Raises:
        VariantInvalid: too many, or one is no policy; says which, and all that is wrong with it.
    """
    if len(changes) > MOST_VARIANTS:
        raise VariantInvalid(f"{len(changes)} variants are given; compare at most {MOST_VARIANTS} at a time.")
    found = [variant_of(base, {}, TODAY)]
    for number, change in enumerate(changes, start=1):
        try:
            found.append(variant_of(base, change))
        except VariantInvalid as error:
            raise VariantInvalid(f"variant {number}: {error}") from error
    return tuple(found)


def _words(problem: Problem) -> str:
    field = problem.path.removeprefix(_PLACE).removeprefix(".scaling").partition(" (")[0].removeprefix(".")
    place = "" if problem.reason.startswith(field) else f"{field}: "
    return f"{place}{problem.reason}. {problem.remedy}"


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
