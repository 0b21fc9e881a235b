"""One credential per process, and whose it is."""

import asyncio

import pytest
from azure.identity.aio import DefaultAzureCredential

from shared.estate import api
from shared.estate.arm import Arm, ArmError
from shared.estate.identity import RenewableCredential, make_credential
from tests.estate.azure import BLUE, Azure, running_azure

CLIENT_ID = "2f0a9c55-5a55-4c7f-9d5b-3c8a1b6f7e10"
OBJECT_ID = "b1d5ce31-7e58-4d7a-8a43-51e0b2d8c0aa"


async def read_as(azure: Azure, client_id: str) -> str:
    """The object id that a read is made as."""
    endpoint = azure.cloud.environment()["IDENTITY_ENDPOINT"]
    async with make_credential(identity_endpoint=endpoint, client_id=client_id) as credential, Arm(credential) as arm:
        await arm.get(BLUE.arm_id, api.MACHINE_LEARNING)
    return [record.principal for record in azure.cloud.requests][-1]


async def test_a_user_assigned_identity_is_asked_for_by_its_client_id() -> None:
    async with running_azure(user_assigned_identities={CLIENT_ID: OBJECT_ID}) as azure:
        assert await read_as(azure, CLIENT_ID) == OBJECT_ID
        assert await read_as(azure, "") not in ("", OBJECT_ID)


async def test_an_identity_that_the_app_does_not_have_is_named(azure: Azure) -> None:
    with pytest.raises(ArmError, match=r"nothing was sent.*No managed identity with client_id"):
        await read_as(azure, CLIENT_ID)


async def test_a_developer_without_a_managed_identity_uses_his_own_sign_in() -> None:
    async with make_credential(identity_endpoint="", client_id="") as developers:
        assert isinstance(developers, DefaultAzureCredential)
    async with make_credential(identity_endpoint="http://127.0.0.1/msi", client_id="") as managed:
        assert isinstance(managed, RenewableCredential)  # that a managed identity answers: the tests above


async def test_many_reads_at_once_ask_for_one_token(azure: Azure) -> None:
    await asyncio.gather(*(azure.arm.get(BLUE.arm_id, api.MACHINE_LEARNING) for _ in range(20)))
    assert azure.count("GET", "/msi/token") == 1
