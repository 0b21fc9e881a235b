"""Resource Graph: rows, pages, order, the small query language, and the caller's rights."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.cloud import Cloud, fleet, subscription_id
from local.cloud.kql import UnsupportedQueryError, parse
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, SUB, StartCloud

PATH = "/providers/Microsoft.ResourceGraph/resources"
DEPLOYMENTS = "resources | where type =~ 'microsoft.machinelearningservices/workspaces/onlineendpoints/deployments'"


async def ask(arm: ArmClient, query: str, **body: Any) -> Any:
    answer = await arm.send("POST", PATH, {"query": query, **body}, api="2022-10-01")
    assert answer.status_code == 200, answer.text()
    return answer.json()


async def test_rows_have_capacity_and_state_and_types_in_lower_case(arm: ArmClient) -> None:
    answer = await ask(arm, f"{DEPLOYMENTS} | order by id asc", subscriptions=[SUB.upper()])
    assert (answer["totalRecords"], answer["count"], answer["resultTruncated"]) == (2, 2, "false")
    row = answer["data"][0]
    assert (row["id"], row["sku"]["capacity"], row["properties"]["provisioningState"]) == (BLUE, 2, "Succeeded")
    assert row["type"] == "microsoft.machinelearningservices/workspaces/onlineendpoints/deployments"
    assert (row["subscriptionId"], row["resourceGroup"]) == (SUB, "rg-vision")


async def test_pages_of_at_most_1000_rows_hold_every_row_once(start_cloud: StartCloud) -> None:
    cloud: Cloud = await start_cloud(fleet(subscriptions=2, endpoints=600, deployments=1))
    async with ArmClient() as arm:
        ids, options = [], {"$top": 1000}
        while True:
            answer = await ask(arm, f"{DEPLOYMENTS} | project id | order by id asc", options=options)
            ids += [row["id"] for row in answer["data"]]
            if "$skipToken" not in answer:
                break
            options = {"$top": 1000, "$skipToken": answer["$skipToken"]}
        assert ids == sorted((deployment.id for deployment in cloud.estate.deployments()), key=str.lower)
        assert len(ids) == 1200
        one = await ask(arm, f"{DEPLOYMENTS} | project id", subscriptions=[subscription_id(2)], options={"$top": 1})
        assert one["totalRecords"] == 600


async def test_rows_that_are_not_ordered_come_in_any_order(start_cloud: StartCloud) -> None:
    await start_cloud(fleet(endpoints=50))
    async with ArmClient() as arm:
        first, second = [(await ask(arm, f"{DEPLOYMENTS} | project id"))["data"] for _ in range(2)]
    assert first != second
    assert sorted(first, key=str) == sorted(second, key=str)


async def test_only_types_that_the_caller_may_read(start_cloud: StartCloud, tmp_path: Path) -> None:
    actions = ["Microsoft.ResourceGraph/resources/read", "Microsoft.ServiceBus/namespaces/read"]
    path = tmp_path / "few.json"
    path.write_text(json.dumps({"actions": [{"action": action} for action in actions], "dataActions": []}))
    await start_cloud(roles=path)
    async with ArmClient() as arm:
        rows = (await ask(arm, "resources | project name, type"))["data"]
    assert rows == [{"name": "orders-bus", "type": "microsoft.servicebus/namespaces"}]


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"query": "resourcecontainers"}, "only the table 'resources'"),
        ({"query": "resources | summarize count()"}, "summarize"),
        ({"query": "resources | where name contains 'x'"}, "contains"),
        ({"query": "resources | project id, toupper(name)"}, "toupper"),
        ({"query": "resources", "managementGroups": ["mg"]}, "managementGroups"),
        ({"query": "resources", "options": {"$top": 1001}}, "options.$top"),
        ({"query": "resources", "options": {"$skipToken": "mine"}}, "skipToken"),
    ],
)
async def test_what_is_not_simulated_is_refused_by_name(arm: ArmClient, body: Any, says: str) -> None:
    answer = await arm.send("POST", PATH, body, api="2022-10-01")
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


ROWS: list[dict[str, Any]] = [
    {"name": "A", "sku": {"capacity": 2}},
    {"name": "b", "sku": {"capacity": 10}},
    {"name": "C", "sku": None},
]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("resources | order by name asc", ["A", "b", "C"]),
        ("resources | order by name", ["C", "b", "A"]),
        ("Resources | where name == 'b' | order by name asc", ["b"]),
        ("resources | where name == 'B' | order by name asc", []),
        ("resources | where name =~ 'B' | order by name asc", ["b"]),
        ("resources | where name != 'b' and name !~ 'a' | order by name asc", ["C"]),
        ("resources | where name in~ ('a', 'c') | order by name asc", ["A", "C"]),
        ("resources | where sku.capacity == '2' | order by name asc", ["A"]),
    ],
)
def test_the_query_language(query: str, names: list[str]) -> None:
    assert [row["name"] for row in parse(query).run(ROWS)] == names


def test_projections_name_their_columns() -> None:
    rows = parse("resources | project name, n = sku.capacity, sku.capacity | order by name asc").run(ROWS)
    assert rows[0] == {"name": "A", "n": 2, "sku_capacity": 2}
    assert rows[2]["n"] is None
    with pytest.raises(UnsupportedQueryError, match="limit 5"):
        parse("resources | limit 5")
