"""What must be true at the moment of the act, on fresh state: gates, deployment, other writers, quota."""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from shared.changes import capacity
from shared.domain import Decision, DeploymentId, Fresh
from shared.domain.provisioning import is_settled
from shared.estate.arm import Arm
from shared.estate.deployments import DeploymentView
from shared.policy import Policy, PolicyCache, Target
from shared.records.controls import ControlStore
from shared.records.state import StateStore
from shared.safety.gates import refusal

if TYPE_CHECKING:
    from shared.estate.autoscale import AutoscaleReader
    from shared.estate.quota import QuotaReader

# The act belongs to the loop that decides on this dimension.
LOOP = "scaling"
BUSY_WAIT_S = 15.0


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
        now: Callable[[], datetime],
    ) -> None:
        self._arm, self._quota, self._autoscale = arm, quota, autoscale
        self._state, self._controls, self._policies, self._now = state, controls, policies, now

    async def check(self, decision: Decision) -> DeploymentView:
        """The deployment as it is, if the decision may be carried out on it now.

        Raises:
            NotNow: an operation runs on the deployment.
            ActRefused: a gate is shut, or the plan does not fit what is there any more.
        """
        policy = await self._policies.current()
        target = next((t for t in policy.targets if t.deployment_id.key == decision.target), None)
        if target is None:
            raise ActRefused("not_in_policy", "The policy names this deployment no more, so it is not touched.")
        self._still_timely(target, decision)
        view = await capacity.capture(self._arm, target.deployment_id, self._now())
        if not is_settled(view.provisioning_state):
            raise NotNow(f"the deployment is {view.provisioning_state} by another operation", BUSY_WAIT_S)
        self._plan_fits(view, policy, target, decision)
        if view.capacity != decision.to:
            await self._one_writer(target.deployment_id, view)
            await self._quota_allows(policy, view, decision)
        await self._gates(policy, target, decision)  # last: nothing that takes time stands between them and the request
        return view

    def _still_timely(self, target: Target, decision: Decision) -> None:
        age_s = (self._now() - decision.at).total_seconds()
        if age_s > target.scaling.stale_after_s:
            raise ActRefused(
                "expired", f"The decision is {age_s:.0f} s old: what it rests on is stale, so it is decided afresh."
            )

    async def _gates(self, policy: Policy, target: Target, decision: Decision) -> None:
        mode = policy.scaling_mode(target)
        controls = await self._controls.load(self._now())
        state = await self._state.load(target.deployment_id.endpoint_key, self._now())
        desired = state.desired.get((decision.target, decision.dimension))
        if desired is None or desired.value.id != decision.id:
            raise NotNow("a newer decision is there", 0)
        intents = [row.value for row in state.intents if row.value.target == decision.target]
        shut = refusal(mode, controls, intents, LOOP, target.name, self._now())
        if shut is not None:
            raise ActRefused(shut.code, shut.sentence)

    def _plan_fits(self, view: DeploymentView, policy: Policy, target: Target, decision: Decision) -> None:
        if view.capacity not in (decision.current, decision.to):
            raise ActRefused(
                "changed_meanwhile",
                f"The deployment has {view.capacity} instances, not the {decision.current} that the decision saw; "
                "it is decided afresh.",
                view.capacity,
                backs_off=True,
            )
        most = max(target.scaling.max, *(floor.min_instances for floor in policy.floors_of(target)), 0)
        if decision.to > most and decision.to > decision.current:
            reason = f"The policy allows no more than {most} now."
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

    async def _quota_allows(self, policy: Policy, view: DeploymentView, decision: Decision) -> None:
        more = decision.to - decision.current
        if more <= 0 or view.scaled_by_cluster:
            return
        headroom = await self._quota.headroom(view, policy.limits.quota_reserve_pct, fresh=True)
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
