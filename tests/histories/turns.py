"""Turns of orchestrations as they were, to be replayed against the code as it is.

A golden file holds the last turn of one generation of one orchestration, in the wire format: what the function was
given (its whole history and the new events) and the actions that it answered. The SDK itself refuses a history that the
code does not repeat; what it answers to the new events is compared here.
"""

# mypy: allow-untyped-calls
# (protobuf carries no types)

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import durabletask.internal.orchestrator_service_pb2 as pb
from google.protobuf.json_format import MessageToDict, ParseDict

GOLDEN = Path(__file__).parent / "golden"

WireFunction = Callable[[str], Awaitable[str]]
"""An orchestrator as the worker calls it: base64 of a request in, base64 of a response out."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: the request, and the actions that were the answer."""

    orchestrator: str
    request: pb.OrchestratorRequest
    actions: list[dict[str, Any]]

    @classmethod
    def of_wire(cls, orchestrator: str, request: str, response: str) -> "Turn":
        answered = pb.OrchestratorResponse.FromString(base64.b64decode(response))
        return cls(orchestrator, pb.OrchestratorRequest.FromString(base64.b64decode(request)), _plain(answered))

    @classmethod
    def read(cls, path: Path) -> "Turn":
        plain = json.loads(path.read_text(encoding="utf-8"))
        return cls(plain["orchestrator"], ParseDict(plain["request"], pb.OrchestratorRequest()), plain["actions"])

    def write(self, path: Path) -> None:
        plain = {
            "orchestrator": self.orchestrator,
            "request": MessageToDict(self.request),
            "actions": self.actions,
        }
        path.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @property
    def ends_generation(self) -> bool:
        return any("completeOrchestration" in action for action in self.actions)


def wire(function: Any, argument: str) -> WireFunction:
    """An orchestrator of the SDK as the worker calls it."""
    user_function = function.get_user_function()

    async def call(text: str) -> str:
        answer: str = await user_function(**{argument: text})
        return answer

    return call


async def differences(turn: Turn, function: WireFunction) -> list[str]:
    """What the function answers today that it did not then, a sentence each; empty if the history replays."""
    sent = base64.b64encode(turn.request.SerializeToString()).decode()
    answered = _plain(pb.OrchestratorResponse.FromString(base64.b64decode(await function(sent))))
    if answered == turn.actions:
        return []
    for action in answered:
        details = action.get("completeOrchestration", {}).get("failureDetails")
        if details is not None:
            return [f"{details.get('errorType')}: {details.get('errorMessage')}"]
    return [f"answered {json.dumps(answered)}, then it was {json.dumps(turn.actions)}"]


async def last_turn(orchestrator: str, function: WireFunction, activities: int) -> Turn:
    """The last turn of a run in which this many activities, one after the other, answer null."""
    past: list[pb.HistoryEvent] = []
    new = [_event(orchestratorStarted={}), _event(executionStarted={"name": orchestrator, "input": "null"})]
    for number in range(1, activities + 1):
        request = pb.OrchestratorRequest(instanceId="it", pastEvents=past, newEvents=new)
        text = base64.b64encode(request.SerializeToString()).decode()
        turn = Turn.of_wire(orchestrator, text, await function(text))
        (action,) = turn.actions
        scheduled = _event(action["id"], taskScheduled={"name": action["scheduleTask"]["name"]})
        past = [*past, *new, scheduled]
        new = [_event(orchestratorStarted={}), _event(taskCompleted={"taskScheduledId": number, "result": "null"})]
    request = pb.OrchestratorRequest(instanceId="it", pastEvents=past, newEvents=new)
    text = base64.b64encode(request.SerializeToString()).decode()
    return Turn.of_wire(orchestrator, text, await function(text))


def _event(number: int = -1, **what: dict[str, Any]) -> pb.HistoryEvent:
    plain = {"eventId": number, "timestamp": "2026-01-05T12:00:00Z", **what}
    event: pb.HistoryEvent = ParseDict(plain, pb.HistoryEvent())
    return event


def _plain(response: pb.OrchestratorResponse) -> list[dict[str, Any]]:
    return [MessageToDict(action) for action in response.actions]
