"""The only place where loops meet: all live intents for an endpoint, folded into one decision a target and dimension.

Precedence, highest first: a person's hold (a pause, or a change that we did not make); a rollout's lease; the
platform's safety floors; hard budget stops; scaling; savings. The fold knows nothing of how a loop thinks, and an
intent that has run out is gone. `docs/arbitration.md` is the long form, with what was explored of it.
"""

from shared.decisions.arbitration.endpoint import arbitrate, arbitrate_endpoint
from shared.decisions.arbitration.facts import DeploymentFacts, EndpointFacts, Flight, Load, Subject, Target
from shared.decisions.arbitration.fold import fold
from shared.decisions.arbitration.leases import holder_of, renewed
from shared.decisions.arbitration.precedence import KINDS, PRECEDENCE
from shared.decisions.arbitration.sending import Concurrency, Sending, leaseless, sendable, standing

__all__ = [
    "KINDS",
    "PRECEDENCE",
    "Concurrency",
    "DeploymentFacts",
    "EndpointFacts",
    "Flight",
    "Load",
    "Sending",
    "Subject",
    "Target",
    "arbitrate",
    "arbitrate_endpoint",
    "fold",
    "holder_of",
    "leaseless",
    "renewed",
    "sendable",
    "standing",
]
