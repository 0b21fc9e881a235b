"""What tests of several files ask of the local Azure."""

from azure.core.rest import AsyncHttpResponse

from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE


async def scale(arm: ArmClient, capacity: int) -> AsyncHttpResponse:
    return await arm.send("PATCH", BLUE, {"sku": {"name": "Default", "capacity": capacity}})
