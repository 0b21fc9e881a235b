"""The app is killed at its requests, each before and after its effect, in every mechanism; it converges to what it
comes to when nobody kills it.

The same two dozen kills in every run, each seen to hold or mended; `make torture` does some hundred by lot, every
request at both moments (`docs/developing.md`). Real processes are killed with -9 in `tests/e2e/test_crashes.py`.
"""

import pytest

from tests.virtual.conftest import VIRTUAL, OpenArena
from tests.virtual.kills.mortality import KillPoint
from tests.virtual.kills.run import KNOWN, Killer

pytestmark = VIRTUAL


@pytest.mark.parametrize(
    "text",
    [
        "storm/before/1/Claims POST",
        "storm/after/1/acknowledge",
        "resubmit/before/1/blob PUT watchkeeper-quarantine",
        "notice/after/1/webhook teams POST",
        "notice/after/1/mail POST",
        "approval-by-link/after/1/Approvals PUT used",
        "approval-by-two/before/1/State POST desired",
        "approval-by-two/after/2/Ledger batch approval",
        "archive/after/1/Archive PUT",
        "breaker/before/1/State PUT desired",
        "dead-letters/after/1/bus receiver complete_message",
        "denial/before/1/Approvals POST pending",
        "denial/after/1/State PUT action refused",
        "failure/before/1/ARM PATCH deployments",
        "failure/after/1/State PUT action sent",
        "failure/after/1/Gates PUT",
        "growth/after/2/Gates POST",
        "growth/before/1/Ledger batch outcome",
        "notice/before/1/topic POST",
        "notice/before/3/Progress query",
        "resubmit/after/2/Quarantine PUT closed",
        "storm/before/1/blob PUT watchkeeper-quarantine (container)",
        "switches/before/1/Gates DELETE",
        "switches/before/1/Controls get",
    ],
)
async def test_killed_there_it_comes_to_the_same(open_arena: OpenArena, azurite: str, text: str) -> None:
    ran = await Killer(open_arena, azurite, KNOWN).kill(KillPoint.parse(text))
    assert (ran.problems, ran.struck) == ((), True)
