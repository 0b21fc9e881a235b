"""From the text of a policy to the policy in force, or to everything that is wrong with the text."""

from dataclasses import dataclass

from shared.policy.checks import contradictions, oddities, without
from shared.policy.document import Document, parse
from shared.policy.models import Policy
from shared.policy.problems import PolicyInvalid, Problem
from shared.policy.validation import located, validate


@dataclass(frozen=True, slots=True)
class ReviewedPolicy:
    """A valid policy, and what its author should look at again."""

    policy: Policy
    warnings: tuple[Problem, ...]


def load_policy(text: str, source: str) -> Policy:
    """The policy that the YAML `text` describes; `source` names the text in messages.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    return review_policy(text, source).policy


def review_policy(text: str, source: str) -> ReviewedPolicy:
    """As `load_policy`, with the warnings.

    Raises:
        PolicyInvalid: with all problems at once.
    """
    document = parse(text)
    if not document.is_complete:
        raise PolicyInvalid(source, document.problems)
    policy, wrong = validate(document)
    written = without(document.value, {path for path, _ in wrong})
    problems = [*document.problems, *(problem for _, problem in wrong)]
    problems += [located(document, finding.path, finding.reason, finding.remedy) for finding in contradictions(written)]
    if policy is None or problems:
        raise PolicyInvalid(source, problems)
    return ReviewedPolicy(policy, _warnings(document, policy))


def _warnings(document: Document, policy: Policy) -> tuple[Problem, ...]:
    found = [located(document, odd.path, odd.reason, odd.remedy) for odd in oddities(document.value, policy)]
    return tuple(sorted(found, key=lambda problem: problem.line or 0))
