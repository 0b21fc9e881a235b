"""The gates that stand inside the act: mode, kill switch, pause. Each refusal has its own reason and remedy.

Pure: the act hands in what it has just read. A gate never trusts what a sweep saw earlier.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.domain import Intent, Mode
from shared.records.controls import Controls


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why the act may not happen now: a stable code, a reason and what to do about it."""

    code: str
    reason: str
    remedy: str

    @property
    def sentence(self) -> str:
        return f"{self.reason} {self.remedy}"


def allowed_mode(mode: Mode, controls: Controls, loop: str, target_name: str) -> Mode:
    """The mode that is left under the kill switch: what it stops is observed, not acted on."""
    return "observe" if mode == "enforce" and controls.kill_for(loop, target_name) else mode


def refusal(
    mode: Mode, controls: Controls, intents: Iterable[Intent], loop: str, target_name: str, now: datetime
) -> Refusal | None:
    """The first gate that is shut for one action of `loop` on a target, or None.

    `intents` are the live intents on that target and dimension; a hold among them that came after the decision counts.
    """
    kill = controls.kill_for(loop, target_name)
    if kill is not None:
        return Refusal(
            code="kill_switch",
            reason=f"Kill switch for {kill.scope}: on since {kill.at:%Y-%m-%d %H:%M} UTC ({kill.by}: {kill.reason}).",
            remedy="Turn it off with DELETE /api/kill-switch when it is safe to act again.",
        )
    if mode != "enforce":
        return Refusal(
            code=f"mode_{mode}",
            reason=f"The mode of {loop} for {target_name} is {mode}.",
            remedy="Set loop and target to enforce in the policy to let it act.",
        )
    pause = controls.pause_for(loop, target_name)
    if pause is not None:
        return Refusal(
            code="paused",
            reason=f"{pause.scope} is paused by {pause.by}: {pause.reason}.",
            remedy="Resume with POST /api/resume, or wait until the pause ends.",
        )
    for intent in intents:
        if intent.kind == "hold" and intent.source in ("manual_change", "person", "rollout") and intent.is_live(now):
            return Refusal(code=intent.rule, reason=intent.reason, remedy="It ends by itself at its expiry.")
    return None
