"""Scheduled loads, budgets and zero in documents: what they mean, what is refused, what is odd, what a project may."""

from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from shared.policy import Scaling, load_policy
from tests.policy.documents import as_yaml, document, problems_in, target, warnings_in
from tests.policy.two_layers import deployment_in, findings, merged, platform, project

NIGHTLY: dict[str, Any] = {
    "name": "nightly",
    "zone": "W. Europe Standard Time",
    "weekly": {"days": ["mon", "fri"], "from": "02:00", "until": "03:00"},
    "min": 6,
}


def scaling_of(*targets: dict[str, Any], **fields: Any) -> Scaling:
    return load_policy(as_yaml(document(*targets, **fields)), "policy.yaml").targets[0].scaling


def test_a_schedule_is_inherited_and_taken_as_a_whole() -> None:
    defaults = {"max": 9, "schedule": [NIGHTLY]}
    assert [load.name for load in scaling_of(defaults=defaults).schedule] == ["nightly"]
    own = scaling_of(target(scaling={"schedule": [NIGHTLY | {"name": "own"}]}), defaults=defaults)
    assert [load.name for load in own.schedule] == ["own"]
    assert scaling_of(target(scaling={"schedule": []}), defaults=defaults).schedule == ()
    assert Scaling.model_validate(own.model_dump(mode="json")) == own, "the ledger holds it, and replays it"


def test_zero_is_not_allowed_unless_it_is_written() -> None:
    assert scaling_of().zero is None
    zero = scaling_of(target(scaling={"zero": {"restore_s": 600}})).zero
    assert zero is not None
    assert (zero.after_idle_s, zero.restore_s, zero.late_message_usd) == (3600, 600, None)
    assert scaling_of(target(scaling={"zero": None}), defaults={"max": 6, "zero": {}}).zero is None


@pytest.mark.parametrize(
    ("changed", "at", "words"),
    [
        ({"zone": "Europe/Brelin"}, "zone", "Did you mean `Europe/Berlin`?"),
        ({"weekly": None}, "", "says not when. Give exactly one of once, weekly, dates, holidays."),
        ({"dates": ["2026-01-31"]}, "", "says when by weekly and dates"),
        ({"min": 0}, ".min", "1"),
        ({"min": 7}, ".min", "is 7, more than max, which is 6. Raise max or lower it."),
        ({"lasts_s": 60}, ".lasts_s", ""),
    ],
)
def test_what_is_wrong_with_a_scheduled_load(changed: dict[str, Any], at: str, words: str) -> None:
    written = {key: value for key, value in (NIGHTLY | changed).items() if value is not None}
    problems = problems_in(target(scaling={"max": 6, "schedule": [written]}))
    path = next(path for path in problems if path.startswith("targets[0].scaling.schedule[0]"))
    assert at in path
    assert words in problems[path]


def test_two_scheduled_loads_of_one_name() -> None:
    problems = problems_in(target(scaling={"schedule": [NIGHTLY, NIGHTLY]}))
    assert problems == {
        "targets[0].scaling.schedule[1].name": "is also the name of schedule[0]. Give each its own name."
    }


@pytest.mark.parametrize(
    ("scaling", "words"),
    [
        ({"budget_usd_per_hour": 0}, "0.01"),
        ({"budget_usd_per_hour": True}, "number"),
        (
            {"budget_usd_per_hour": 5, "price_usd_per_hour": 3, "min": 2},
            "budget_usd_per_hour is 5, but min is 2, at price",
        ),
    ],
)
def test_a_budget_that_cannot_be(scaling: dict[str, Any], words: str) -> None:
    problems = problems_in(target(scaling=scaling))
    assert words in problems["targets[0].scaling.budget_usd_per_hour"]


def test_a_budget_that_keeps_max_from_being_reached_is_odd_and_one_without_a_price_too() -> None:
    at = "targets[0].scaling.budget_usd_per_hour"
    assert (
        "max is never reached" in warnings_in(target(scaling={"budget_usd_per_hour": 5, "price_usd_per_hour": 1}))[at]
    )
    assert "no price is written" in warnings_in(target(scaling={"budget_usd_per_hour": 5}))[at]
    assert at not in warnings_in(target(scaling={"budget_usd_per_hour": 6, "price_usd_per_hour": 1}))


class TestTheLimitOfThePlatform:
    LIMIT: ClassVar[Mapping[str, Any]] = {"budget_usd_per_hour": 10}

    @pytest.mark.parametrize(("own", "held"), [(None, 10), (4, 4)])
    def test_holds_every_target(self, own: float | None, held: float) -> None:
        scaling = {} if own is None else {"budget_usd_per_hour": own}
        assert scaling_of(target(scaling=scaling), limits=dict(self.LIMIT)).budget_usd_per_hour == held

    def test_is_not_exceeded_by_the_platforms_own_targets(self) -> None:
        problems = problems_in(target(scaling={"budget_usd_per_hour": 12}), limits=dict(self.LIMIT))
        at = "targets[0].scaling.budget_usd_per_hour"
        assert problems[at].startswith("is 12, more than limits.budget_usd_per_hour, which is 10.")

    @pytest.mark.parametrize(("own", "held"), [(None, 10), (4, 4), (12, 10)])
    def test_holds_projects_too_and_more_is_a_problem_of_theirs(self, own: float | None, held: float) -> None:
        scaling = {} if own is None else {"budget_usd_per_hour": own}
        one = project("red", target(deployment=deployment_in("red"), scaling=scaling))
        whole = platform(limits=dict(self.LIMIT))
        (chat,) = merged(whole, one).policy.targets
        assert chat.scaling.budget_usd_per_hour == held
        found = findings(whole, one).get("red.yaml", {})
        assert list(found) == (["targets[0].scaling.budget_usd_per_hour"] if own == 12 else [])

    def test_may_be_lowered_by_a_project_and_by_an_environment_but_not_raised(self) -> None:
        lower = platform(limits=dict(self.LIMIT), environments={"prod": {"limits": {"budget_usd_per_hour": 8}}})
        (chat,) = merged(lower, project("red", limits={"budget_usd_per_hour": 5})).policy.targets
        assert chat.scaling.budget_usd_per_hour == 5
        (chat,) = merged(lower, project("red")).policy.targets
        assert chat.scaling.budget_usd_per_hour == 8
        found = findings(platform(limits=dict(self.LIMIT)), project("red", limits={"budget_usd_per_hour": 20}))
        assert "is 20, more than the platform's 10" in found["red.yaml"]["limits.budget_usd_per_hour"]

    def test_a_scheduled_load_of_a_project_is_held_to_its_max(self) -> None:
        one = project("red", target(deployment=deployment_in("red"), scaling={"schedule": [NIGHTLY | {"min": 9}]}))
        found = findings(platform(), one)["red.yaml"]
        assert found == {
            "targets[0].scaling.schedule": "'nightly' has min 9, more than max, which is 6. "
            "Raise max or lower the load's min."
        }
