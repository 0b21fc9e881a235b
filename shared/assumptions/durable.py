"""Of the Functions host and of Durable Functions."""

from shared.assumptions.base import Assumption

ASSUMPTIONS = (
    Assumption(
        name="durable.killed_activity",
        question="Does an activity that functionTimeout or the worker's death ends fail, or is it delivered again?",
        values=("fails", "redelivered"),
        default="fails",
        source="fails, by OutOfProcMiddleware.cs (facts/hostrules.md 5) and azure-functions-durable-extension#2939; "
        "newer releases abort the session for platform errors, which delivers it again (#3439)",
        breaks_if_wrong="A step of an act would run twice, or not again: it may do both, because all that must survive "
        "is in the action's row and a failed step is retried by its RetryPolicy.",
    ),
    Assumption(
        name="durable.purge_by_filter",
        question="Does a purge by filter remove all that the filter means, or may it stop earlier and say so?",
        values=("whole", "in_parts"),
        default="whole",
        source="PurgeInstancesResponse.isComplete in durabletask's protocol; large purges are known to hang or to end "
        "early (azure-functions-durable-extension#892, #2211)",
        breaks_if_wrong="Histories would stay for ever behind the mark up to which all is taken for purged: a window "
        "that is not complete is asked for again.",
    ),
    Assumption(
        name="host.cloud_events",
        question="Does the Functions host take CloudEvents for a Python Event Grid trigger: handshake and events?",
        values=("taken", "refused"),
        default="taken",
        source="in the extension since 3.2.0 (azure-functions-templates#1301); for Python nobody confirms it "
        "(azure-functions-eventgrid-extension#116)",
        breaks_if_wrong="A subscription with CloudEvents that points straight at the function cannot be made, or its "
        "events end in its dead letters. The Service Bus queue, the way to choose, takes both schemas.",
    ),
)
