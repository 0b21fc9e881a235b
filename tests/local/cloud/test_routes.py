"""What no route lists is refused: paths, methods, api-versions, body paths."""

import re
from pathlib import Path
from typing import Any

import pytest

import local.cloud as cloud_package
from local.cloud import Cloud
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT, WORKSPACE


async def refusal(
    arm: ArmClient, method: str, path: str, body: Any = None, api: str | None = "2024-10-01"
) -> tuple[int, str, str]:
    response = await arm.send(method, path, body, api=api)
    error = response.json()["error"]
    return response.status_code, error["code"], error["message"]


def test_every_route_says_where_it_is_documented_and_which_right_it_needs(cloud: Cloud) -> None:
    for route in cloud.registry.routes:
        assert len(route.source) > 10, route.template
        assert bool(route.action) == bool(route.audiences), f"{route.template}: a token is checked for a right"
        assert all(re.fullmatch(r"\d{4}-\d\d-\d\d|7\.\d", version) for version in route.api_versions)


async def test_both_api_versions_of_azure_ml_answer(arm: ArmClient) -> None:
    assert await arm.get(BLUE, api="2024-10-01") == await arm.get(BLUE, api="2025-12-01")


async def test_an_api_version_that_the_route_does_not_list_is_refused_with_those_that_it_does(arm: ArmClient) -> None:
    status, code, message = await refusal(arm, "GET", BLUE, api="2022-02-01-preview")
    assert (status, code) == (400, "InvalidApiVersionParameter")
    assert "'2025-12-01,2024-10-01'" in message
    assert (await refusal(arm, "GET", BLUE, api=None))[:2] == (400, "MissingApiVersionParameter")


async def test_unknown_paths_methods_and_resources(arm: ArmClient) -> None:
    assert (await refusal(arm, "GET", f"{WORKSPACE}/batchEndpoints"))[:2] == (404, "NotFound")
    assert (await refusal(arm, "DELETE", BLUE))[:2] == (405, "MethodNotAllowed")
    status, code, message = await refusal(arm, "GET", f"{ENDPOINT}/deployments/purple")
    assert (status, code) == (404, "ResourceNotFound")
    assert "onlineEndpoints/deployments/vision/fraud/purple' under resource group 'rg-vision'" in message


@pytest.mark.parametrize(
    ("method", "path", "body", "named"),
    [
        ("PATCH", BLUE, {"properties": {"instanceType": "Standard_F4s_v2"}}, "'properties'"),
        ("PATCH", BLUE, {"sku": {"capacity": 3, "instances": 3}}, "'sku.instances'"),
        ("PATCH", BLUE, {"sku": {"capacity": "3"}}, "'sku.capacity'"),
        ("PATCH", BLUE, {"sku": {"capacity": True}}, "'sku.capacity'"),
        ("PATCH", ENDPOINT, {"sku": {"capacity": 3}}, "'sku'"),
        ("PUT", ENDPOINT, {"location": "westeurope"}, "'properties'"),
        ("PUT", ENDPOINT, {"location": "x", "properties": {"authMode": "Key", "weights": {}}}, "'properties.weights'"),
    ],
)
async def test_a_body_path_that_azure_does_not_know_is_refused_and_named(
    arm: ArmClient, cloud: Cloud, method: str, path: str, body: Any, named: str
) -> None:
    status, code, message = await refusal(arm, method, path, body)
    assert (status, code) == (400, "InvalidRequestContent")
    assert named in message
    assert not any(record.accepted for record in cloud.mutations())


async def test_a_body_that_is_no_json_object_is_refused(arm: ArmClient) -> None:
    assert (await refusal(arm, "PATCH", BLUE, ["sku"]))[:2] == (400, "InvalidRequestContent")


async def test_lists_come_in_pages_with_next_links(arm: ArmClient) -> None:
    first = await arm.get(f"{ENDPOINT}/deployments?api-version=2024-10-01&$top=1")
    assert [row["name"] for row in first["value"]] == ["blue"]
    second = await arm.get(first["nextLink"])
    assert [row["name"] for row in second["value"]] == ["Green"]
    assert "nextLink" not in second
    assert [row["name"] for row in (await arm.get(f"{WORKSPACE}/onlineEndpoints"))["value"]] == ["fraud"]
    assert (await arm.get(WORKSPACE))["location"] == "westeurope"


async def test_sizes_have_family_vcpus_and_prices(arm: ArmClient) -> None:
    sub = BLUE.split("/")[2]
    path = f"/subscriptions/{sub}/providers/Microsoft.MachineLearningServices/locations/westeurope/vmSizes"
    rows = {row["name"]: row for row in (await arm.get(path))["value"]}
    ds3 = rows["Standard_DS3_v2"]
    assert (ds3["family"], ds3["vCPUs"], ds3["gpus"]) == ("standardDSv2Family", 4, 0)
    prices = {price["vmTier"]: price["retailPrice"] for price in ds3["estimatedVMPrices"]["values"]}
    assert prices["Standard"] > prices["LowPriority"] > 0
    assert "MIR" in ds3["supportedComputeTypes"]
    assert "MIR" not in rows["Standard_DS1_v2"]["supportedComputeTypes"]


async def test_autoscale_settings_of_a_subscription_and_of_a_group(arm: ArmClient) -> None:
    sub = BLUE.split("/")[2]
    kinds = "providers/Microsoft.Insights/autoscalesettings"
    for scope in (f"/subscriptions/{sub}", f"/subscriptions/{sub}/resourceGroups/RG-Vision"):
        (setting,) = (await arm.get(f"{scope}/{kinds}", api="2022-10-01"))["value"]
        assert setting["properties"]["targetResourceUri"] == f"{ENDPOINT}/deployments/Green"
        assert setting["properties"]["enabled"] is True
        assert setting["properties"]["profiles"][0]["capacity"] == {"minimum": "1", "maximum": "10", "default": "1"}
    elsewhere = await arm.get(f"/subscriptions/{sub}/resourceGroups/rg-other/{kinds}", api="2022-10-01")
    assert elsewhere["value"] == []


def test_the_readme_lists_every_route(cloud: Cloud) -> None:
    readme = (Path(cloud_package.__file__).parent / "README.md").read_text(encoding="utf-8")
    for route in cloud.registry.routes:
        last_two = "/".join(route.template.split("/")[-2:])
        assert any(part in readme for part in (last_two, route.template.split("/")[-1])), route.template
        assert all(version in readme for version in route.api_versions), route.template
