"""What must be true at the moment of the act, on fresh state: gates, deployment, other writers, quota."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from shared.changes import capacity
from shared.domain import ApprovalRequest, Decision, DeploymentId, Fresh, Requirement, TargetRecord
from shared.domain.provisioning import is_settled
from shared.estate.arm import Arm
from shared.estate.deployments import DeploymentView
from shared.estate.secret_failures import VaultUnreachable
from shared.policy import Limits, Policy, PolicyCache, Target
from shared.records.controls import ControlStore
from shared.records.gates import GateStore
from shared.records.state import StateStore
from shared.safety.approvals.desk import ApprovalDesk
from shared.safety.approvals.rules import judged, needed_for
from shared.safety.belts import Belts
from shared.safety.facts import ActFacts, AsksPeople, Shut, Wait
from shared.safety.gates import first_shut

if TYPE_CHECKING:
    from shared.estate.autoscale import AutoscaleReader
    from shared.estate.quota import QuotaReader

# The act belongs to the loop that decides on this dimension.
LOOP = "scaling"
BUSY_WAIT_S, BLIND_WAIT_S = 15.0, 30.0


class NotNow(Exception):
    """Not yet: somebody else's operation runs. Look again after `retry_after_s`."""

    def __init__(self, reason: str, retry_after_s: float) -> None:
        super().__init__(reason)
        self.retry_after_s = retry_after_s


class ActRefused(Exception):
    """Not this plan: a stable code, the reason with its remedy, and what was read. `backs_off`: not again at once."""

    def __init__(self, code: str, reason: str, observed: int | None = None, *, backs_off: bool = False) -> None:
        super().__init__(reason)
        self.code, self.observed, self.backs_off = code, observed, backs_off


class WaitsForPeople(Exception):
    """The plan stands and waits for its approval. Nobody polls for that: the answer or a sweep starts the act again."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """The act may happen now on `view`; `by_approval`: only with the approval of its decision, which it uses up."""

    view: DeploymentView
    by_approval: bool


BLIND = ("depth_unknown", "capacity_unknown", "data_incomplete")
"""Rules of a last look that saw too little to shrink on; a plan that people approved hours ago is no exception."""


class Preconditions:
    """Reads everything afresh; a check that cannot be read refuses, because nothing acts blind."""

    def __init__(
        self,
        *,
        arm: Arm,
        quota: "QuotaReader",
        autoscale: "AutoscaleReader",
        state: StateStore,
        controls: ControlStore,
        policies: PolicyCache,
        approvals: ApprovalDesk,
        gates: GateStore,
        belts: Belts,
        now: Callable[[], datetime],
    ) -> None:
        self._gates_store, self._belts = gates, belts
        self._arm, self._quota, self._autoscale = arm, quota, autoscale
        self._approvals = approvals
        self._state, self._controls, self._policies, self._now = state, controls, policies, now

    async def check(self, decision: Decision) -> Cleared:
        """The deployment as it is, if the decision may be carried out on it now.

        Raises:
            NotNow: an operation runs on the deployment.
            WaitsForPeople: it must be approved first; those who may have been asked by now.
            ActRefused: a gate is shut, or the plan does not fit what is there any more.
        """
        policy = await self._policies.current(fresh=True)
        target = next((t for t in policy.targets if t.deployment_id.key == decision.target), None)
        if target is None:
            raise ActRefused("not_in_policy", "The policy names this deployment no more, so it is not touched.")
        if (unread := self._policies.unread(target.project)) is not None:
            problem = unread.problems[0]
            raise NotNow(f"the policy cannot be read, so nobody knows what it says now: {problem.reason}", BLIND_WAIT_S)
        needs = needed_for(policy, target, target.place(LOOP), decision)
        await self._still_timely(target, decision, needs)
        view = await capacity.capture(self._arm, target.deployment_id, self._now())
        if not is_settled(view.provisioning_state):
            raise NotNow(f"the deployment is {view.provisioning_state} by another operation", BUSY_WAIT_S)
        self._plan_fits(view, policy, target, decision)
        if view.capacity != decision.to:
            await self._one_writer(target.deployment_id, view)
            await self._quota_allows(policy.limits_of(target), view, decision)
        # Last: nothing that takes time stands between them and the request.
        await self._gates(policy, target, view, decision, needs)
        return Cleared(view, by_approval=needs is not None)

    async def _still_timely(self, target: Target, decision: Decision, needs: Requirement | None) -> None:
        """A decision rests on data that grow old, but for one that people were asked about: they and the rounds judge
        that, and the approval has a validity of its own.
        """
        asked = await self._approvals.about(decision.id) if needs is not None else None
        if needs is not None and asked is not None and asked.told:
            if asked.state not in ("approved", "used"):
                self._heed(judged(needs, decision, asked, None, self._now()))
            return
        age_s = (self._now() - decision.at).total_seconds()
        if age_s > target.scaling.stale_after_s:
            raise ActRefused(
                "expired", f"The decision is {age_s:.0f} s old: what it rests on is stale, so it is decided afresh."
            )

    async def _gates(
        self, policy: Policy, target: Target, view: DeploymentView, decision: Decision, needs: Requirement | None
    ) -> None:
        facts = await self._facts(policy, target, view, decision, needs)
        # Nothing is sent where it is there already: that needs no place in a limit, and nobody's approval.
        sends = view.capacity != decision.to
        shut = await self._belts.admit(facts, decision.id) if sends else first_shut(facts)
        if isinstance(shut, AsksPeople):
            if not sends:
                return  # somebody else did it: there is nothing to ask for
            try:
                await self._approvals.ask(decision, target, LOOP, shut.requirement)
            except VaultUnreachable as failure:
                raise NotNow(
                    f"the links for those who approve cannot be signed now: {failure}", BUSY_WAIT_S
                ) from failure
        self._heed(shut)

    def _heed(self, shut: Shut | None) -> None:
        if isinstance(shut, AsksPeople):
            raise WaitsForPeople(shut.sentence)
        if isinstance(shut, Wait):
            raise NotNow(shut.sentence, shut.retry_after_s)
        if shut is not None:
            raise ActRefused(shut.code, shut.sentence)

    async def _facts(
        self, policy: Policy, target: Target, view: DeploymentView, decision: Decision, needs: Requirement | None
    ) -> ActFacts:
        """What the gates judge, read now."""
        approval = None if needs is None else await self._approvals.about(decision.id)
        controls = await self._controls.load(self._now())
        state = await self._state.load(target.deployment_id.endpoint_key, self._now())
        desired = state.desired.get((decision.target, decision.dimension))
        if desired is None or desired.value.id != decision.id:
            raise NotNow("a newer decision is there", 0)
        record, action = state.targets.get(decision.target), state.actions.get((decision.target, decision.dimension))
        if approval is not None:
            _sees_enough(decision, approval, record.value if record else None)
        return ActFacts(
            now=self._now(),
            policy=policy,
            target=target,
            place=target.place(LOOP),
            act=decision.act,
            decision=decision,
            mode=policy.scaling_mode(target),
            controls=controls,
            intents=tuple(
                row.value
                for row in state.intents
                if row.value.target in (decision.target, target.deployment_id.endpoint_key)
            ),
            action=action.value if action else None,
            approval=approval,
            records=await self._gates_store.load_for_acts(),
            region=view.region,
            tags=view.tags,
        )

    def _plan_fits(self, view: DeploymentView, policy: Policy, target: Target, decision: Decision) -> None:
        if view.capacity not in (decision.current, decision.to):
            raise ActRefused(
                "changed_meanwhile",
                f"The deployment has {view.capacity} instances, not the {decision.current} that the decision saw; "
                "it is decided afresh.",
                view.capacity,
                backs_off=True,
            )
        floor = policy.floor_of(target)
        least, most = max(target.scaling.min, floor), max(target.scaling.max, floor)
        if decision.to > most and decision.to > decision.current:
            reason = f"The policy allows no more than {most} now."
            raise ActRefused("policy_changed", reason, view.capacity, backs_off=True)
        if decision.to < least and decision.to < decision.current:
            reason = f"The policy keeps at least {least} now, by its min or a floor."
            raise ActRefused("policy_changed", reason, view.capacity, backs_off=True)

    async def _one_writer(self, deployment: DeploymentId, view: DeploymentView) -> None:
        if view.scaled_by_cluster:
            raise ActRefused(
                "scaled_by_cluster", "The cluster scales this deployment by TargetUtilization.", view.capacity
            )
        setting = await self._autoscale.setting_for(deployment, fresh=True)
        if setting:
            raise ActRefused(
                "azure_autoscale_present",
                f"The Azure autoscale setting {setting!r} is enabled on this deployment. Disable it, or set the "
                "target's mode to off: two writers would undo each other.",
                view.capacity,
                backs_off=True,
            )

    async def _quota_allows(self, limits: Limits, view: DeploymentView, decision: Decision) -> None:
        more = decision.to - decision.current
        if more <= 0 or view.scaled_by_cluster:
            return
        headroom = await self._quota.headroom(view, limits.quota_reserve_pct, fresh=True)
        if not isinstance(headroom, Fresh):
            raise ActRefused("quota_unknown", f"Quota could not be read: {headroom}", view.capacity, backs_off=True)
        if headroom.value < more:
            raise ActRefused(
                "quota_exhausted",
                f"Quota allows {headroom.value:.0f} more instances of {view.instance_type} ({headroom.source}), {more} "
                "are wanted. Ask for quota, or lower max.",
                view.capacity,
                backs_off=True,
            )


def _sees_enough(decision: Decision, approval: ApprovalRequest, record: TargetRecord | None) -> None:
    """Nothing shrinks on missing data, whoever approved it: it waits until the loop sees, or the approval ends."""
    blind = record is not None and record.last_rule in BLIND
    if record is not None and blind and approval.state == "approved" and decision.to < decision.current:
        raise NotNow(f"approved, but nothing shrinks on missing data: {record.last_reason}", BLIND_WAIT_S)
