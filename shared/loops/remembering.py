"""What a loop remembers of the decisions on its target.

A change is remembered as if it had happened, but for one that waits for people or that a gate will refuse: while that
lasts the loop goes on saying what it wants on what it sees. It is remembered once its act has begun.
"""

from dataclasses import replace

from shared.domain import Decision, TargetRecord
from shared.loops.looks import Look, Scene
from shared.loops.waiting import begun, noted


def adopt_pending(scene: Scene, look: Look) -> None:
    """Remember a decision that waits, where the round that took it could not (it was cut off, or overtaken)."""
    desired = scene.desired(look)
    if desired is None:
        return
    if (approved := begun(look.record, desired, scene.action(look))) is not None:
        look.record = _with_change(look, approved)
    elif scene.is_pending(look) and desired.plan_hash not in (look.record.recorded_plan, look.record.waiting_plan):
        look.record = with_decision(scene, look, desired)


def with_decision(scene: Scene, look: Look, decision: Decision, *, refused: bool = False) -> TargetRecord:
    """The memory once `decision` was taken; `refused`: a gate would not let it through."""
    if scene.mode(look) == "enforce" and (refused or scene.needs(look, decision) is not None):
        return noted(look.record, decision.plan_hash)
    return _with_change(look, decision)


def with_hold(look: Look) -> TargetRecord:
    """The memory once it was decided to leave things."""
    return replace(look.record, holds=look.record.holds + 1)


def _with_change(look: Look, decision: Decision) -> TargetRecord:
    return replace(
        look.loop.after_change(look.record, decision),
        recorded_plan=decision.plan_hash,
        waiting_plan="",
        decisions=look.record.decisions + 1,
    )


def with_shadow(scene: Scene, look: Look, decision: Decision | None) -> TargetRecord:
    """The memory with what the decision would have come to."""
    wanted = None if decision is None or look.hesitates(decision) else decision.to
    return look.loop.after_look(look.record, look.snapshot, look.target, wanted, scene.now)
