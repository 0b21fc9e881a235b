"""How many instances serve a queue in time: decided in drain time and rates, never in depth alone.

`decide` is the whole decision; `after_change` is what it remembers of a change that was decided (in observe: as if
made). `watched` follows what the decisions would have come to, and `readiness` judges that.
"""

from shared.decisions.scaling.decide import after_change, decide
from shared.decisions.scaling.evidence.shadow import watched

__all__ = ["after_change", "decide", "watched"]
