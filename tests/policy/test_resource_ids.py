"""A wrong resource id is answered with the segment that is wrong."""

import pytest

from shared.domain import DeploymentId, QueueId
from shared.policy.resource_ids import MalformedId, canonical_id
from tests.policy.documents import deployment_id, queue_id

DEPLOYMENT = deployment_id("blue")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (
            DEPLOYMENT.replace("onlineEndpoints", "batchEndpoints"),
            "segment 9 is 'batchEndpoints', expected 'onlineEndpoints'",
        ),
        (
            DEPLOYMENT.replace("MachineLearningServices", "ServiceBus"),
            "segment 6 is 'Microsoft.ServiceBus', expected 'Mic",
        ),
        (DEPLOYMENT.replace("0f0e0d0c", "mine"), "expected the GUID of the subscription"),
        (
            DEPLOYMENT.replace("/lab/", "/<workspace>/"),
            "segment 8 is '<workspace>', expected the name of the workspace",
        ),
        (DEPLOYMENT.replace("/models/", "//"), "segment 4, the name of the resource group, is missing"),
        (DEPLOYMENT.removesuffix("/blue"), "segment 12, the name of the deployment, is missing"),
        (DEPLOYMENT.removesuffix("/deployments/blue"), "segment 11, 'deployments', is missing"),
        (DEPLOYMENT + "/logs", "goes on after the id of an Azure ML online deployment: '/logs'"),
        (DEPLOYMENT + " ", "segment 12 is 'blue ', expected the name of the deployment"),
        (DEPLOYMENT[1:], "starts with 'subscriptions', but a resource id starts with '/subscriptions/'"),
        ("https://management.azure.com" + DEPLOYMENT, "is a web address, not a resource id"),
        ("", "starts with ''"),
        (queue_id("jobs"), "segment 6 is 'Microsoft.ServiceBus'"),
    ],
)
def test_the_wrong_segment_is_named(text: str, reason: str) -> None:
    with pytest.raises(MalformedId) as refused:
        canonical_id(text, DeploymentId)

    assert reason in refused.value.reason
    assert "/workspaces/<workspace>/onlineEndpoints/<endpoint>/deployments/<deployment>" in refused.value.remedy


@pytest.mark.parametrize("name", ["jobs", "a.b", "orders~eu", "x" * 260])
def test_queue_names_as_azure_allows_them(name: str) -> None:
    assert canonical_id(queue_id(name), QueueId) == queue_id(name)


def test_letter_case_of_the_fixed_words_is_azures_and_names_stay() -> None:
    shouted = DEPLOYMENT.replace("/resourceGroups/", "/RESOURCEGROUPS/").replace("/blue", "/Blue")

    assert canonical_id(shouted, DeploymentId) == deployment_id("Blue")
