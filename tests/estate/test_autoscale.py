"""Azure's own autoscale settings on our deployments."""

from typing import Any

import pytest

from local.cloud.faults import Fault
from shared.estate.arm import ArmError
from shared.estate.autoscale import AutoscaleReader
from tests.estate.azure import BLUE, GREEN, Azure, running_azure, small_estate


def estate_with_settings(**blue: Any) -> dict[str, Any]:
    """A setting on blue in other letters, and a hundred on other things."""
    estate = small_estate()
    common = {"group": "rg-ml", "region": "westeurope"}
    others = [common | {"name": f"vmss-{n}", "target": f"/subscriptions/x/vmss-{n}"} for n in range(100)]
    own = common | {"name": "blue-by-cpu", "target": BLUE.arm_id.upper()} | blue
    estate["subscriptions"][0]["autoscale"] = [*others, own]
    return estate


async def test_an_enabled_setting_is_found_in_any_letter_case_and_on_any_page() -> None:
    async with running_azure(estate_with_settings()) as azure:
        settings = AutoscaleReader(azure.arm, azure.now)
        assert (await settings.setting_for(BLUE)).endswith("/autoscalesettings/blue-by-cpu")
        assert await settings.setting_for(GREEN) == ""


async def test_a_disabled_setting_is_no_conflict() -> None:
    async with running_azure(estate_with_settings(enabled=False)) as azure:
        assert await AutoscaleReader(azure.arm, azure.now).setting_for(BLUE) == ""


async def test_settings_are_kept_five_minutes_and_read_afresh_for_an_act(azure: Azure) -> None:
    settings = AutoscaleReader(azure.arm, azure.now)
    for minutes in (2, 2, 2):
        await settings.setting_for(BLUE)
        await settings.setting_for(GREEN)
        await azure.minutes(minutes)
    assert azure.count("GET", "/autoscalesettings") == 1
    await settings.setting_for(BLUE)
    assert azure.count("GET", "/autoscalesettings") == 2
    await settings.setting_for(BLUE, fresh=True)
    assert azure.count("GET", "/autoscalesettings") == 3


async def test_not_knowing_is_not_none(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="autoscalesettings", status=403))
    settings = AutoscaleReader(azure.arm, azure.now)
    with pytest.raises(ArmError, match="403"):
        await settings.setting_for(BLUE)
    with pytest.raises(ArmError, match="403"):
        await settings.setting_for(GREEN)  # nobody asks again at once
    assert azure.count("GET", "/autoscalesettings") == 1
    assert await settings.setting_for(BLUE, fresh=True) == ""
