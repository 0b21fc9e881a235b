"""Exemptions and regions: what stands against an act, in words."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.records.exemptions import Exemption, Exemptions
from shared.records.gates import GateRecords
from shared.safety.exemptions import TAG, TagExemption, tag_exemption
from shared.safety.facts import Refusal
from tests.safety.builders import NOW, asked, facts, plan, policy


def exemption(**changes: Any) -> Exemption:
    fields: dict[str, Any] = {
        "scope": "target:chat",
        "acts": "all",
        "reason": "a demo for the board",
        "owner": "talk@example.com",
        "by": "ada",
        "at": NOW,
        "expires_at": NOW + timedelta(days=2),
    }
    return Exemption(**fields | changes)


def judged(*stored: Exemption, **changes: Any) -> Any:
    return asked("exemption", facts(records=GateRecords(exemptions=Exemptions(stored)), **changes))


def test_the_words() -> None:
    assert judged(exemption()) == Refusal(
        code="exempt",
        reason="target:chat is exempt from all changes until 2026-03-13 09:30 UTC (talk@example.com, by ada): "
        "a demo for the board.",
        remedy="End it with DELETE /api/exemptions, or wait until it runs out.",
    )


def test_it_ends_by_itself() -> None:
    assert judged(exemption(), now=NOW + timedelta(days=2) - timedelta(seconds=1)) is not None
    assert judged(exemption(), now=NOW + timedelta(days=2)) is None


@pytest.mark.parametrize("scope", ["all", "loop:scaling", "project:talk", "workspace:LAB", "target:chat"])
def test_scopes(scope: str) -> None:
    assert judged(exemption(scope=scope)) is not None
    assert judged(exemption(scope="target:ocr")) is None


def test_kinds_of_acts() -> None:
    shrink_only = exemption(acts="shrink")
    assert judged(shrink_only) is not None
    assert asked("exemption", facts(plan(2, 3), records=GateRecords(exemptions=Exemptions((shrink_only,))))) is None


def test_the_one_that_lasts_longest_is_named() -> None:
    longer = exemption(scope="all", expires_at=NOW + timedelta(days=9), reason="an audit")
    assert "an audit" in judged(exemption(), longer).reason


# ---- by a tag


@pytest.mark.parametrize("until", ["2026-03-20", "2026-03-20T08:00Z", " 2026-03-20 09:00+01:00 "])
def test_a_tag_exempts_until_its_end(until: str) -> None:
    tags = {"Watchkeeper-Exempt": f"load test|until={until}"}
    shut = judged(tags=tags)
    assert shut.code == "exempt"
    assert "by its tag watchkeeper-exempt until 2026-03-20" in shut.reason
    assert "load test" in shut.reason
    assert judged(tags=tags, now=datetime(2026, 3, 20, 8, tzinfo=UTC)) is None


@pytest.mark.parametrize("text", ["please do not touch", "", "x|until=soon", "x|until=0001-01-01", "x|to=2026-03-20"])
def test_a_tag_that_cannot_be_read_exempts_and_says_so(text: str) -> None:
    shut = judged(tags={TAG: text})
    assert shut.code == "exempt"
    assert "reason|until=" in shut.remedy


def test_a_tag_that_lasts_too_long_says_so() -> None:
    assert "more than the 90 days" in judged(tags={TAG: "x|until=2027-03-20"}).remedy


def test_other_tags_say_nothing() -> None:
    assert tag_exemption({"team": "talk"}) is None
    assert tag_exemption({TAG: "x | until=2026-01-02"}) == TagExemption("x", datetime(2026, 1, 2, tzinfo=UTC))


@given(st.text(max_size=80))
def test_any_tag_is_answered(text: str) -> None:
    shut = judged(tags={TAG: text})
    assert shut is None or shut.code == "exempt"


# ---- regions


def test_regions() -> None:
    in_force = policy(limits={"allowed_regions": ["West Europe", "northeurope"]})
    assert asked("region", facts(policy=in_force, region="westeurope")) is None
    assert asked("region", facts(policy=in_force, region="eastus")) == Refusal(
        code="region_not_allowed",
        reason="The deployment is in eastus; policy allows changes in westeurope, northeurope.",
        remedy="Add the region to limits.allowed_regions, or set the target's mode to off.",
    )
    unknown = asked("region", facts(policy=in_force, region=""))
    assert unknown is not None
    assert "could not be read" in unknown.reason
    assert asked("region", facts(region="eastus")) is None, "without the limit, all"
