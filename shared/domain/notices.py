"""What people must hear: one notice, whatever the way that it takes to them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Severity = Literal["info", "warning", "critical"]

NoticeKind = Literal[
    "approval_requested",  # a person must say yes before something is done
    "approval_ended",  # approved, denied, expired or replaced
    "loop_blind",  # a loop cannot see or may not act: nothing shrinks, perhaps nothing grows
    "promise_unkept",  # what was promised to a queue cannot be kept
    "manual_change",  # somebody else changed what we watch
    "action_failed",  # a change did not work
    "action_stuck",  # nobody saw the end of a change
    "hold_below_floor",  # a person's hold keeps less than a safety floor asks for
    "exemption_expired",  # what was exempt is not any more
    "breaker_tripped",  # too many failures or reversals: changes stopped
    "limit_reached",  # the blast radius is used up
    "quarantine_aged",  # malformed input waits for somebody
    "dead_letters_aged",  # messages that nobody could take wait in a dead-letter queue
    "sweep_stopped",  # the dead-man's switch: nobody looks any more
    "policy_refused",  # a new version of a policy document is not in force
    "unwatched",  # workspaces that belong to no project
    "secret_near_expiry",  # a secret in Key Vault runs out
    "ledger_broken",  # the chain of hashes does not hold
    "control_switched",  # a pause, a kill switch, an exemption was set or ended
    "digest",  # several notices in one
]
"""What a notice is about; each has a template and, if it is an alarm, a page in `docs/runbooks/`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """One thing that people should hear, before it is put into words.

    `id` names it: a repetition has the same id and is told once. It starts with the UTC day and "T", like a ledger
    entry's. `subject` is one line for people; `text` the sentence that explains it; `facts` are further lines (name ->
    value); `entry` is the id of the ledger entry that explains more, "" if none. `target` is the target's name in the
    policy, `project` its project, both "" where it concerns none. `owners` are the addresses of those it concerns
    beside the channels of the policy, `recipient` the one person for whom it is (an approval), "" for all.
    `links` are labels with URLs (approve, deny, undo), never secrets of ours: a link is for its recipient only.
    """

    id: str
    kind: NoticeKind
    severity: Severity
    at: datetime
    subject: str
    text: str
    target: str = ""
    project: str = ""
    endpoint_key: str = ""
    entry: str = ""
    owners: tuple[str, ...] = ()
    recipient: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
