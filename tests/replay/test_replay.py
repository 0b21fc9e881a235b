"""Recorded decisions are decided again: equal where nothing was touched, and told apart wherever something was."""

import copy
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from pydantic import JsonValue

from shared.decisions.arbitration import Subject, fold
from shared.domain import Fresh, Intent, ScalingMemory, ScalingSnapshot, TargetRecord
from shared.loops.evidence import decision_entry
from shared.loops.scaling import make_loop
from shared.policy import Scaling, Target
from shared.replay import replay
from tests.decisions.anything import memories, policies, snapshots
from tests.decisions.builders import NOW, TARGET, later, policy, snapshot
from tests.policy.documents import deployment_id, queue_id

if TYPE_CHECKING:
    from shared.estate.reader import EstateReader

Body = dict[str, JsonValue]

SEEN = snapshot(later(0), depth=3000, completions_per_s=2, capacity=2)


def body_of(
    seen: ScalingSnapshot = SEEN,
    memory: ScalingMemory | None = None,
    rules: Scaling | None = None,
    others: tuple[Intent, ...] = (),
) -> Body:
    """The body of a ledger entry, made of the parts of a round and read back from its JSON text."""
    target = Target(name="blue", deployment=deployment_id("blue"), queue=queue_id("chat"), scaling=rules or policy())
    record = TargetRecord(decisions=3, scaling=memory or ScalingMemory())
    seen = replace(seen, target=target.deployment_id.key)
    assert isinstance(seen.capacity, Fresh)
    loop = make_loop(cast("EstateReader", None))
    own, _ = loop.decide(seen, record, target, NOW)
    intents = [replace(other, target=seen.target) for other in others] + list(own)
    subject = Subject(current=int(seen.capacity.value), policy_version="v1", decisions=record.decisions)
    decision = fold(seen.target, "capacity", subject, intents, NOW)
    entry = decision_entry(decision, intents, seen, record, target, "scaling", "enforce", "sweep")
    return cast("Body", json.loads(json.dumps(entry.body)))


def standing(kind: Any, source: Any, value: int | None = None, lasts_s: float = 3600) -> Intent:
    return Intent(
        target=TARGET,
        dimension="capacity",
        kind=kind,
        source=source,
        rule=f"{source}_{kind}",
        reason=f"{source} says {kind}",
        at=NOW,
        value=value,
        expires_at=later(lasts_s),
    )


def changed(body: Body, value: JsonValue, *path: str | int) -> Body:
    """A copy in which one value is another."""
    copied: Any = copy.deepcopy(body)
    place = copied
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    return cast("Body", copied)


def test_a_decision_comes_out_as_recorded() -> None:
    assert replay(body_of()) == replay(body_of(), "scaling")
    assert replay(body_of()).matches
    assert replay(body_of()).differences == ()


@given(snapshots, memories, policies())
def test_any_decision_comes_out_as_recorded(seen: ScalingSnapshot, memory: ScalingMemory, rules: Scaling) -> None:
    if isinstance(seen.capacity, Fresh) and seen.ordered is None:
        assert replay(body_of(seen, memory, rules)).differences == ()


def test_what_others_wanted_is_arbitrated_again() -> None:
    others = (
        standing("floor", "platform", 3),
        standing("ceiling", "budget", 5),
        standing("hold", "manual_change", lasts_s=-1),
    )
    body = body_of(others=others)
    assert cast("dict[str, Any]", body["decision"])["to"] == 5
    assert replay(body).matches


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (3001.0, ("snapshot", "depth", "value")),
        (4.0, ("snapshot", "capacity", "value")),
        ("cpu-rule", ("snapshot", "autoscale_setting")),
        ("2026-01-05T12:29:30Z", ("record", "scaling", "changed_at")),
        (10, ("record", "decisions")),
        (4, ("target", "scaling", "max")),
        (6, ("decision", "to")),
        ("other words", ("decision", "reason")),
        ("0123456789abcdef", ("plan",)),
        ("other words", ("intents", 0, "reason")),
    ],
)
def test_what_was_tampered_with_is_found(value: JsonValue, path: tuple[str | int, ...]) -> None:
    outcome = replay(changed(body_of(), value, *path))
    assert not outcome.matches
    assert all(" now " in difference for difference in outcome.differences)


def test_the_difference_is_told_in_words() -> None:
    outcome = replay(changed(body_of(), 6, "decision", "to"))
    assert "decision.to is recorded as 6, now it is 10." in outcome.differences


def test_a_floor_that_was_removed_is_found() -> None:
    body = body_of(others=(standing("floor", "platform", 15),))
    intents = cast("list[dict[str, Any]]", body["intents"])
    assert replay(body).matches
    assert not replay(body | {"intents": [each for each in intents if each["source"] != "platform"]}).matches


@pytest.mark.parametrize("part", ["decision", "snapshot", "record"])
def test_what_a_newer_release_wrote_is_said_to_be_so(part: str) -> None:
    outcome = replay(changed(body_of(), 99, part, "schema"))
    assert not outcome.matches
    assert "newer release" in outcome.differences[0]
    assert "schema 99" in outcome.differences[0]


def test_a_target_with_fields_of_a_newer_release_is_said_to_be_unknown() -> None:
    body = body_of()
    scaling = cast("Any", body["target"])["scaling"] | {"forecast": True}
    outcome = replay(changed(body, scaling, "target", "scaling"))
    assert not outcome.matches
    assert "scaling.forecast" in outcome.differences[0]


@pytest.mark.parametrize("part", ["decision", "intents", "snapshot", "record", "target"])
def test_a_part_that_is_gone_is_named(part: str) -> None:
    body = body_of()
    del body[part]
    assert replay(body).differences == (f"It cannot be decided again: the entry lacks {part}.",)


def test_a_loop_that_this_release_lacks_is_named() -> None:
    assert "no loop 'rollout', only scaling" in replay(body_of(), "rollout").differences[0]


@pytest.mark.parametrize("nonsense", [None, 7, "text", {}, [7]])
@pytest.mark.parametrize("part", ["decision", "intents", "snapshot", "record", "target"])
def test_nonsense_is_a_difference_and_never_an_error(part: str, nonsense: JsonValue) -> None:
    outcome = replay(body_of() | {part: nonsense})
    assert not outcome.matches
    assert outcome.differences
