"""The one orchestrator that carries out an action, and its one activity.

All that must survive is in the action's row (`shared/changes/actuator.py`); the orchestration is only the clock that
asks for the next step. So its history is small, holds no secret, and a change of the act needs no new version of it.
"""

from collections.abc import Generator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import azure.durable_functions as df
from durabletask.task import OrchestrationContext, RetryPolicy

if TYPE_CHECKING:
    from shared.changes.actuator import Actuator

blueprint = df.Blueprint()

# A generation ends here, so that history stays short even while an operation takes an hour.
STEPS_A_GENERATION = 30
RETRY = RetryPolicy(
    first_retry_interval=timedelta(seconds=1),
    max_number_of_attempts=30,  # with the pauses below, storage may be away for a quarter of an hour
    backoff_coefficient=2.0,
    max_retry_interval=timedelta(seconds=30),
)


@blueprint.orchestration_trigger(context_name="context")
def actuate(context: OrchestrationContext, order: dict[str, str]) -> Generator[Any, Any, str]:
    """Step until nothing waits to be done for this target and dimension."""
    for _ in range(STEPS_A_GENERATION):
        step = yield context.call_activity("actuation_step", input=order, retry_policy=RETRY)
        context.set_custom_status(step["say"])
        if step["done"]:
            return str(step["say"])
        if step["wait_s"] > 0:
            yield context.create_timer(timedelta(seconds=step["wait_s"]))
    context.continue_as_new(order)
    return "continued"


@blueprint.activity_trigger(input_name="order")
async def actuation_step(order: dict) -> dict:  # type: ignore[type-arg]  # the worker takes plain types only
    """One step of the act; may run twice, and then finds what the first run left."""
    from dataclasses import asdict

    from shared.domain import Order

    return asdict(await _actuator().step(Order(**order)))


def _actuator() -> "Actuator":
    from shared.changes.actuator import Actuator
    from shared.changes.preconditions import Preconditions
    from shared.safety.belts import Belts
    from shared.services import services

    made = services()
    belts = Belts(made.stores.gates, made.door)
    preconditions = Preconditions(
        arm=made.arm,
        quota=made.reader.quota,
        autoscale=made.reader.autoscale,
        state=made.stores.state,
        controls=made.stores.controls,
        policies=made.policies,
        approvals=made.stores.approvals,
        gates=made.stores.gates,
        belts=belts,
        now=made.now,
    )
    return Actuator(
        arm=made.arm,
        preconditions=preconditions,
        state=made.stores.state,
        door=made.stores.door,
        policies=made.policies,
        approvals=made.stores.approvals,
        belts=belts,
        now=made.now,
    )
