"""The scoring URIs of online endpoints: handed to whatever plays the endpoint's instances.

Source: Azure ML, "Invoke the endpoint": `POST {scoringUri}`. Keys are not checked: Watchkeeper never scores, its users
do.
"""

from collections.abc import Awaitable, Callable

from local.cloud.arm_errors import ArmError
from local.cloud.estate import Endpoint
from local.cloud.routing import Call, Reply, Route

ScoringHandler = Callable[[Call], Awaitable[Reply]]


class Scoring:
    """The handlers that the workload registered, by host name."""

    def __init__(self) -> None:
        self._handlers: dict[str, ScoringHandler] = {}

    def routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                host="*.inference.ml.azure.com",
                template="/score",
                audiences=(),
                arm_throttled=False,
                handler=self.score,
                source="learn.microsoft.com, how-to-authenticate-online-endpoint, scoring URI",
            )
        ]

    def register(self, endpoint: Endpoint, handler: ScoringHandler) -> None:
        self._handlers[f"{endpoint.name}.{endpoint.region}.inference.ml.azure.com".lower()] = handler

    async def score(self, call: Call) -> Reply:
        handler = self._handlers.get(call.host)
        if handler is None:
            raise ArmError(404, "NotFound", f"No endpoint serves https://{call.host}/score.")
        return await handler(call)
