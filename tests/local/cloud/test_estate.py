"""Describing an estate: what is missing or unknown is named with its place."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from local.cloud import Estate, fleet
from local.cloud.bodies import DeploymentPatch, EndpointPatch, EndpointPut, parsed
from tests.local.cloud.conftest import BLUE, DESCRIPTION, ENDPOINT, NAMESPACE

EXAMPLES = Path(__file__).parents[4] / "shared/data/arm_examples/spec"


def changed(path: list[Any], key: Any, value: Any) -> dict[str, Any]:
    description = copy.deepcopy(DESCRIPTION)
    place: Any = description["subscriptions"][0]
    for step in path:
        place = place[step]
    place[key] = value
    return description


@pytest.mark.parametrize(
    ("path", "key", "value", "says"),
    [
        ([], "regions", [], r"subscriptions\[0\]: unknown regions; known: autoscale, id"),
        (["workspaces", 0], "endpoint", [], r"subscriptions\[0\]\.workspaces\[0\]: unknown endpoint"),
        (["workspaces", 0, "endpoints", 0], "traffic", {"purple": 100}, "purple"),
        (
            ["workspaces", 0, "endpoints", 0, "deployments", 1],
            "size",
            "Standard_X9",
            r"Standard_X9.*knows: Standard_DS1",
        ),
        (["workspaces", 0, "endpoints", 0, "deployments", 1], "name", "blue", "two resources with the id"),
        (["namespaces"], 0, {"name": "bus", "group": "rg"}, r"namespaces\[0\]\.region is missing"),
        ([], "namespaces", {"name": "bus"}, r"subscriptions\[0\]\.namespaces must be a list"),
    ],
)
def test_a_wrong_description_is_refused(path: list[Any], key: Any, value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Estate.from_dict(changed(path, key, value))


def test_resources_are_found_in_any_letter_case() -> None:
    estate = Estate.from_dict(DESCRIPTION)
    assert estate.deployment(BLUE.upper()).id == BLUE
    assert estate.endpoint(ENDPOINT.lower() + "/").name == "fraud"
    assert {namespace.id for namespace in estate.namespaces()} == {NAMESPACE}
    with pytest.raises(KeyError, match="no deployment"):
        estate.deployment(ENDPOINT)


def test_a_fleet_for_load_tests() -> None:
    regions = ("westeurope", "northeurope", "swedencentral")
    estate = Estate.from_dict(fleet(subscriptions=3, regions=regions, endpoints=100, deployments=5, namespaces=11))
    assert (len(estate.endpoints()), len(estate.deployments())) == (900, 4500)
    assert len({(endpoint.region, endpoint.name) for endpoint in estate.endpoints()}) == 900
    assert len(estate.namespaces()) == 99
    queues = [name for namespace in estate.namespaces() for name in namespace.queue_names]
    assert len(queues) == 900, "one queue an endpoint"


@pytest.mark.skipif(not EXAMPLES.exists(), reason="../shared/data is not on this machine")
@pytest.mark.parametrize(
    ("example", "model"),
    [
        ("ManagedOnlineDeployment.update", DeploymentPatch),
        ("OnlineEndpoint.update", EndpointPatch),
        ("OnlineEndpoint.createOrUpdate", EndpointPut),
    ],
)
def test_the_models_take_the_published_examples(example: str, model: Any) -> None:
    document = json.loads((EXAMPLES / f"ml/2024-10-01/{example}.json").read_text(encoding="utf-8"))
    body = document["parameters"]["body"]
    assert parsed(model, body).model_dump(exclude_unset=True) == body


@pytest.mark.skipif(not EXAMPLES.exists(), reason="../shared/data is not on this machine")
def test_our_documents_have_the_fields_of_the_published_ones() -> None:
    published = json.loads((EXAMPLES / "ml/2024-10-01/ManagedOnlineDeployment.get.json").read_text(encoding="utf-8"))
    example = published["responses"]["200"]["body"]
    ours = Estate.from_dict(DESCRIPTION).deployment(BLUE).body
    optional = {"identity"}
    assert set(example) - optional <= set(ours)
    missing = set(example["properties"]) - set(ours["properties"])
    assert missing <= {"description", "modelMountPath"}, "optional in the specification"
    assert set(ours["systemData"]) == set(example["systemData"])
