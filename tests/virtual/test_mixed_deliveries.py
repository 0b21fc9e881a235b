"""A delivery in which some items cannot be read, and kinds that nobody knows.

Whatever comes in is answered with 202 once it is kept: an action group does not repeat what was answered with 4xx, so
what is malformed would be lost with it.
"""

from typing import Any

import pytest

from local.world import DEPLOYMENT
from tests.virtual.arena import QUICK, Arena, policy_text
from tests.virtual.conftest import VIRTUAL, OpenArena

pytestmark = VIRTUAL


def event(arena: Arena, **changes: Any) -> dict[str, Any]:
    """Somebody wrote the deployment."""
    usual = {
        "id": "e-1",
        "topic": DEPLOYMENT.partition("/resourceGroups")[0],
        "eventType": "Microsoft.Resources.ResourceWriteSuccess",
        "eventTime": arena.clock.now().isoformat(),
        "data": {"resourceUri": DEPLOYMENT},
    }
    return usual | changes


async def test_the_good_items_wake_and_the_bad_ones_are_named(open_arena: OpenArena) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe", min=3)) as arena:
        mixed = [event(arena, id=None), 7, event(arena)]
        items = (await arena.call("POST", "alerts", mixed, status=202))["items"]
        assert [item["became"] for item in items] == ["quarantined", "quarantined", "signal"]
        assert "item 0: id is missing" in items[0]["reason"]
        assert "item 1: it is a number" in items[1]["reason"]
        (entry,) = await arena.entries("decision")
        assert entry.body["cause"] == "signal resource.written e-1"


@pytest.mark.parametrize(
    ("kind", "became", "targets"),
    [("Microsoft.Resources.ResourceWriteSuccess", "signal", 1), ("Contoso.Thing", "unknown", 0)],
)
async def test_only_kinds_that_are_known_wake(open_arena: OpenArena, kind: str, became: str, targets: int) -> None:
    async with open_arena(shape=QUICK, policy=policy_text("observe")) as arena:
        taken = await arena.call("POST", "alerts", [event(arena, eventType=kind)], status=202)
        assert [(item["became"], item["targets"]) for item in taken["items"]] == [(became, targets)]
