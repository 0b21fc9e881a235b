"""A document that is wrong in one place is judged in all others: every error at once."""

from typing import Any

import pytest

from shared.policy import PolicyInvalid
from shared.policy.merge import Merger
from tests.policy.documents import as_yaml, target
from tests.policy.two_layers import deployment_in, platform, project, read, read_one

LOOSE = {"limits": {"max_instances": 9}}
DAY = {"name": "day", "reason": "r", "zone": "UTC", "dates": ["2026-12-24"]}


def judged(**fields: Any) -> dict[str, str]:
    """Path (without a target's name) and what the line says: `reason. remedy`."""
    whole = project("red", **fields)
    with pytest.raises(PolicyInvalid) as refused:
        read_one(whole)
    text = as_yaml(whole).splitlines()
    problems = Merger(read(platform(limits={"max_instances": 6}))).problems_of(refused.value)
    return {one.path.split(" ")[0]: f"{text[(one.line or 1) - 1].strip()}: {one.reason}" for one in problems}


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"freezes": [DAY | {"zone": "Europe/Berln"}]}, "freezes[0].zone"),
        ({"freezes": [{"name": "day", "reason": "r", "zone": "UTC"}]}, "freezes[0]"),
        ({"freezes": [DAY | {"scopes": []}]}, "freezes[0].scopes"),
        ({"floors": [{"match": "chat", "reason": "r"}]}, "floors[0].min_instances"),
        ({"notices": {"channels": [{"name": "chat", "kind": "teams"}]}}, "notices.channels[0]"),
        ({"defaults": {"service_rate": {"per_instance_per_s": "x"}}}, "defaults.service_rate.per_instance_per_s"),
        ({"targets": [target(deployment="blue")]}, "targets[0].deployment"),
        ({"freezes": "none"}, "freezes"),
    ],
)
def test_what_loosens_is_told_beside_a_wrong_field(wrong: dict[str, Any], path: str) -> None:
    told = judged(**LOOSE | wrong)
    assert set(told) == {path, "limits.max_instances"}
    assert told["limits.max_instances"].startswith("max_instances: 9: is 9, more than the platform's 6")


def test_what_comes_after_an_item_that_is_left_out_keeps_its_place() -> None:
    wrong, stranger = DAY | {"zone": "x"}, DAY | {"scopes": ["target:chat", "nowhere", "project:green"]}
    told = judged(freezes=[wrong, DAY, wrong, stranger], floors=[{"match": "*"}, {"match": "*", "min_instances": 7}])
    assert told["freezes[3].scopes"].startswith("scopes:: is 'project:green', but")
    assert "nowhere" in told["freezes[3].scopes[1]"]
    assert {"freezes[0].zone", "freezes[2].zone"} < set(told)


def test_nobody_is_blamed_for_naming_a_target_that_could_not_be_read() -> None:
    wrong = [target(deployment="blue"), target("ocr", deployment=deployment_in("red", "ocr"))]
    told = judged(targets=wrong, freezes=[DAY | {"scopes": ["target:chat"]}], **LOOSE)
    assert set(told) == {"targets[0].deployment", "limits.max_instances"}


def test_the_second_target_is_judged_where_the_first_cannot_be_read() -> None:
    told = judged(targets=[target(deployment="blue"), target("ocr", deployment=deployment_in("green", "ocr"))])
    assert "belongs to the project 'green'" in told["targets[1].deployment"]


def test_a_document_that_does_not_say_whose_it_is_is_judged_by_itself() -> None:
    with pytest.raises(PolicyInvalid) as refused:
        read_one(project("red", **LOOSE) | {"project": "Not A Name"})
    assert [one.path for one in Merger(read(platform())).problems_of(refused.value)] == ["project"]
