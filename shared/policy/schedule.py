"""Loads that are known ahead, as a policy writes them: a batch every night, a launch day, the end of a month."""

from shared.policy.parts import Instances
from shared.policy.windows import Windows


class ScheduledLoad(Windows):
    """A window in which at least `min` instances serve, whatever the rates show before it.

    They are ordered a cold start and a margin ahead. It says when by exactly one of `once`, `weekly`, `dates` and
    `holidays`, as freezes do; where a clock change makes a local time happen twice, or not at all, the window is the
    longer of what that may mean. Where several windows are open, the greatest `min` counts.
    """

    min: Instances
    """Fewest instances that serve in it. Not more than the target's `max`."""
