"""Documents of both kinds: a platform's with two projects, and theirs."""

from typing import Any

from shared.policy.loading import Written, read_platform, read_project
from shared.policy.merge import Merged, merge
from shared.policy.models import Policy, ProjectPolicy
from tests.policy.documents import SUBSCRIPTION, as_yaml, queue_id, target

WORKSPACES = f"{SUBSCRIPTION}/resourceGroups/models/providers/Microsoft.MachineLearningServices/workspaces"


def deployment_in(workspace: str, name: str = "blue", endpoint: str = "chat") -> str:
    return f"{WORKSPACES}/{workspace}/onlineEndpoints/{endpoint}/deployments/{name}"


def grant(name: str, **fields: Any) -> dict[str, Any]:
    """A project that owns the workspace of its name, and may read every queue."""
    return {"name": name, "workspaces": [{"name": name}], "queues": [{"namespace": "lab-bus"}]} | fields


def platform(**fields: Any) -> dict[str, Any]:
    return {
        "version": 1,
        "defaults": {"max": 6},
        "projects": [grant("red", secrets=["*"]), grant("green", secrets=["*"])],
    } | fields


def project(name: str, *targets: dict[str, Any], **fields: Any) -> dict[str, Any]:
    own = target("chat", deployment=deployment_in(name), queue=queue_id(name))
    return {"version": 1, "project": name, "targets": list(targets or (own,))} | fields


def read(whole: dict[str, Any]) -> Written[Policy]:
    return read_platform(as_yaml(whole), "platform.yaml")


def read_one(whole: dict[str, Any]) -> Written[ProjectPolicy]:
    return read_project(as_yaml(whole), f"{whole['project']}.yaml")


def merged(whole: dict[str, Any], *projects: dict[str, Any], **more: Any) -> Merged:
    return merge(read(whole), [read_one(one) for one in projects], **more)


def findings(whole: dict[str, Any], *projects: dict[str, Any]) -> dict[str, dict[str, str]]:
    """By document: path (without a target's name) -> `reason. remedy`."""
    return {
        source: {problem.path.split(" ")[0]: f"{problem.reason}. {problem.remedy}" for problem in problems}
        for source, problems in merged(whole, *projects).findings.items()
    }
