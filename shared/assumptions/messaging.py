"""Of Service Bus and Event Grid."""

from shared.assumptions.base import Assumption

ASSUMPTIONS = (
    Assumption(
        name="servicebus.list_carries_counts",
        question="Does the list of a namespace's queues carry countDetails?",
        values=("yes", "no"),
        default="no",
        source="the published example shows messageCount only, the CLI's list shows both",
        breaks_if_wrong="Depth would cost one GET a queue where a list would do, or come from a field that is absent.",
        probe="list one namespace's queues and look for countDetails",
    ),
    Assumption(
        name="servicebus.queue_location",
        question="Does a queue's document carry `location`, the region of its namespace?",
        values=("yes", "no"),
        default="yes",
        source="a read-only property of the specification (2024-01-01); its example of a list shows none",
        breaks_if_wrong="The namespace is looked for in the deployment's region. Where that is another one, its rates "
        "are missing with the reason, and targets on it grow by their depth but never shrink.",
        probe="read one queue and look for location",
    ),
    Assumption(
        name="servicebus.count_lag_s",
        question="By how many seconds do the queue counts of Resource Manager lag behind the broker?",
        values=("0", "3"),
        default="0",
        source="not documented",
        breaks_if_wrong="A depth is older than its timestamp says.",
    ),
    Assumption(
        name="servicebus.locked_are_active",
        question="Does activeMessageCount include messages that a receiver holds locked?",
        values=("yes", "no"),
        default="yes",
        source="known, not looked up (facts/limits.md)",
        breaks_if_wrong="Work in progress would be counted as waiting, or not at all.",
    ),
    Assumption(
        name="servicebus.dead_letter_time",
        question="Which enqueued time does a message in a dead-letter queue show?",
        values=("when_it_was_sent", "when_it_died"),
        default="when_it_died",
        source="not documented",
        breaks_if_wrong="The age of a dead letter counts from when it was sent: its owner is told earlier, not later.",
    ),
    Assumption(
        name="eventgrid.deleted_topic",
        question="What does a publisher meet at the address of a custom topic that does not exist?",
        values=("answers_404", "no_address"),
        default="answers_404",
        source="not documented; the client has an error of its own for 404",
        breaks_if_wrong="Notices would be given up at once, or tried for a day: either way the ledger says so.",
    ),
)
