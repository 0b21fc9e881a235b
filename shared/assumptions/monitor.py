"""Of Azure Monitor's metrics."""

from shared.assumptions.base import Assumption

ASSUMPTIONS = (
    Assumption(
        name="monitor.delay_s",
        question="How many seconds after its end does a minute appear in Azure Monitor metrics?",
        values=("60", "180"),
        default="60",
        source="1 to 3 minutes (facts/limits.md)",
        breaks_if_wrong="Rates would be called stale although there are no newer ones, or fresh although they are not.",
        probe="compare the newest minute of IncomingMessages with the clock",
    ),
    Assumption(
        name="monitor.idle_totals",
        question="What do IncomingMessages and CompleteMessage show for a queue without messages?",
        values=("zero", "absent"),
        default="zero",
        source="zero, by a warning in the documentation (azure-docs#11998); no time series at all, by promitor#667",
        breaks_if_wrong="An idle queue's rates would be missing and it would never shrink: they are zero only where "
        "Azure Monitor answered without any total of six minutes and every depth read meanwhile was zero "
        "(shared/estate/idle.py). After traffic has stopped its last minute is believed until it is stale, and that "
        "nothing at all is completed is not noticed as a limit other than capacity.",
    ),
    Assumption(
        name="monitor.idle_queue_series",
        question="What does ActiveMessages, split by EntityName, show for a queue that holds no message?",
        values=("zero", "absent"),
        default="zero",
        source="not documented; it is a state, not a count of events, so a queue without messages has one (supported "
        "metrics)",
        breaks_if_wrong="Where a sweep has fewer reads than queues an idle queue's depth would be as old as its last "
        "read: a queue that Azure Monitor does not mention is never taken for empty, and three reads in five go to "
        "those of them that nobody has read for two minutes (shared/estate/queues.py). So up to 1,500 queues of a "
        "subscription stay fresh, and of more those that are idle shrink late or not at all.",
        probe="read a queue, and if it is empty ask for its ActiveMessages",
    ),
    Assumption(
        name="monitor.unknown_resource",
        question="What does metrics:getBatch answer if one of its resources does not exist any more?",
        values=("batch_404", "left_out"),
        default="batch_404",
        source="not documented for batches; 404 ResourceNotFound for a single resource",
        breaks_if_wrong="The values of the others would be lost, or taken for another's: results are known by their "
        "place alone.",
    ),
    Assumption(
        name="monitor.capacity_states",
        question="Which words does the dimension State of DeploymentCapacity use?",
        values=("ready_pending_draining", "running_creating_deleting"),
        default="ready_pending_draining",
        source="the dimension is documented, its values are not (supported metrics of onlineEndpoints/deployments)",
        breaks_if_wrong="With words that shared/estate/metrics.py does not know the ready instances are missing, with "
        "the words as the reason: cold starts are then timed by the policy, and nothing shrinks.",
    ),
    Assumption(
        name="monitor.capacity_counts",
        question="Is DeploymentCapacity one number for each state, or 1 for each instance (dimension instanceId)?",
        values=("per_state", "per_instance"),
        default="per_state",
        source="both dimensions are documented, what is emitted is not (supported metrics)",
        breaks_if_wrong="One instance would seem ready however many are, or none.",
    ),
    Assumption(
        name="monitor.idle_requests",
        question="What does RequestsPerMinute show for a deployment that nobody calls?",
        values=("zero", "absent"),
        default="absent",
        source="not documented; the metric is emitted for requests that came (supported metrics)",
        breaks_if_wrong="A deployment without a queue that is idle would never shrink: without any request in six "
        "minutes it is idle only if its CPUs, and GPUs if it has any, are less than 5 % busy.",
    ),
    Assumption(
        name="monitor.latency_wait",
        question="Does RequestLatency_P95 of a deployment include the time that a request waits for an instance?",
        values=("included", "excluded"),
        default="included",
        source="the complete time until a request is answered, by the documentation of endpoints; not said of "
        "deployments (supported metrics)",
        breaks_if_wrong="Requests in flight, and so what waits, would be counted too low: overload then shows in "
        "refused requests and in how many each instance answers, and growth comes later.",
    ),
    Assumption(
        name="kubernetes.metrics",
        question="Does Azure Monitor have the metrics of deployments on Kubernetes that it has of managed ones?",
        values=("as_managed", "none"),
        default="as_managed",
        source="the metrics are documented for the type of resource, which is the same; which of them a cluster "
        "reports is not said (supported metrics)",
        breaks_if_wrong="Ready instances are then those asked for, once Azure says Succeeded; a deployment without a "
        "queue shows no load, is left as it is, and says so.",
    ),
)
