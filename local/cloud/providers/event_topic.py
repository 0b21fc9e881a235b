"""The publish endpoint of Event Grid custom topics, for publishers with a token (the one with a key is in
`local/eventgrid`, over plain HTTP).

Source: azure-rest-api-specs eventgrid data plane 2018-01-01 (publishCloudEventEvents); learn.microsoft.com
"Authenticate publishing clients using Microsoft Entra ID": audience https://eventgrid.azure.net, role EventGrid Data
Sender.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from local.cloud.arm_errors import ArmError
from local.cloud.routing import Call, Reply, Route

HOST = "*.eventgrid.azure.net"
MAX_REQUEST_BYTES = 1024 * 1024

Publish = Callable[[Sequence[dict[str, Any]]], None]
"""Takes events in CloudEvents 1.0; ValueError for what is none."""


class EventTopics:
    """Topics by host name. A host without one is answered 404 (or has no address: `eventgrid.deleted_topic`)."""

    def __init__(self) -> None:
        self._topics: dict[str, Publish] = {}

    def attach(self, host: str, publish: Publish) -> None:
        self._topics[host.lower()] = publish

    def has(self, host: str) -> bool:
        return host.lower() in self._topics

    def routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                host=HOST,
                template="/api/events",
                api_versions=("2018-01-01",),
                audiences=("https://eventgrid.azure.net",),
                action="Microsoft.EventGrid/events/send/action",
                data=True,
                arm_throttled=False,
                handler=self.publish,
                source="eventgrid 2018-01-01 publishCloudEventEvents",
            )
        ]

    def publish(self, call: Call) -> Reply:
        publish = self._topics.get(call.host)
        if publish is None:
            raise ArmError(404, "NotFound", f"There is no topic at {call.host}.")
        if len(call.body) > MAX_REQUEST_BYTES:
            raise ArmError(413, "PayloadTooLarge", "At most 1 MB.")
        if "cloudevents-batch+json" not in call.headers.get("Content-Type", ""):
            raise ArmError(400, "BadRequest", "The topic takes CloudEvents 1.0, in a batch.")
        try:
            publish(json.loads(call.body))
        except ValueError as error:
            raise ArmError(400, "BadRequest", str(error)) from error
        return Reply(200)
