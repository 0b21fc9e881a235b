"""Documents to test with: a valid one as plain values, and its YAML."""

from typing import Any

import yaml

from shared.policy import PolicyInvalid, load_policy, review_policy

SUBSCRIPTION = "/subscriptions/0f0e0d0c-0b0a-4908-8706-050403020100"


def deployment_id(name: str, endpoint: str = "chat") -> str:
    return (
        f"{SUBSCRIPTION}/resourceGroups/models/providers/Microsoft.MachineLearningServices/workspaces/lab"
        f"/onlineEndpoints/{endpoint}/deployments/{name}"
    )


def queue_id(name: str) -> str:
    return f"{SUBSCRIPTION}/resourceGroups/bus/providers/Microsoft.ServiceBus/namespaces/lab-bus/queues/{name}"


def target(name: str = "chat", **fields: Any) -> dict[str, Any]:
    """A valid target; `fields` replace or add, and those given as None are left out."""
    whole = {"name": name, "deployment": deployment_id(name), "queue": queue_id(name)} | fields
    return {key: value for key, value in whole.items() if value is not None}


def document(*targets: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"version": 1, "defaults": {"max": 6}, "targets": list(targets or (target(),))} | fields


class _Plain(yaml.SafeDumper):
    """Writes a value that occurs twice out twice: a policy may have no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(values: Any) -> str:
    return str(yaml.dump(values, Dumper=_Plain, sort_keys=False, width=1000))


def problems_of(text: str) -> dict[str, str]:
    """Path -> `reason. remedy` of a document that must be refused; a target's name is cut off its path."""
    try:
        load_policy(text, "policy.yaml")
    except PolicyInvalid as error:
        return {problem.path.split(" ")[0]: f"{problem.reason}. {problem.remedy}" for problem in error.problems}
    raise AssertionError("the document was accepted")


def problems_in(*targets: dict[str, Any], **fields: Any) -> dict[str, str]:
    return problems_of(as_yaml(document(*targets, **fields)))


def warnings_in(*targets: dict[str, Any], **fields: Any) -> dict[str, str]:
    reviewed = review_policy(as_yaml(document(*targets, **fields)), "policy.yaml")
    return {warning.path.split(" ")[0]: f"{warning.reason}. {warning.remedy}" for warning in reviewed.warnings}
