"""Notices about what the ledger records anyway: failed changes, and what people switch. Pure."""

from shared.domain import Notice, Outcome, Severity
from shared.policy import Policy, Target
from shared.records.chain import LedgerEntry


def failure_notice(entry: LedgerEntry, outcome: Outcome, target: Target | None) -> Notice:
    """A change was sent and did not work. `entry` is its outcome's, `target` None if it left the policy."""
    observed = {} if outcome.observed is None else {"capacity now": str(outcome.observed)}
    return Notice(
        id=entry.id,
        kind="action_failed",
        severity="warning",
        at=entry.at,
        subject=f"{entry.target}: a change to {outcome.to} did not work",
        text=entry.summary,
        target=target.name if target else "",
        project=(target.project or "") if target else "",
        endpoint_key=entry.endpoint_key,
        owners=(target.owner,) if target and target.owner else (),
        facts={"code": outcome.code, **observed},
    )


def control_notice(entry: LedgerEntry, scope: str, severity: Severity, policy: Policy | None) -> Notice:
    """A person switched something in `scope`. `policy` None: there is none, so the project is not known."""
    kind, _, name = scope.partition(":")
    target = policy.target(name) if policy is not None and kind == "target" else None
    project = name if kind == "project" else (target.project or "") if target else ""
    return Notice(
        id=entry.id,
        kind="control_switched",
        severity=severity,
        at=entry.at,
        subject=f"{entry.body['by']} {entry.body['what']}",
        text=entry.summary,
        target=target.name if target else "",
        project=project,
        owners=(target.owner,) if target and target.owner else (),
        facts={"scope": scope},
    )
