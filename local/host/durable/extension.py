"""Plays the Durable Functions extension: carries work items from the task hub to the app's own trigger functions.

What the functions are given and return is the wire format that Azure uses (base64 of protobuf for orchestrators and
entities, JSON for activities), so converters, replay and serialisation are the production code paths.
"""

import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from durabletask.client import AsyncTaskHubGrpcClient

from local.clock import Clock
from local.host.durable.backend import LocalBackend
from local.host.durable.dispatch import Dispatcher
from local.host.durable.journal import Journal, SavingLock
from local.host.durable.options import DurableOptions
from local.host.functions import FunctionInvoker

log = logging.getLogger(__name__)


class DurableExtension:
    """One task hub and the functions that it runs.

    Args:
        invoker: the loaded app. Its functions are read at `start`.
        clock: the time of timers, scheduled starts and timestamps.
        journal: the SQLite file that keeps the hub, or None to forget it at the end.
        options: `extensions.durableTask` of host.json.
        redelivers_killed: whether an activity that was killed runs again (assumption durable.killed_activity); asked
            each time. It fails by default.
        purges_in_parts: whether a purge by filter stops before it is complete (assumption durable.purge_by_filter).

    Raises:
        OptionsError: host.json's durableTask section would stop the real host.
        JournalError: the journal belongs to another host or version.
    """

    def __init__(
        self,
        invoker: FunctionInvoker,
        clock: Clock,
        *,
        journal: Path | None,
        options: Mapping[str, Any],
        redelivers_killed: Callable[[], bool] = lambda: False,
        purges_in_parts: Callable[[], bool] = lambda: False,
    ) -> None:
        self._purges_in_parts = purges_in_parts
        self.options = DurableOptions.parse(options, cores=os.cpu_count() or 1)
        self._journal = Journal(journal) if journal is not None else None
        self._backend = self._backend_on(clock)
        self._dispatcher = Dispatcher(self._backend, invoker, self.options, redelivers_killed)
        self._address: str | None = None
        self._client: AsyncTaskHubGrpcClient | None = None

    def _backend_on(self, clock: Clock) -> LocalBackend:
        if self._journal is None:
            return LocalBackend(
                clock, default_version=self.options.versioning.default, purges_in_parts=self._purges_in_parts
            )
        hub, lock = self._journal.hub(), SavingLock(self._journal)
        return LocalBackend(
            clock,
            hub,
            lock,
            default_version=self.options.versioning.default,
            purges_in_parts=self._purges_in_parts,
        )

    async def start(self) -> str:
        """Serve clients and begin, or resume, the work. Returns the gRPC address as host:port."""
        self._backend.resume()
        self._address = self._backend.start()
        self._client = AsyncTaskHubGrpcClient(host_address=self._address, logger=log)
        self._dispatcher.start()
        return self._address

    async def stop(self) -> None:
        """Stop at once, as a host that shuts down does: what was in flight is delivered again by the next start."""
        await self._dispatcher.stop()
        if self._client is not None:
            await self._client.close()
        self._backend.stop(0)
        if self._journal is not None:
            self._journal.close()

    def busy(self) -> bool:
        """Whether work is queued or in flight. Armed timers and scheduled starts are not work."""
        return self._backend.busy()

    @property
    def client(self) -> AsyncTaskHubGrpcClient:
        """For the management API. Bound to the event loop of `start`."""
        if self._client is None:
            raise RuntimeError("The Durable extension has not been started.")
        return self._client

    def client_payload(self, base_url: str, system_key: str) -> dict[str, Any]:
        """What a durable client binding is given (BindingHelper.cs; read by azure.durable_functions.client).

        `base_url` is the host's, for example http://127.0.0.1:7071; `system_key` opens the management API.
        """
        if self._address is None:
            raise RuntimeError("The Durable extension has not been started.")
        return {
            "taskHubName": self.options.hub_name,
            "connectionName": self.options.connection_name,
            "rpcBaseUrl": f"http://{self._address}",
            "requiredQueryStringParameters": f"code={quote(system_key, safe='')}",
            "httpBaseUrl": f"{base_url.rstrip('/')}/runtime/webhooks/durabletask",
            "maxGrpcMessageSizeInBytes": self.options.max_grpc_message_bytes,
        }
