"""The policy document: models, loading with all errors at once, sources, and the version that is in force.

`python -m shared.policy check FILE...` says what is wrong with a document; docs/policy.md is the reference.
"""

from shared.policy.blob_source import BlobPolicySource, BlobProjects
from shared.policy.cache import PolicyCache
from shared.policy.loading import ReviewedPolicy, load_policy, review_policy
from shared.policy.models import Limits, Loops, Policy, ProjectPolicy
from shared.policy.problems import PolicyInvalid, PolicyRefusal, PolicyUnavailable, PolicyUnreadable, Problem
from shared.policy.scaling import KnownRate, LearnedRate, Scaling
from shared.policy.schema import schema
from shared.policy.sources import FilePolicySource, FolderProjects, PolicySource, PolicyText, ProjectsSource
from shared.policy.targets import Floor, Target, TargetLoad

__all__ = [
    "BlobPolicySource",
    "BlobProjects",
    "FilePolicySource",
    "Floor",
    "FolderProjects",
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
    "ProjectPolicy",
    "ProjectsSource",
    "ReviewedPolicy",
    "Scaling",
    "Target",
    "TargetLoad",
    "load_policy",
    "review_policy",
    "schema",
]
