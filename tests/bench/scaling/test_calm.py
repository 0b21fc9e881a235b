"""What a load that wanders makes our decision do is no flapping: it does not open the breaker of its target."""

from itertools import pairwise

import numpy as np
import pytest

from bench.scaling.compare import beginning, policy_for, promise_for
from bench.scaling.families import family
from shared.policy.belts import Breaker
from shared.safety.breaker import limits_for
from shared.simulation.ours import Ours
from shared.simulation.play import play
from shared.simulation.site import Terms
from tests.safety.builders import policy

WINDOW_S = Breaker().reversal_window_s


@pytest.mark.parametrize("cold_start_s", [900.0, 180.0, 30.0])
@pytest.mark.parametrize("name", ["ramp", "bursts"])
def test_an_ordinary_load_keeps_well_below_what_opens_the_breaker(name: str, cold_start_s: float) -> None:
    workload, terms = beginning(family(name), 2.0), Terms(cold_start_s=cold_start_s)
    rules = policy_for(workload, terms, promise_for(cold_start_s, workload.service_s))
    site = play(workload, terms, Ours(policy=rules, terms=terms, starts_at=workload.starts_at), lanes=1)
    moves = np.diff(site.asked[:, 0], prepend=terms.at_start)
    changed = [(tick * workload.tick_s, moves[tick] > 0) for tick in np.flatnonzero(moves)]
    turned = [at for (_, before), (at, after) in pairwise(changed) if before != after]
    most = max(sum(at - WINDOW_S < other <= at for other in turned) for at in turned)
    target = policy().targets[0].model_copy(update={"scaling": rules})
    assert 0 < most <= 0.85 * (limits_for("target:chat", policy(), target).reversals or 0)
