"""Takes work items from the task hub, runs the function that each is for, and hands the result back.

Outcomes follow OutOfProcMiddleware.cs: a function that does not exist fails the orchestration or the task; a function
that raises fails it too; an orchestrator or entity whose invocation was killed runs again, an activity fails, or runs
again by the assumption durable.killed_activity.
"""

# mypy: allow-untyped-calls
# (protobuf and grpc carry no types)

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, NoReturn, cast

import durabletask.internal.helpers as helpers
import durabletask.internal.orchestrator_service_pb2 as pb
from durabletask.entities import EntityInstanceId

from local.host.durable.backend import LocalBackend
from local.host.durable.options import DurableOptions
from local.host.durable.registry import FunctionRegistry, UnknownFunction
from local.host.functions import FunctionFailed, FunctionInvoker, InvocationKilled

if TYPE_CHECKING:
    import grpc

Handler = Callable[[pb.WorkItem], Awaitable[None]]

log = logging.getLogger(__name__)


class _HostContext:
    """The two members of grpc.ServicerContext that the backend uses, for calls from within the process."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()

    def is_active(self) -> bool:
        return not self._stopped.is_set()

    def abort(self, code: object, details: str) -> NoReturn:
        raise RuntimeError(f"The task hub refused a result: {code}: {details}")


class Dispatcher:
    """Runs the hub's work on the event loop of `start`, at most so many functions of a kind at a time.

    `redelivers_killed` is asked when an activity was killed: whether it runs again instead of failing.
    """

    def __init__(
        self,
        backend: LocalBackend,
        invoker: FunctionInvoker,
        options: DurableOptions,
        redelivers_killed: Callable[[], bool],
    ) -> None:
        self._backend = backend
        self._invoker = invoker
        self._redelivers_killed = redelivers_killed
        self._versioning = options.versioning
        self._host = _HostContext()
        self._context = cast("grpc.ServicerContext", self._host)
        self._tasks: set[asyncio.Task[None]] = set()
        self._reader = threading.Thread(target=self._read, daemon=True, name="durable-dispatch")
        handlers: dict[str, tuple[Handler, int]] = {
            "orchestratorRequest": (self._run_orchestrator, options.max_orchestrators),
            "activityRequest": (self._run_activity, options.max_activities),
            "entityRequestV2": (self._run_entity, options.max_entities),
        }
        self._handlers = {kind: (handler, asyncio.Semaphore(limit)) for kind, (handler, limit) in handlers.items()}

    def start(self) -> None:
        self._registry = FunctionRegistry(self._invoker.functions.values())
        self._loop = asyncio.get_running_loop()
        self._reader.start()

    async def stop(self) -> None:
        """Take no more work and leave what is in flight unanswered."""
        self._host.stop()
        self._backend.wake()
        if self._reader.is_alive():
            await asyncio.to_thread(self._reader.join)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _read(self) -> None:
        while self._host.is_active():  # the stream ends at an error, which the backend has logged
            for item in self._backend.GetWorkItems(pb.GetWorkItemsRequest(), self._context):
                self._loop.call_soon_threadsafe(self._accept, item)

    def _accept(self, item: pb.WorkItem) -> None:
        task = self._loop.create_task(self._handle(item))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, item: pb.WorkItem) -> None:
        kind = str(item.WhichOneof("request"))
        handler, limit = self._handlers[kind]
        async with limit:
            try:
                await handler(item)
            except Exception:
                log.exception("The host failed on a work item (%s); it is delivered again after a restart.", kind)

    async def _invoke(self, kind: str, name: str, text: str) -> str | None:
        return await self._invoker.invoke_text(self._registry.find(kind, name), text)

    async def _run_orchestrator(self, item: pb.WorkItem) -> None:
        request = item.orchestratorRequest
        mismatch = self._versioning.mismatch(_orchestrator_version(request))
        if mismatch and self._versioning.failure == "Reject":
            log.warning("%s waits: %s", request.instanceId, mismatch)
            self._backend.set_aside(item.completionToken)
            return
        try:
            if mismatch:
                raise FunctionFailed("VersionMismatch", mismatch, "")
            text = await self._invoke("orchestrationTrigger", _orchestrator_name(request), _encoded(request))
            response = pb.OrchestratorResponse.FromString(base64.b64decode(text or ""))
        except InvocationKilled:
            abandoned = pb.AbandonOrchestrationTaskRequest(completionToken=item.completionToken)
            self._backend.AbandonTaskOrchestratorWorkItem(abandoned, self._context)
            return
        except (FunctionFailed, UnknownFunction) as error:
            failed = helpers.new_complete_orchestration_action(
                -1, pb.ORCHESTRATION_STATUS_FAILED, json.dumps(str(error)), _failure(error)
            )
            response = pb.OrchestratorResponse(actions=[failed])
        response.instanceId = request.instanceId
        response.completionToken = item.completionToken
        self._backend.CompleteOrchestratorTask(response, self._context)

    async def _run_activity(self, item: pb.WorkItem) -> None:
        request = item.activityRequest
        response = pb.ActivityResponse(
            instanceId=request.orchestrationInstance.instanceId,
            taskId=request.taskId,
            completionToken=item.completionToken,
        )
        try:
            result = await self._invoke_activity(request)
            if result is not None:
                response.result.value = result
        except (FunctionFailed, UnknownFunction) as error:
            response.failureDetails.CopyFrom(_failure(error))
        self._backend.CompleteActivityTask(response, self._context)

    async def _invoke_activity(self, request: pb.ActivityRequest) -> str | None:
        while True:
            try:
                return await self._invoke(
                    "activityTrigger", request.name, request.input.value if request.HasField("input") else "null"
                )
            except InvocationKilled:
                if not self._redelivers_killed():
                    raise

    async def _run_entity(self, item: pb.WorkItem) -> None:
        request = item.entityRequestV2
        batch, infos = helpers.convert_to_entity_batch_request(request)
        name = EntityInstanceId.parse(request.instanceId).entity
        try:
            text = await self._invoke("entityTrigger", name, _encoded(batch))
            response = pb.EntityBatchResult.FromString(base64.b64decode(text or ""))
        except InvocationKilled:
            abandoned = pb.AbandonEntityTaskRequest(completionToken=item.completionToken)
            self._backend.AbandonTaskEntityWorkItem(abandoned, self._context)
            return
        except (FunctionFailed, UnknownFunction) as error:
            failed = pb.OperationResult(failure=pb.OperationResultFailure(failureDetails=_failure(error)))
            response = pb.EntityBatchResult(entityState=batch.entityState, results=[failed] * len(infos))
        del response.operationInfos[:]
        response.operationInfos.extend(infos)
        response.completionToken = item.completionToken
        self._backend.CompleteEntityTask(response, self._context)


def _encoded(message: pb.OrchestratorRequest | pb.EntityBatchRequest) -> str:
    return base64.b64encode(message.SerializeToString()).decode()


def _orchestrator_name(request: pb.OrchestratorRequest) -> str:
    events = [*request.pastEvents, *request.newEvents]
    return next(e.executionStarted.name for e in reversed(events) if e.HasField("executionStarted"))


def _orchestrator_version(request: pb.OrchestratorRequest) -> str:
    events = [*request.pastEvents, *request.newEvents]
    started = next(e.executionStarted for e in reversed(events) if e.HasField("executionStarted"))
    return str(started.version.value) if started.HasField("version") else ""


def _failure(error: FunctionFailed | UnknownFunction) -> pb.TaskFailureDetails:
    if isinstance(error, UnknownFunction):
        return pb.TaskFailureDetails(errorType=error.type, errorMessage=str(error), isNonRetriable=True)
    details = pb.TaskFailureDetails(errorType=error.type, errorMessage=error.message)
    details.stackTrace.value = error.stack
    return details
