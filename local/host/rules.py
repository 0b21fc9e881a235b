"""The rules of the real Functions host that this one claims to follow, and where it knowingly does not.

Sections and words follow facts/hostrules.md. A test fails when a claimed rule has no test marked with its id, when a
test names a rule that is not here, and when README.md does not list the deviations.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """One behaviour of the real host. `deviation` says what is different here, and why; empty: claimed as it is."""

    id: str
    section: str
    words: str
    deviation: str = ""

    @property
    def claimed(self) -> bool:
        return not self.deviation


_METADATA = "1 Metadata"
_HOST_JSON = "2 host.json"
_HTTP = "3 HTTP"
_TRIGGERS = "4 Triggers"
_DURABLE = "5 Durable"
_LIFE = "6 Start and failure"
_LIMITS = "7 Limits, Flex"

RULES: tuple[Rule, ...] = (
    Rule("metadata.function_name", _METADATA, "A letter, then letters, digits, '_', '-', at most 128; not 'host'"),
    Rule("metadata.unique_name", _METADATA, "Function names are unique ignoring case"),
    Rule("metadata.argument_name", _METADATA, "Letters, digits, '_'; no digit first, at most 128, never '__'"),
    Rule("metadata.unique_argument", _METADATA, "Argument names are unique ignoring case"),
    Rule("metadata.directions", _METADATA, "Directions are in, out, inout; '$return' is out"),
    Rule("metadata.one_trigger", _METADATA, "Exactly one binding whose type ends in 'trigger'"),
    Rule("metadata.one_fails_alone", _METADATA, "A broken rule of one function leaves the others running"),
    Rule("metadata.unresolved_setting", _METADATA, "An unresolved %SETTING% fails its function only"),
    Rule(
        "metadata.unknown_binding",
        _METADATA,
        "A binding type unknown to the bundle fails its function only",
        "One that is not implemented stops the host: without it the app would only look as if it worked.",
    ),
    Rule("metadata.listener_retried", _METADATA, "A listener that cannot start is retried after 2 s to 2 min"),
    Rule("metadata.bad_template_stops", _METADATA, "A route template that cannot be parsed stops everything"),
    Rule("metadata.language", _METADATA, "A language other than FUNCTIONS_WORKER_RUNTIME stops everything"),
    Rule("metadata.disabled", _METADATA, "AzureWebJobs_<name>_Disabled: only '1' and 'true' count; no listener"),
    Rule("metadata.disabled_activity", _METADATA, "A disabled activity is unknown to Durable"),
    Rule("metadata.allow_list", _METADATA, "host.json 'functions' is an allow list"),
    Rule("metadata.name_order", _METADATA, "Functions are processed in name order"),
    Rule("host_json.version", _HOST_JSON, "'version' must be \"2.0\""),
    Rule(
        "host_json.invalid_json",
        _HOST_JSON,
        "Invalid JSON: the start is retried for ever",
        "The host stops with the position of the error.",
    ),
    Rule("host_json.unknown_keys", _HOST_JSON, "Unknown keys are ignored (and, here, logged); keys ignore case"),
    Rule("host_json.overrides", _HOST_JSON, "The setting AzureFunctionsJobHost__a__b overrides a.b"),
    Rule("host_json.timeout_range", _HOST_JSON, "functionTimeout: Consumption 5 to 10 min; others 30 min, -1 or any"),
    Rule("host_json.timeout_kills", _HOST_JSON, "A timeout restarts the worker after 2 s; its other calls die too"),
    Rule(
        "host_json.timeout_process",
        _HOST_JSON,
        "The worker that dies by a timeout is a process",
        "All is one process: async functions are cancelled and their callers fail; a sync function's thread runs on, "
        "its result unheard. Module state of the app survives.",
    ),
    Rule("host_json.bundle", _HOST_JSON, "extensionBundle needs a valid id and NuGet range"),
    Rule("host_json.outstanding", _HOST_JSON, "Over http.maxOutstandingRequests: 429 and X-FUNCTION-SCALEOUT: 1"),
    Rule("host_json.concurrent_requests", _HOST_JSON, "http.maxConcurrentRequests run at a time, the rest waits"),
    Rule("host_json.batch_wait", _HOST_JSON, "serviceBus.maxBatchWaitTime above 2:30 stops the host"),
    Rule("host_json.queue_batch", _HOST_JSON, "queues.batchSize is at most 32"),
    Rule("host_json.durable_limits", _HOST_JSON, "Durable concurrency below 1, or partitionCount not 1 to 16, stops"),
    Rule(
        "host_json.not_applied",
        _HOST_JSON,
        "healthMonitor, concurrency, dynamicThrottlesEnabled, hsts, customHeaders and the rest act",
        "Keys that would change nothing worth testing on one machine are accepted, logged and not applied "
        "(NOT_APPLIED in host_json_keys.py).",
    ),
    Rule("http.reserved_routes", _HTTP, "No route may begin with the text 'admin' or 'runtime'"),
    Rule("http.route_taken", _HTTP, "Same route text and overlapping methods: the later name errors"),
    Rule("http.first_match", _HTTP, "Overlapping templates: the first in function-name order wins"),
    Rule("http.constraints", _HTTP, "ASP.NET constraints and catch-alls; a mismatch is 404"),
    Rule("http.wrong_method_404", _HTTP, "A wrong method is 404, never 405; GET does not answer HEAD or OPTIONS"),
    Rule("http.key_precedence", _HTTP, "x-functions-key, else ?code=; a right query does not rescue a wrong header"),
    Rule("http.master_opens_all", _HTTP, "The master key opens everything; only it opens 'admin'"),
    Rule("http.function_keys", _HTTP, "Host keys and a function's own keys open 'function', and no other function's"),
    Rule("http.system_keys", _HTTP, "A system key opens only its webhook; function keys open none"),
    Rule("http.401_before_disabled", _HTTP, "401 comes before any disabled check"),
    Rule("http.disabled_404", _HTTP, "A disabled function is 404; the master key and admin invoke still run it"),
    Rule(
        "http.key_store",
        _HTTP,
        "Keys lie in blob azure-webjobs-secrets; without a store every keyed route is 401",
        "Keys come from the --keys file or are generated at each start: no storage is needed.",
    ),
    Rule("http.body_limit", _HTTP, "Bodies up to 100 MiB, or FUNCTIONS_REQUEST_BODY_SIZE_LIMIT"),
    Rule(
        "http.front_end_timeout",
        _HTTP,
        "The front end gives up after 230 s",
        "There is no front end: only functionTimeout ends a request.",
    ),
    Rule("http.headers_lower", _HTTP, "The worker sees lower-case header names, repeats joined by a comma"),
    Rule("http.empty_query", _HTTP, "Query parameters without a value are missing"),
    Rule("http.chunked_empty", _HTTP, "A chunked upload arrives empty"),
    Rule("http.str_is_json", _HTTP, "A 'str' return is parsed as JSON; an object with 'body' becomes the response"),
    Rule("http.exception_500", _HTTP, "A function's exception is 500 with an empty body"),
    Rule("http.disconnect", _HTTP, "A client that goes away is not told to the function"),
    Rule("http.principal", _HTTP, "x-ms-client-principal is forwarded to code whoever sent it"),
    Rule(
        "http.cors", _HTTP, "CORS by platform settings", "No CORS headers are sent: no browser app is served."
    ),
    Rule(
        "http.not_ready",
        _HTTP,
        "While the host is not ready a request waits 30 s, then 503",
        "It waits until the app is loaded, or is cut when that fails.",
    ),
    Rule("http.home_page", _HTTP, "'/' is a home page; 204 with AzureWebJobsDisableHomepage"),
    Rule("service_bus.settle", _TRIGGERS, "Success completes, failure abandons; dead-lettering is the queue's"),
    Rule("service_bus.no_auto_complete", _TRIGGERS, "autoCompleteMessages false: success settles nothing"),
    Rule("service_bus.renewal", _TRIGGERS, "The lock is renewed up to maxAutoLockRenewalDuration"),
    Rule("service_bus.concurrency", _TRIGGERS, "At most maxConcurrentCalls messages at a time"),
    Rule("service_bus.batch", _TRIGGERS, "Batch: settled as a whole, one invocation at a time, no lock renewal"),
    Rule("service_bus.metadata", _TRIGGERS, "Message fields reach the worker's types; DeliveryCount is 1 at first"),
    Rule(
        "service_bus.topics",
        _TRIGGERS,
        "Topics and sessions",
        "Refused at start: only queues without sessions are implemented.",
    ),
    Rule("event_grid.key", _TRIGGERS, "The webhook needs the system key eventgrid_extension; its path ignores case"),
    Rule("event_grid.validation", _TRIGGERS, "SubscriptionValidation: 200 and the code"),
    Rule("event_grid.notification", _TRIGGERS, "Notification: 202; 500 when one event of it fails"),
    Rule("event_grid.parallel", _TRIGGERS, "Events of a delivery run in parallel; cardinality many: one call"),
    Rule("event_grid.unsubscribe", _TRIGGERS, "Unsubscribe: 202"),
    Rule("event_grid.other_400", _TRIGGERS, "No or another aeg-event-type: 400"),
    Rule("event_grid.unknown_404", _TRIGGERS, "An unknown function, or a name in the wrong case: 404"),
    Rule("event_grid.malformed_500", _TRIGGERS, "Malformed JSON: 500"),
    Rule("event_grid.options", _TRIGGERS, "OPTIONS: 200 with Webhook-Allowed-Origin"),
    Rule(
        "blob.trigger",
        _TRIGGERS,
        "Blob triggers by Event Grid",
        "Refused at start: the app has none.",
    ),
    Rule("queue.invisible", _TRIGGERS, "A message is invisible for 10 min, renewed while its function runs"),
    Rule("queue.poison", _TRIGGERS, "After maxDequeueCount it is moved to '<queue>-poison'"),
    Rule("queue.base64", _TRIGGERS, "Messages are base64; one that is not counts as failed"),
    Rule("timer.schedule", _TRIGGERS, "NCRONTAB with 6 fields, all of which must match; 5 are accepted; TimeSpan; UTC"),
    Rule("timer.monitor", _TRIGGERS, "useMonitor: default true, off below one minute; without it no status"),
    Rule("timer.catch_up", _TRIGGERS, "One catch-up run (isPastDue) for many missed ones"),
    Rule("timer.first_start", _TRIGGERS, "The first start, or a changed schedule, is never past due"),
    Rule("timer.no_overlap", _TRIGGERS, "A run that takes longer than the interval delays the next"),
    Rule("timer.run_on_startup", _TRIGGERS, "runOnStartup fires at every host start"),
    Rule("timer.failure", _TRIGGERS, "A failed run is not retried"),
    Rule("timer.retry", _TRIGGERS, "Retry metadata works on timers: fixed and exponential delay, -1 for ever"),
    Rule(
        "timer.lease",
        _TRIGGERS,
        "One instance runs a timer, by a blob lease; its record is a blob",
        "There is one instance; the record is a file beside the journal, or in memory without one.",
    ),
    Rule(
        "timer.time_zone",
        _TRIGGERS,
        "WEBSITE_TIME_ZONE moves schedules",
        "A time zone other than UTC puts the timer in error.",
    ),
    Rule(
        "timer.retry_jitter",
        _TRIGGERS,
        "exponentialBackoff waits a random time between its limits",
        "It doubles from the minimum to the maximum: tests can tell when.",
    ),
    Rule("retry.elsewhere", _TRIGGERS, "Retry metadata on Service Bus, Event Grid, queue and HTTP does nothing here"),
    Rule("durable.payload", _DURABLE, "The client binding gets the extension's configuration"),
    Rule("durable.management", _DURABLE, "Management API: 202 with Location and Retry-After 5, 200, 404; key"),
    Rule("durable.failed_500", _DURABLE, "A Failed instance is 200; 500 with returnInternalServerErrorOnFailure=true"),
    Rule("durable.hub_name", _DURABLE, "An invalid or unresolved hubName stops the host"),
    Rule("durable.unknown_functions", _DURABLE, "Unknown orchestrator: instance Failed; unknown activity: task failed"),
    Rule("durable.killed", _DURABLE, "Timeout: orchestrators are replayed, an activity fails (or is redelivered)"),
    Rule("durable.restart", _DURABLE, "After a kill of the host, what was in flight resumes"),
    Rule(
        "durable.legacy_protocol",
        _DURABLE,
        "Without durableRequiresGrpc the extension speaks the legacy HTTP protocol",
        "Refused at start: only the gRPC protocol of azure-functions-durable 2 is implemented.",
    ),
    Rule(
        "durable.default_hub",
        _DURABLE,
        "The default hub name is the site's, and throws outside the production slot",
        "It is TestHubName, as Core Tools has it.",
    ),
    Rule(
        "durable.storage",
        _DURABLE,
        "The hub lies in tables, queues and blobs; versions decide who runs an instance",
        "The hub lies in memory and in the journal; versions are not compared.",
    ),
    Rule("life.import_error", _LIFE, "Import or decorator error: no function runs; the host stops and says why"),
    Rule("life.zero_functions", _LIFE, "No functions: here the host stops and says why"),
    Rule("life.runtime_missing", _LIFE, "FUNCTIONS_WORKER_RUNTIME missing: no function runs; here the host stops"),
    Rule(
        "life.limits",
        _LIFE,
        "Init takes at most 2 min, metadata 1 min; the worker restarts three times, then the host recycles",
        "No limit: whoever started the host sees that it does not come up.",
    ),
    Rule(
        "life.processes",
        _LIFE,
        "FUNCTIONS_WORKER_PROCESS_COUNT worker processes beside the host's",
        "Worker and host are one process: a function that blocks the event loop blocks the host.",
    ),
    Rule("life.connections", _LIFE, "Connection C: AzureWebJobsC, then C; a plain value beats C__*"),
    Rule("life.missing_connection", _LIFE, "A missing connection is an error of its listener, retried"),
    Rule(
        "life.host_id",
        _LIFE,
        "The host id is the site's name cut to 32; collisions stop the host",
        "It is the folder's name: nothing is shared.",
    ),
    Rule("life.stop", _LIFE, "Stop within 10 s, without a cancellation signal to functions"),
    Rule(
        "life.drain_on_stop",
        _LIFE,
        "What runs at a stop is cancelled at once unless FUNCTIONS_ENABLE_DRAIN_ON_APP_STOPPING is set",
        "What runs may always finish within the time of the stop.",
    ),
    Rule("admin.ping", _LIFE, "admin/host/ping is open: 200"),
    Rule("admin.status", _LIFE, "admin/host/status (id, state, version, errors) needs the master key"),
    Rule("admin.invoke", _LIFE, "POST admin/functions/{name} {\"input\": \"...\"}: 202, 400 empty, 404 unknown"),
    Rule("admin.function_status", _LIFE, "admin/functions/{name}/status shows its errors"),
    Rule("admin.drain", _LIFE, "POST admin/host/drain 202, drain/status, POST admin/host/resume"),
    Rule("limits.setting_names", _LIMITS, "Setting names: letters, digits, '_'; '__' nests"),
    Rule(
        "limits.function_groups",
        _LIMITS,
        "Flex runs function groups on instances of their own",
        "All functions share one process: check that no module state is shared (checks.py cannot).",
    ),
)  # fmt: skip


def deviations() -> list[Rule]:
    """The rules that this host does not follow as they are."""
    return [rule for rule in RULES if not rule.claimed]


def deviations_table() -> str:
    """The deviations as README.md lists them: a Markdown table."""
    rows = [f"| {rule.section} | `{rule.id}` | {rule.words} | {rule.deviation} |" for rule in deviations()]
    return "\n".join(["| section | rule | the real host | here |", "|---|---|---|---|", *rows])


if __name__ == "__main__":
    print(deviations_table())
