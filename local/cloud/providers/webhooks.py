"""Webhooks of others, over https: Slack's incoming webhooks, Teams' Workflows (Logic Apps), and any. To the inbox.

Source: api.slack.com/messaging/webhooks (200 and the text "ok"); learn.microsoft.com "Create incoming webhooks with
Workflows for Microsoft Teams", whose status is an assumption.
"""

import json
from collections.abc import Callable

from local.clock import Clock
from local.cloud.arm_errors import ArmError
from local.cloud.inbox import Inbox, Received
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches

SLACK, TEAMS, ANY = "hooks.slack.com", "*.logic.azure.com", "hooks.example.com"
MAX_BYTES = 28 * 1024


class Webhooks:
    def __init__(self, clock: Clock, inbox: Inbox, switches: Switches) -> None:
        self._clock, self._inbox, self._switches = clock, inbox, switches

    def routes(self) -> list[Route]:
        return [
            _route(SLACK, "/services/{team}/{app}/{token}", self.slack, "api.slack.com/messaging/webhooks"),
            _route(TEAMS, "/workflows/{flow}/triggers/manual/paths/invoke", self.teams, "Teams, Workflows webhooks"),
            _route(ANY, "/hooks/{name}", self.any, "none: anybody's"),
        ]

    def slack(self, call: Call) -> Reply:
        blocks = call.json().get("blocks", [])
        if not blocks or len(blocks) > 50:
            raise ArmError(400, "invalid_blocks", "1 to 50 blocks")
        self._receive("slack", call)
        return Reply(200, b"ok", {"Content-Type": "text/html"})

    def teams(self, call: Call) -> Reply:
        """Its status is `teams.accepted_status`."""
        if len(call.body) > MAX_BYTES or not call.json().get("attachments"):
            raise ArmError(400, "InvalidCard", "a message with an Adaptive Card of at most 28 KB is expected")
        self._receive("teams", call)
        return Reply(int(self._switches["teams.accepted_status"]))

    def any(self, call: Call) -> Reply:
        self._receive("webhook", call)
        return Reply(204)

    def _receive(self, way: str, call: Call) -> None:
        address, name = f"{call.host}{call.path}", call.headers.get("Watchkeeper-Notice-Id", "")
        body = json.loads(call.body)
        self._inbox.add(Received(at=self._clock.now(), way=way, address=address, id=name, body=body))


def _route(host: str, template: str, handler: Callable[[Call], Reply], source: str) -> Route:
    return Route(
        method="POST",
        host=host,
        template=template,
        audiences=(),
        arm_throttled=False,
        handler=handler,
        source=source,
    )
