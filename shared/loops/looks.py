"""What a round works on: its looks at one endpoint's targets, and the scene, which is what stood when it began."""

from dataclasses import dataclass, field
from datetime import datetime

from shared.domain import (
    Act,
    Action,
    Decision,
    Intent,
    Mode,
    Place,
    Requirement,
    ScalingSnapshot,
    TargetRecord,
)
from shared.loops.base import Loop
from shared.loops.gatekeeper import Plan
from shared.loops.waiting import Waiting
from shared.policy import Policy, Target
from shared.records.controls import Controls
from shared.records.state import EndpointState, Row
from shared.safety.mode import allowed_mode


@dataclass(slots=True)
class Look:
    """One loop's view of one target; all but the first three are filled in by the round."""

    loop: Loop
    target: Target
    snapshot: ScalingSnapshot
    before: TargetRecord = field(default_factory=TargetRecord)
    decided_on: TargetRecord = field(default_factory=TargetRecord)
    record: TargetRecord = field(default_factory=TargetRecord)
    intents: tuple[Intent, ...] = ()
    noticed: Intent | None = None

    @property
    def key(self) -> str:
        return self.target.deployment_id.key

    @property
    def place(self) -> Place:
        return self.target.place(self.loop.name)

    def hesitates(self, decision: Decision) -> bool:
        """The loop itself holds: it cannot see, or a cool-down runs. It has not changed its mind."""
        return any(intent.kind == "hold" and intent.rule == decision.rule for intent in self.intents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """One endpoint as its round found it: the policy and what people switched, and what is stored of it."""

    endpoint_key: str
    policy: Policy
    controls: Controls
    state: EndpointState
    waiting: Waiting
    now: datetime

    def record_row(self, look: Look) -> Row[TargetRecord] | None:
        """What was remembered of the target."""
        return self.state.targets.get(look.key)

    def desired_row(self, look: Look) -> Row[Decision] | None:
        """Its desired state, to be swapped."""
        return self.state.desired.get((look.key, "capacity"))

    def desired(self, look: Look) -> Decision | None:
        row = self.desired_row(look)
        return row.value if row else None

    def action(self, look: Look) -> Action | None:
        """The last one, under way or over."""
        row = self.state.actions.get((look.key, "capacity"))
        return row.value if row else None

    def is_in_flight(self, look: Look) -> bool:
        action = self.action(look)
        return action is not None and action.is_in_flight

    def is_pending(self, look: Look) -> bool:
        return is_pending(self.desired(look), self.action(look))

    def mode(self, look: Look) -> Mode:
        """How far the loop may go here, by the policy and by what people switched."""
        return allowed_mode(look.loop.mode(self.policy, look.target), self.controls, look.place)

    def needs(self, look: Look, decision: Decision) -> Requirement | None:
        """Whom this plan would wait for, None if for nobody."""
        return self.waiting.needs(look.target, look.place, decision)

    def plan(self, look: Look, act: Act, decision: Decision | None) -> Plan:
        """What the gates would be asked about this target now."""
        near = (look.key, self.endpoint_key)
        standing = [row.value for row in self.state.intents if row.value.target in near]
        mode = look.loop.mode(self.policy, look.target)
        intents = (*standing, *([look.noticed] if look.noticed else []))
        return Plan(target=look.target, place=look.place, mode=mode, act=act, decision=decision, intents=intents)


def is_pending(desired: Decision | None, action: Action | None) -> bool:
    """Whether a decision waits to be carried out, or is just being carried out."""
    if desired is None or not desired.changes:
        return False
    return action is None or action.key != desired.id or not action.is_over
