"""The order of the gates, and those that people switch: mode, kill switch, holds."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain import Intent, Mode, act_of
from shared.records.controls import Controls, KillSwitch, Pause
from shared.safety.facts import Refusal
from shared.safety.gates import GATES, first_shut, gate_states
from tests.safety.builders import NOW, asked, facts, plan, policy

SCOPES = ("all", "loop:scaling", "project:talk", "workspace:lab", "target:chat")


def killed(scope: str) -> Controls:
    return Controls({}, {scope: KillSwitch(scope=scope, reason="incident 12", by="ada", at=NOW)})


def paused(scope: str) -> Controls:
    return Controls({scope: Pause(scope=scope, reason="a demo", by="bob", at=NOW)}, {})


def test_every_gate_is_open_where_nothing_stands_against_the_act() -> None:
    assert first_shut(facts()) is None
    assert [state.name for state in gate_states(facts())] == list(GATES)


def test_the_act_hears_of_the_first_and_operators_see_every_one() -> None:
    judged = facts(controls=Controls(paused("all").pauses, killed("all").kill_switches), mode="observe")
    shut = first_shut(judged)
    assert shut is not None
    assert shut.code == "kill_switch"
    codes = {state.name: state.shut.code for state in gate_states(judged) if state.shut}
    assert codes == {"kill_switch": "kill_switch", "mode": "mode_observe", "hold": "paused"}


@pytest.mark.parametrize("scope", SCOPES)
def test_a_kill_switch_stops_its_scope(scope: str) -> None:
    shut = asked("kill_switch", facts(controls=killed(scope)))
    assert shut == Refusal(
        code="kill_switch",
        reason=f"Kill switch for {scope}: on since 2026-03-11 09:30 UTC (ada: incident 12).",
        remedy="Turn it off with DELETE /api/kill-switch when it is safe to act again.",
    )


@pytest.mark.parametrize("scope", ["loop:budget", "project:other", "workspace:labs", "target:ocr"])
def test_a_kill_switch_stops_nothing_else(scope: str) -> None:
    assert asked("kill_switch", facts(controls=killed(scope))) is None


@pytest.mark.parametrize("mode", ["off", "observe"])
def test_only_enforce_acts(mode: Mode) -> None:
    shut = asked("mode", facts(mode=mode))
    assert shut is not None
    assert (shut.code, shut.reason) == (f"mode_{mode}", f"The mode of scaling for chat is {mode}.")


@pytest.mark.parametrize("scope", SCOPES)
def test_a_pause_holds_its_scope(scope: str) -> None:
    shut = asked("hold", facts(controls=paused(scope)))
    assert shut is not None
    assert (shut.code, shut.reason) == ("paused", f"{scope} is paused by bob: a demo.")


def test_a_hold_counts_until_its_expiry() -> None:
    hold = Intent(
        target=policy().targets[0].deployment_id.key,
        dimension="capacity",
        kind="hold",
        source="manual_change",
        rule="manual_change",
        reason="somebody set it to 4",
        at=NOW,
        expires_at=NOW + timedelta(hours=1),
    )
    shut = asked("hold", facts(intents=(hold,)))
    assert shut is not None
    assert (shut.code, shut.reason) == ("manual_change", "somebody set it to 4")
    assert asked("hold", facts(intents=(hold,), now=NOW + timedelta(hours=1))) is None
    assert asked("hold", facts(intents=(replace(hold, source="platform"),))) is None


def test_a_rollouts_hold_yields_to_a_safety_floor_and_ends_with_its_lease() -> None:
    deployment = policy().targets[0].deployment_id
    hold = Intent(
        target=deployment.key,
        dimension="capacity",
        kind="hold",
        source="rollout",
        rule="under_analysis",
        reason="it is being compared",
        at=NOW,
        holder="rollout-17",
    )
    lease = replace(
        hold, target=deployment.endpoint_key, dimension="traffic", kind="lease", expires_at=NOW + timedelta(hours=1)
    )
    shut = asked("hold", facts(intents=(hold, lease)))
    assert shut is not None
    assert shut.code == "under_analysis"
    assert asked("hold", facts(plan(winner="platform"), intents=(hold, lease))) is None
    assert asked("hold", facts(intents=(hold, lease), now=NOW + timedelta(hours=1))) is None
    assert asked("hold", facts(intents=(hold, replace(lease, holder="rollout-18")))) is None


def test_what_a_lease_gave_the_right_to_is_done_under_it_or_not_at_all() -> None:
    endpoint = policy().targets[0].deployment_id.endpoint_key
    until = NOW + timedelta(hours=1)
    lease = Intent(
        target=endpoint,
        dimension="traffic",
        kind="lease",
        source="rollout",
        rule="rollout",
        reason="a rollout",
        at=NOW,
        expires_at=until,
        holder="rollout-17",
    )
    leased = plan(holder="rollout-17", lease_until=until, winner="rollout")
    assert asked("lease", facts(leased, intents=(lease,))) is None
    assert asked("lease", facts(intents=())) is None
    for intents, now, code in (
        ((lease,), until, "lease_over"),
        ((), NOW, "lease_lost"),
        ((replace(lease, source="person", holder="ann"), lease), NOW, "lease_lost"),
    ):
        shut = asked("lease", facts(leased, intents=intents, now=now))
        assert shut is not None
        assert shut.code == code


def test_what_was_decided_before_a_rollout_is_not_done_against_it() -> None:
    deployment = policy().targets[0].deployment_id
    floor = Intent(
        target=deployment.key,
        dimension="capacity",
        kind="floor",
        source="rollout",
        rule="stable_side",
        reason="it may have to take everything back",
        at=NOW,
        value=3,
        holder="rollout-17",
    )
    lease = replace(
        floor, target=deployment.endpoint_key, dimension="traffic", kind="lease", expires_at=NOW + timedelta(hours=1)
    )
    shut = asked("lease", facts(plan(3, 2), intents=(floor, lease)))
    assert shut is not None
    assert (shut.code, shut.reason) == ("stable_side", "it may have to take everything back")
    assert asked("lease", facts(plan(3, 4), intents=(floor, lease))) is None
    assert asked("lease", facts(plan(3, 2), intents=(floor,))) is None


def test_the_kinds_of_acts() -> None:
    assert plan(2, 3).act == "growth"
    assert plan(3, 2).act == "shrink"
    assert [act_of("existence", 0, 1), act_of("existence", 1, 0)] == ["growth", "delete"]
    assert [act_of("traffic", 0, 100), act_of("jobs", 1, 0)] == ["traffic", "jobs"]
