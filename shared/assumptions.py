"""What we believe of Azure and could not check where this was built: the one table.

The local Azure (for those of `durable.` the local host) takes each entry as a switch, the suites pass under every
value, `docs/assumptions.md` is generated from this table (`python -m shared.assumptions`), and `python -m shared.probe`
settles on a real subscription those that reading alone can settle. An unverified belief that is not here is a defect.
"""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One belief about Azure.

    `values[0]` is not special; `default` is what the local Azure does unless told otherwise. `acts` marks those that
    touch an action: the crash tests run under a pairwise covering array of them. `probe` says how reading settles it,
    if it can.
    """

    name: str
    question: str
    values: tuple[str, ...]
    default: str
    source: str
    breaks_if_wrong: str
    acts: bool = False
    probe: str = ""

    def __post_init__(self) -> None:
        if self.default not in self.values or len(set(self.values)) < 2:
            raise ValueError(f"{self.name}: the default must be one of at least two different values")


REGISTER: tuple[Assumption, ...] = (
    Assumption(
        name="deployment.patch_answer",
        question="What does an accepted PATCH of sku.capacity answer?",
        values=("ok_200", "accepted_location", "accepted_async_operation"),
        default="accepted_location",
        source="REST reference and OnlineDeployment update example: 200, or 202 with Location and Retry-After",
        breaks_if_wrong="Without a status URL the end of the operation is read from the deployment itself.",
        acts=True,
    ),
    Assumption(
        name="deployment.get_during_update",
        question="Which capacity does a GET show while the update runs?",
        values=("old_capacity", "new_capacity"),
        default="old_capacity",
        source="not documented",
        breaks_if_wrong="A read-back during the update could be taken for success or for a lost request.",
        acts=True,
    ),
    Assumption(
        name="deployment.get_lag_s",
        question="For how many seconds after an accepted PATCH may a GET still show the state from before it?",
        values=("0", "5"),
        default="0",
        source="not documented; traffic changes are known to be eventually consistent (azure-dev#3881)",
        breaks_if_wrong="After a crash, no read could tell an arrived request from a lost one: the identical PATCH may "
        "be sent a second time. That is the only case in which a second accepted PATCH is possible.",
        acts=True,
    ),
    Assumption(
        name="deployment.failed_operation_status",
        question="With which HTTP status does the status URL report a failed operation?",
        values=("200", "409"),
        default="200",
        source="azure-core raises HttpResponseError with status 200 for a failed operation (facts/arm.md 1.4)",
        breaks_if_wrong="A failure would be read as success, or an error of the poll as a failure of the change.",
        acts=True,
    ),
    Assumption(
        name="arm.conflict_retry_after",
        question="Does a 409 (another operation is running) carry Retry-After?",
        values=("absent", "present"),
        default="absent",
        source="not documented; azure-core retries any status of 400 or more that carries the header",
        breaks_if_wrong="The wait after a conflict would be too short or too long.",
        acts=True,
    ),
    Assumption(
        name="endpoint.traffic_put_during_update",
        question="Is a PUT of an endpoint's traffic accepted while one of its deployments updates?",
        values=("accepted", "conflict"),
        default="conflict",
        source="not documented; issues report 409 for concurrent operations on one entity (azure-cli#17075)",
        breaks_if_wrong="A traffic change would wait for a capacity change, or fail where it could have waited.",
        acts=True,
    ),
    Assumption(
        name="arm.deployment_busy_with_endpoint",
        question="Is a PATCH of a deployment accepted while its endpoint updates?",
        values=("accepted", "conflict"),
        default="conflict",
        source="not documented; issues report 409 for concurrent operations on one entity (azure-sdk-for-net#36961)",
        breaks_if_wrong="A capacity change would wait for a traffic change, or not: any 409 is waited for, whatever "
        "its code.",
        acts=True,
    ),
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
        name="graph.lists_deployments",
        question="Does Azure Resource Graph list online deployments with sku.capacity and provisioningState?",
        values=("yes", "no"),
        default="yes",
        source="deployments are tracked resources and named in public queries; the columns are not documented",
        breaks_if_wrong="The sweep falls back to one list per endpoint.",
        probe="query one row of type onlineendpoints/deployments and look for sku.capacity",
    ),
    Assumption(
        name="graph.age_s",
        question="How old may a row of Resource Graph be, in seconds?",
        values=("0", "30"),
        default="30",
        source="seconds to a minute (facts/limits.md)",
        breaks_if_wrong="A sweep would see an old capacity: harmless, because one fresh GET precedes every act.",
    ),
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
        name="quota.family_names_join",
        question="Does a size's family match the name of its usage row by letters and digits?",
        values=("yes", "no"),
        default="yes",
        source="holds in the published examples for the families shown",
        breaks_if_wrong="The family's headroom is unknown: growth is checked against the regional total only.",
        probe="join vmSizes to usages of one region and list the families without a row",
    ),
)

BY_NAME = {assumption.name: assumption for assumption in REGISTER}


def defaults() -> dict[str, str]:
    """Every assumption at its default."""
    return {assumption.name: assumption.default for assumption in REGISTER}


def with_values(**overrides: str) -> dict[str, str]:
    """Every assumption, some at another value (dots in names are written as double underscores)."""
    return checked({name.replace("__", "."): value for name, value in overrides.items()})


def checked(overrides: dict[str, str]) -> dict[str, str]:
    """`overrides` completed with the defaults; names every unknown name and value at once.

    Raises:
        ValueError: a name or a value is not in the register.
    """
    problems = []
    for name, value in overrides.items():
        if name not in BY_NAME:
            problems.append(f"unknown assumption {name!r}; known: {', '.join(sorted(BY_NAME))}")
        elif value not in BY_NAME[name].values:
            problems.append(f"{name}: unknown value {value!r}; possible: {', '.join(BY_NAME[name].values)}")
    if problems:
        raise ValueError("; ".join(problems))
    return defaults() | overrides


def markdown() -> str:
    """The register as the page `docs/assumptions.md`."""
    lines = [
        "# Assumptions about Azure",
        "",
        "Generated from `shared/assumptions.py` by `python -m shared.assumptions`; do not edit. The local Azure (for",
        "those of `durable.` the local host) takes each as a switch, and the end-to-end tests pass under every value.",
        "*Acts*: also in the crash tests' pairwise covering array.",
        "",
    ]
    for a in REGISTER:
        values = ", ".join(f"**{v}**" if v == a.default else v for v in a.values)
        lines += [
            f"## `{a.name}`",
            "",
            a.question,
            "",
            f"* values (default in bold): {values}",
            f"* source: {a.source}",
            f"* if wrong: {a.breaks_if_wrong}",
            f"* acts: {'yes' if a.acts else 'no'}; probe: {a.probe or 'reading alone cannot settle it'}",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    page = Path(__file__).parents[1] / "docs" / "assumptions.md"
    page.write_text(markdown(), encoding="utf-8")
    print(f"wrote {page}")
