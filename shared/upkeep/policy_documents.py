"""A version of a policy document that is not in force, or is held to stricter values, is told of once."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from shared.domain import Notice, entry_id
from shared.policy.holding import DocumentState
from shared.policy.models import Policy
from shared.policy.problems import Problem
from shared.upkeep.base import Chore, Done, Run

_SHOWN = 10


def notices_of(
    documents: Sequence[DocumentState], policy: Policy, told: Mapping[str, str], now: datetime
) -> tuple[list[Notice], dict[str, str]]:
    """What people have not heard yet, and what they have then: by document, a hash of what is wrong with it."""
    notices: list[Notice] = []
    marks: dict[str, str] = {}
    for document in documents:
        problems = document.refused.problems if document.refused is not None else document.held
        if not problems:
            continue
        words = "\n".join(problem.at(document.source) for problem in problems)
        mark = hashlib.sha256(words.encode()).hexdigest()[:16]
        marks[document.source] = mark
        if told.get(document.source) != mark:
            notices.append(_notice(document, problems, policy, mark, now))
    return notices, marks


def _notice(document: DocumentState, problems: Sequence[Problem], policy: Policy, mark: str, now: datetime) -> Notice:
    grants = [grant.owner for grant in policy.projects if grant.name == document.project]
    owners = {*grants, *(target.owner for target in policy.targets if target.project == document.project != "")}
    if document.refused is not None:
        what = "A new version is not in force"
        stays = "the last good version stays" if document.etag is not None else "nothing of it is in force"
    else:
        what, stays = "The platform's document has become stricter", "the stricter values count"
    return Notice(
        id=entry_id(now, f"policy-refused-{mark}"),
        kind="policy_refused",
        severity="warning",
        at=now,
        subject=f"{what}: {document.source}",
        text=f"{what}, and {stays}. {len(problems)} to mend, first: {problems[0].at(document.source)}",
        project=document.project,
        owners=tuple(sorted(owner for owner in owners if owner is not None)),
        facts={f"problem {number}": one.at(document.source) for number, one in enumerate(problems[:_SHOWN], start=1)},
    )


async def run(run: Run) -> Done:
    policies = run.made.policies
    policy = await policies.current()
    notices, marks = notices_of(policies.documents, policy, run.marks, run.now)
    for notice in notices:
        await run.made.door.tell(notice)
    said = f"{len(notices)} documents that are not in force as they are" if notices else ""
    return Done(said, marks)


CHORE = Chore(name="policy_documents", every=timedelta(minutes=5), run=run)
