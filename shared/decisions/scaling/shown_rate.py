"""What an instance serves, learned from minutes in which the measurements show it although nothing waited."""

from dataclasses import replace

from shared.decisions.scaling.means import moved
from shared.domain import Fresh, ScalingMemory, ScalingSnapshot
from shared.policy.scaling import LearnedRate, Scaling

# How much one look counts: a minute is seen by several looks.
WEIGHT = 0.1
# A smaller change is noise, and not worth writing down.
NOISE_SHARE = 0.02


def with_shown_rate(memory: ScalingMemory, snapshot: ScalingSnapshot, policy: Scaling) -> ScalingMemory:
    """The memory that has seen `snapshot.service_rate_per_s`; the first such rate replaces the policy's guess."""
    shown = snapshot.service_rate_per_s
    if not isinstance(shown, Fresh) or shown.value <= 0 or not isinstance(policy.service_rate, LearnedRate):
        return memory
    known = memory.service_rate_per_s
    if known is None:
        return replace(memory, service_rate_per_s=shown.value)
    if abs(shown.value - known) < NOISE_SHARE * known:
        return memory
    return replace(memory, service_rate_per_s=moved(known, shown.value, WEIGHT))
