"""Reading deployments: singly, by Resource Graph, by endpoint."""

import pytest

from local.cloud.estate import fleet, subscription_id
from local.cloud.faults import Fault
from local.cloud.throttling import BucketSizes
from shared.estate import deployments
from shared.estate.arm import ArmError, ArmThrottled
from tests.estate.azure import BLUE, ENDPOINT, GREEN, SUBSCRIPTION, Azure, running_azure, small_estate


async def by_graph(azure: Azure) -> dict[str, deployments.DeploymentView]:
    return await deployments.list_by_graph(azure.arm, [SUBSCRIPTION], azure.now(), azure.pauses)


async def test_one_get_says_all_that_is_needed(azure: Azure) -> None:
    view = await deployments.read(azure.arm, BLUE, azure.now())
    assert (view.id, view.capacity, view.provisioning_state) == (BLUE, 2, "Succeeded")
    assert (view.compute_type, view.instance_type, view.scale_type) == ("Managed", "Standard_DS3_v2", "Default")
    assert (view.region, view.sku_name, view.source) == ("westeurope", "Default", "arm")
    assert view.read_at == azure.now()
    assert not view.scaled_by_cluster


async def test_a_cluster_that_scales_its_deployment_is_recognised() -> None:
    estate = small_estate()
    blue = estate["subscriptions"][0]["workspaces"][0]["endpoints"][0]["deployments"][0]
    blue |= {"compute_type": "Kubernetes", "scale_settings": {"scaleType": "TargetUtilization", "maxInstances": 5}}
    async with running_azure(estate) as azure:
        assert (await deployments.read(azure.arm, BLUE, azure.now())).scaled_by_cluster


async def test_the_graph_lists_all_deployments_in_one_request(azure: Azure) -> None:
    views = await by_graph(azure)
    assert {key: view.capacity for key, view in views.items()} == {BLUE.key: 2, GREEN.key: 1}
    assert views[BLUE.key].source == "graph"
    assert views[BLUE.key].region == "westeurope"
    assert len([r for r in azure.cloud.requests if r.host == "management.azure.com"]) == 1


async def test_the_graph_is_read_to_its_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "GRAPH_PAGE_ROWS", 7)
    async with running_azure(fleet(endpoints=10, deployments=2)) as azure:
        views = await deployments.list_by_graph(azure.arm, [subscription_id(1)], azure.now(), azure.pauses)
    assert len(views) == 20
    assert azure.count("POST", "/resources") == 3


async def test_a_used_up_quota_of_the_graph_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "GRAPH_PAGE_ROWS", 1)
    async with running_azure(buckets=BucketSizes(graph_queries=1)) as azure:
        assert len(await by_graph(azure)) == 2
        assert 5.0 in azure.pauses.asked_s
        assert [r.status for r in azure.cloud.requests if r.method == "POST"] == [200, 200]


async def test_a_graph_quota_that_is_used_up_for_long_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deployments, "GRAPH_PAGE_ROWS", 1)
    async with running_azure(buckets=BucketSizes(graph_queries=1, graph_window_s=60)) as azure:
        with pytest.raises(ArmThrottled) as raised:
            await by_graph(azure)
    assert raised.value.retry_after_s == 60


async def test_what_the_graph_does_not_list_is_not_there() -> None:
    async with running_azure(assumptions={"graph.lists_deployments": "no"}) as azure:
        assert await by_graph(azure) == {}
        listed = await deployments.list_by_endpoint(azure.arm, BLUE, azure.now())
    assert {key: view.capacity for key, view in listed.items()} == {BLUE.key: 2, GREEN.key: 1}


async def test_rows_without_a_capacity_say_so(azure: Azure) -> None:
    rows = [
        {"id": BLUE.arm_id, "location": "West Europe", "sku": None, "properties": {"provisioningState": "Creating"}},
        {"id": GREEN.arm_id.upper(), "sku": {"capacity": "3"}, "properties": None},
        {"id": f"{ENDPOINT}/somethingElse/x", "sku": {"capacity": 3}},
        "not a row",
    ]
    azure.cloud.faults.add(Fault(method="POST", status=200, body={"data": rows}))
    views = await by_graph(azure)
    assert {key: view.capacity for key, view in views.items()} == {BLUE.key: None, GREEN.key: None}
    assert views[BLUE.key].provisioning_state == "Creating"
    assert views[BLUE.key].region == "westeurope"


async def test_a_body_that_is_no_deployment_is_an_error(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="deployments/blue", status=200, body={"value": []}))
    with pytest.raises(ArmError, match="does not describe a deployment"):
        await deployments.read(azure.arm, BLUE, azure.now())
