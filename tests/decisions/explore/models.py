"""The models: small enough to be explored completely, each about a few voices that meet."""

from dataclasses import replace

from shared.decisions.arbitration import Concurrency
from tests.decisions.explore import voices as v
from tests.decisions.explore.states import BLUE, ENDPOINT
from tests.decisions.explore.world import Model

ACCEPTED = Concurrency(traffic_put_during_update="accepted", deployment_busy_with_endpoint="accepted")

CAPACITY = Model(
    "capacity",
    "one deployment that carries everything: savings, scaling, budget, safety floor, a failed change",
    (v.SAVINGS, v.SCALING, v.BUDGET, v.FLOOR, v.BACKOFF),
    capacity=(2, 0),
    crashes=True,
)
SPARE = Model(
    "spare",
    "one deployment that carries nothing: the same, and what the traffic would have hidden",
    (v.SAVINGS, v.SCALING, v.BUDGET, v.FLOOR, v.BACKOFF),
    capacity=(2, 1),
    share=0,
    crashes=True,
)
PEOPLE = Model(
    "people",
    "a pause, an order and changes at Azure, with safety floor, budget and scaling",
    (v.SCALING, v.BUDGET, v.FLOOR, v.MANUAL, v.PAUSE, v.ORDER),
    capacity=(2, 1),
    share=0,
    moves=1,
    person_sets=(1, 3),
)
ROLLOUT = Model(
    "rollout",
    "a rollout from blue to green under its lease, scaling, a budget that deletes; Azure answers 409",
    (v.rollout("rollout-1", ticks=1), v.SCALING_BOTH, v.BUDGET_DELETES),
    capacity=(2, 1),
)
ROLLOUT_ACCEPTED = replace(
    ROLLOUT,
    name="rollout, accepted",
    about="the same; Azure takes traffic and capacity at once",
    assumed=ACCEPTED,
)
MEDDLING = Model(
    "meddling",
    "a rollout, a pause, and a person who changes traffic or capacity at Azure in the middle",
    (v.rollout("rollout-1", ticks=1), v.MANUAL, v.SAVINGS_GREEN),
    capacity=(2, 2),
    moves=1,
    person_sets=(1,),
    person_shares=(100, 50, 0),
    assumed=ACCEPTED,
)
TWO_ROLLOUTS = Model(
    "two rollouts",
    "two that ask for one lease, and a pause",
    (v.rollout("rollout-1", ticks=1), v.rollout("rollout-2", ticks=1), v.PAUSE),
    capacity=(2, 1),
    crashes=True,
)
LIMITS = Model(
    "limits",
    "a rollout whose stable side carries half, a limit and a floor of the platform, people",
    (
        v.trial("rollout-1", v.STABLE_KEEPS),
        v.trial("rollout-2", v.capacity(BLUE, "wish", 1)),
        v.LIMIT,
        v.FLOOR,
        v.MANUAL,
    ),
    capacity=(2, 1),
    share=50,
    moves=1,
    person_sets=(1, 3),
)
HASTY = Model(
    "hasty",
    "a rollout that sends traffic without asking for capacity, against savings and a budget that delete",
    (
        v.trial("rollout-1", v.Want(ENDPOINT, "traffic", "wish", share=50), ticks=2),
        v.SAVINGS_GREEN,
        v.BUDGET_DELETES,
        v.PAUSE,
    ),
    capacity=(2, 2),
    assumed=ACCEPTED,
    crashes=True,
)
JOBS = Model(
    "jobs",
    "two retrainings that ask for one compute, savings, a budget stop, a pause",
    (v.training("training-1"), v.training("training-2"), v.JOBS_SAVINGS, v.JOBS_BUDGET, v.JOBS_PAUSE),
    capacity=(1, 0),
    jobs=1,
    crashes=True,
)

SMALL = (CAPACITY, SPARE, PEOPLE, ROLLOUT, ROLLOUT_ACCEPTED, MEDDLING, TWO_ROLLOUTS, LIMITS, HASTY, JOBS)
"""Explored by the test suite."""

LARGE = (
    replace(ROLLOUT, name="rollout, large", about="as rollout, and who sends may die", crashes=True),
    replace(
        ROLLOUT_ACCEPTED, name="rollout, accepted, large", about="the same; Azure takes both at once", crashes=True
    ),
)
"""Explored by `make torture`."""
