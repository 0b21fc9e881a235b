"""The keys that host.json may have, and which of them this host applies.

From the options classes of the host and its extensions (facts/hostrules.md §2); the published JSON schema lacks some.
"""

from collections.abc import Iterator, Mapping
from typing import Any

KeyTree = Mapping[str, "KeyTree | None"]


def _leaves(names: str) -> dict[str, KeyTree | None]:
    return dict.fromkeys(names.split())


_SERVICE_BUS = _leaves(
    "prefetchCount autoCompleteMessages maxAutoLockRenewalDuration maxConcurrentCalls maxConcurrentSessions "
    "maxConcurrentCallsPerSession maxMessageBatchSize minMessageBatchSize maxBatchWaitTime sessionIdleTimeout "
    "enableCrossEntityTransactions transportType webProxy"
) | {"clientRetryOptions": _leaves("mode tryTimeout delay maxDelay maxRetries")}

_DURABLE = _leaves(
    "hubName defaultVersion versionMatchStrategy versionFailureStrategy maxConcurrentActivityFunctions "
    "maxConcurrentOrchestratorFunctions maxConcurrentEntityFunctions maxEntityOperationBatchSize "
    "maxOrchestrationActions extendedSessionsEnabled extendedSessionIdleTimeoutInSeconds useGracefulShutdown "
    "useAppLease storeInputsInOrchestrationHistory overridableExistingInstanceStates "
    "entityMessageReorderWindowInMinutes maxGrpcMessageSizeInBytes grpcHttpClientTimeout "
    "rollbackEntityOperationsOnExceptions localRpcEndpointEnabled notifications"
) | {
    "httpSettings": _leaves("defaultAsyncRequestSleepTimeMilliseconds useForwardedHost"),
    "storageProvider": _leaves(
        "type connectionName connectionStringName partitionCount controlQueueBatchSize controlQueueBufferThreshold "
        "controlQueueVisibilityTimeout workItemQueueVisibilityTimeout maxQueuePollingInterval "
        "trackingStoreConnectionName trackingStoreNamePrefix fetchLargeMessagesAutomatically "
        "useTablePartitionManagement"
    ),
    "tracing": _leaves("traceInputsAndOutputs traceReplayEvents distributedTracingEnabled version"),
}

KNOWN: KeyTree = _leaves("version functions functionTimeout aggregator watchDirectories watchFiles singleton "
                         "telemetryMode retry customHandler sendCanceledInvocationsToTheWorker") | {
    "logging": None,
    "extensionBundle": _leaves("id version"),
    "managedDependency": _leaves("enabled"),
    "healthMonitor": _leaves(
        "enabled healthCheckInterval healthCheckWindow healthCheckThreshold counterThreshold"
    ),
    "concurrency": _leaves("dynamicConcurrencyEnabled snapshotPersistenceEnabled maximumFunctionConcurrency"),
    "extensions": {
        "http": _leaves("routePrefix maxOutstandingRequests maxConcurrentRequests dynamicThrottlesEnabled "
                        "customHeaders")
        | {"hsts": None},
        "serviceBus": _SERVICE_BUS,
        "queues": _leaves(
            "batchSize newBatchThreshold maxDequeueCount visibilityTimeout messageEncoding maxPollingInterval"
        ),
        "blobs": _leaves("maxDegreeOfParallelism poisonBlobThreshold"),
        "eventGrid": {},
        "durableTask": _DURABLE,
        "cosmosDB": None,
        "eventHubs": None,
        "kafka": None,
        "sendGrid": None,
        "signalR": None,
    },
}  # fmt: skip

# A change of these would change how a real host behaves, and not this one.
NOT_APPLIED = frozenset(
    {
        "aggregator", "watchdirectories", "watchfiles", "singleton", "telemetrymode", "retry", "customhandler",
        "sendcanceledinvocationstotheworker", "healthmonitor", "concurrency", "manageddependency",
        "extensions.http.dynamicthrottlesenabled", "extensions.http.customheaders", "extensions.http.hsts",
        "extensions.servicebus.minmessagebatchsize",
        "extensions.servicebus.maxbatchwaittime", "extensions.servicebus.enablecrossentitytransactions",
        "extensions.servicebus.transporttype", "extensions.servicebus.webproxy",
        "extensions.servicebus.clientretryoptions", "extensions.blobs",
    }
)  # fmt: skip


def key_paths(document: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    """Each key's dotted path, as spelt in the document, and whether it is known; nothing below an unknown key."""
    yield from _walk(document, KNOWN, "")


def _walk(document: Mapping[str, Any], tree: KeyTree, prefix: str) -> Iterator[tuple[str, bool]]:
    names = {name.lower(): part for name, part in tree.items()}
    for name, value in document.items():
        path = prefix + name
        known = name.lower() in names
        yield path, known
        below = names.get(name.lower())
        if below is not None and isinstance(value, Mapping):
            yield from _walk(value, below, path + ".")


def canonical(document: Mapping[str, Any], tree: KeyTree | None = None) -> dict[str, Any]:
    """The document with known keys spelt as Microsoft does: the real host ignores their case."""
    names = {name.lower(): (name, part) for name, part in (KNOWN if tree is None else tree).items()}
    result: dict[str, Any] = {}
    for name, value in document.items():
        spelt, below = names.get(name.lower(), (name, None))
        result[spelt] = canonical(value, below) if below is not None and isinstance(value, Mapping) else value
    return result
