"""The policy document: models, loading with all errors at once, sources, and the version that is in force.

`python -m shared.policy check FILE...` says what is wrong with a document; docs/policy.md is the reference.
"""

from shared.policy.blob_source import BlobPolicySource
from shared.policy.cache import PolicyCache
from shared.policy.loading import ReviewedPolicy, load_policy, review_policy
from shared.policy.models import Floor, KnownRate, LearnedRate, Limits, Loops, Policy, Scaling, Target
from shared.policy.problems import PolicyInvalid, PolicyRefusal, PolicyUnavailable, PolicyUnreadable, Problem
from shared.policy.schema import schema
from shared.policy.sources import FilePolicySource, PolicySource, PolicyText

__all__ = [
    "BlobPolicySource",
    "FilePolicySource",
    "Floor",
    "KnownRate",
    "LearnedRate",
    "Limits",
    "Loops",
    "Policy",
    "PolicyCache",
    "PolicyInvalid",
    "PolicyRefusal",
    "PolicySource",
    "PolicyText",
    "PolicyUnavailable",
    "PolicyUnreadable",
    "Problem",
    "ReviewedPolicy",
    "Scaling",
    "Target",
    "load_policy",
    "review_policy",
    "schema",
]
