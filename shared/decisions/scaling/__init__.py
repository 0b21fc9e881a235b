"""How many instances serve a queue in time: decided in drain time and rates, never in depth alone.

`decide` is the whole decision; `after_change` is what it remembers of a change that was decided (in observe: as if
made).
"""

from shared.decisions.scaling.decide import after_change, decide

__all__ = ["after_change", "decide"]
