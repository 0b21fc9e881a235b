"""The caller may do what its roles grant, and gets 403 for the rest with the action that is missing."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from local.cloud.rights import Rights
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, ENDPOINT, NAMESPACE, ROLES, StartCloud

if TYPE_CHECKING:
    from local.cloud import Cloud


async def test_infra_roles_grant_scaling_and_refuse_traffic(start_cloud: StartCloud) -> None:
    cloud: Cloud = await start_cloud(roles=ROLES)
    async with ArmClient() as arm:
        assert (await arm.send("PATCH", BLUE, {"sku": {"capacity": 3}})).status_code == 202
        refused = await arm.send("PATCH", ENDPOINT, {"tags": {}})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"]) == (403, "AuthorizationFailed")
    assert "'Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write'" in error["message"]
    assert f"over scope '{ENDPOINT}'" in error["message"]
    assert [record.accepted for record in cloud.mutations()] == [True, False]


async def test_a_missing_grant_is_found_here(start_cloud: StartCloud, tmp_path: Path) -> None:
    roles = json.loads(ROLES.read_text(encoding="utf-8"))
    roles["actions"] = [grant for grant in roles["actions"] if "queues" not in grant["action"]]
    path = tmp_path / "fewer.json"
    path.write_text(json.dumps(roles), encoding="utf-8")
    await start_cloud(roles=path)
    async with ArmClient() as arm:
        assert (await arm.send("GET", f"{NAMESPACE}/queues", api="2024-01-01")).status_code == 403
        assert (await arm.send("GET", BLUE)).status_code == 200


@pytest.mark.parametrize(
    ("granted", "asked", "allowed"),
    [
        ("Microsoft.ServiceBus/namespaces/queues/read", "microsoft.servicebus/Namespaces/Queues/READ", True),
        ("Microsoft.ServiceBus/namespaces/queues/read", "Microsoft.ServiceBus/namespaces/queues/write", False),
        ("Microsoft.ServiceBus/*/read", "Microsoft.ServiceBus/namespaces/queues/read", True),
        ("Microsoft.ServiceBus/*", "Microsoft.Storage/accounts/read", False),
        ("*/read", "Microsoft.Storage/accounts/read", True),
    ],
)
def test_grants_ignore_case_and_know_wildcards(granted: str, asked: str, allowed: bool) -> None:
    assert Rights([granted]).allow(asked) is allowed
    assert not Rights([granted]).allow(asked, data=True), "an action is no data action"
    assert Rights([], [granted]).allow(asked, data=True) is allowed


@pytest.mark.parametrize("text", ["[]", "{}", '{"actions": ["x"], "dataActions": []}', "not json"])
def test_a_file_of_another_shape_is_refused_with_its_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "roles.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=r"roles\.json: rights must be"):
        Rights.from_file(path)
