"""Quota in vCPUs turned into instances, and the list price."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from local.cloud.faults import Fault
from shared.domain import INSTANCES_PER_DEPLOYMENT, Fresh, Measurement, Missing
from shared.estate import deployments
from shared.estate.deployments import DeploymentView
from shared.estate.quota import (
    QuotaReader,
    Usage,
    Usages,
    VmSize,
    headroom_instances,
    instances_in,
    usages_of,
)
from tests.estate.azure import BLUE, SUBSCRIPTION, Azure, Ticking, running_azure, small_estate

DS3 = VmSize(name="Standard_DS3_v2", family="standardDSv2Family", vcpus=4, price_usd_per_hour=0.3)
FAMILY_ROW = "Standard DSv2 Family Cluster Dedicated vCPUs"


def usages(family: tuple[int, int | None] | None, total: tuple[int, int | None] | None) -> Usages:
    rows = (
        {"standarddsv2familyclusterdedicatedvcpus": Usage(name="family", used=family[0], limit=family[1])}
        if family
        else {}
    )
    return Usages(families=rows, total=Usage(name="total", used=total[0], limit=total[1]) if total else None)


def fresh(measurement: Measurement) -> Fresh:
    assert isinstance(measurement, Fresh), measurement
    return measurement


async def view_of_blue(azure: Azure) -> DeploymentView:
    return await deployments.read(azure.arm, BLUE, azure.now())


# ---- arithmetic

reserves = st.sampled_from([0, 10, 20, 20.5, 33.3, 100])


@given(free=st.integers(0, 100_000), vcpus=st.integers(1, 416), reserve_pct=reserves)
def test_as_many_instances_as_fit_with_the_reserve_and_not_one_more(free: int, vcpus: int, reserve_pct: float) -> None:
    def need(instances: int) -> int:
        return math.ceil(Fraction(instances * vcpus) * (100 + Fraction(str(reserve_pct))) / 100)

    fits = instances_in(free, vcpus, reserve_pct)
    assert need(fits) <= free < need(fits + 1)


@given(instances=st.integers(1, 50), vcpus=st.integers(1, 416), reserve_pct=reserves)
@example(instances=15, vcpus=9, reserve_pct=20)  # floating point makes 14 of it
def test_quota_that_is_just_enough_is_enough(instances: int, vcpus: int, reserve_pct: float) -> None:
    need = math.ceil(instances * vcpus * (100 + Fraction(str(reserve_pct))) / 100)
    assert instances_in(need, vcpus, reserve_pct) >= instances
    assert instances_in(need - 1, vcpus, reserve_pct) < instances


def test_ten_instances_need_the_quota_of_twelve() -> None:
    assert instances_in(12 * 4, 4, 20) == 10
    assert instances_in(12 * 4 - 1, 4, 20) == 9


@given(
    family=st.tuples(st.integers(0, 500), st.one_of(st.none(), st.integers(0, 500))),
    total=st.tuples(st.integers(0, 500), st.one_of(st.none(), st.integers(0, 500))),
)
def test_the_tighter_of_family_and_total_limits(family: tuple[int, int | None], total: tuple[int, int | None]) -> None:
    both, one, other = (
        headroom_instances(DS3, usages(*rows), 20) for rows in ((family, total), (family, None), (None, total))
    )
    assert both is not None
    assert one is not None
    assert other is not None
    assert both.instances == min(one.instances, other.instances)
    assert 0 <= both.instances <= INSTANCES_PER_DEPLOYMENT


def test_a_family_without_a_limit_of_its_own_leaves_the_total() -> None:
    room = headroom_instances(DS3, usages((90, None), (0, 24)), 20)
    assert room is not None
    assert (room.instances, room.limited_by, room.caveat) == (5, "total", "")


def test_without_any_limit_azures_own_limit_of_a_deployment_is_left() -> None:
    room = headroom_instances(DS3, usages((0, None), (0, None)), 20)
    assert room is not None
    assert room.instances == INSTANCES_PER_DEPLOYMENT


def test_a_family_that_does_not_join_is_checked_against_the_total_and_says_so() -> None:
    room = headroom_instances(replace(DS3, family="standardNewFamily"), usages((0, 4), (0, 24)), 20)
    assert room is not None
    assert room.instances == 5
    assert "'standardNewFamily' has no usage row" in room.caveat


def test_more_in_use_than_allowed_is_no_headroom() -> None:
    room = headroom_instances(DS3, usages((99, 10), (0, 24)), 20)
    assert room is not None
    assert room.instances == 0


def test_no_usage_row_at_all_is_no_knowledge() -> None:
    assert headroom_instances(DS3, usages(None, None), 20) is None


def row(kind: str, name: str, used: Any = 2, limit: Any = 24) -> dict[str, Any]:
    names = {"value": name, "localizedValue": name}
    return {"type": f"Microsoft.MachineLearningServices/{kind}", "currentValue": used, "limit": limit, "name": names}


def test_only_regional_rows_count() -> None:
    found = usages_of(
        [
            row("totalCores/usages", "Clusters", 7, 100),
            row("dedicatedCores/usages", "Total Cluster Dedicated Regional vCPUs", 14, 24),
            row("lowPriorityCores/usages", "Total Cluster LowPriority Regional vCPUs", 18, 50),
            row("vmFamily/usages", FAMILY_ROW, 2, 24),
            row("vmFamily/usages", "Standard DSv2 Family Cluster LowPriority vCPUs", 0, -1),
            row("workspaces/usages", FAMILY_ROW, 99, 1),
            row("workspace/usages", FAMILY_ROW, 99, 1),
            row("workspaces/computes/usages", FAMILY_ROW, 99, 1),
            row("vmFamily/usages", "Standard NC Family Cluster Dedicated vCPUs", None, 1),
        ]
    )
    assert found.total == Usage(name="Total Cluster Dedicated Regional vCPUs", used=14, limit=24)
    assert found.families["standarddsv2familyclusterdedicatedvcpus"] == Usage(name=FAMILY_ROW, used=2, limit=24)
    assert found.families["standarddsv2familyclusterlowpriorityvcpus"].limit is None
    assert len(found.families) == 2


# ---- over the wire


async def test_headroom_and_price_of_a_deployment(azure: Azure) -> None:
    quota = QuotaReader(azure.arm, azure.now)
    view = await view_of_blue(azure)
    room = fresh(await quota.headroom(view, 20))
    assert room.value == 6, "two instances of 4 vCPUs run, 40 are allowed to the family: 32 left, 4.8 an instance"
    assert room.at == azure.now()
    assert FAMILY_ROW in room.source
    listed = next(size for size in (await quota.sizes(SUBSCRIPTION, "westeurope")).values() if size.name == DS3.name)
    assert await quota.price_usd_per_hour(view) == listed.price_usd_per_hour == 0.31


async def test_the_size_is_found_in_any_letter_case(azure: Azure) -> None:
    view = replace(await view_of_blue(azure), instance_type="STANDARD_ds3_V2")
    assert fresh(await QuotaReader(azure.arm, azure.now).headroom(view, 20)).value == 6


async def test_family_names_that_do_not_join_leave_the_total_and_are_told() -> None:
    async with running_azure(assumptions={"quota.family_names_join": "no"}) as azure:
        room = fresh(await QuotaReader(azure.arm, azure.now).headroom(await view_of_blue(azure), 20))
    assert room.value == 39, "the total allows 200, 12 are taken: 188 left, 4.8 an instance"
    assert "'standardDSv2Family' has no usage row" in room.source


async def test_usages_are_kept_a_minute_and_sizes_a_day(azure: Azure) -> None:
    now = Ticking(azure.now())
    quota = QuotaReader(azure.arm, now)
    view = await view_of_blue(azure)
    for seconds in (30, 30, 86_000, 339):
        await quota.headroom(view, 20)
        now.passes(seconds)
    assert azure.count("GET", "/usages") == 3
    await quota.price_usd_per_hour(view)
    assert azure.count("GET", "/vmSizes") == 1
    now.passes(1)
    await quota.price_usd_per_hour(view)
    assert azure.count("GET", "/vmSizes") == 2


async def test_the_act_reads_usages_afresh(azure: Azure) -> None:
    quota = QuotaReader(azure.arm, azure.now)
    view = await view_of_blue(azure)
    assert fresh(await quota.headroom(view, 20)).value == 6
    azure.cloud.estate.quota[SUBSCRIPTION, "westeurope", "standardDSv2Family"] = 13
    assert fresh(await quota.headroom(view, 20)).value == 6
    assert fresh(await quota.headroom(view, 20, fresh=True)).value == 1


@pytest.mark.parametrize("path", ["/usages", "/vmSizes"])
async def test_what_cannot_be_read_is_missing(azure: Azure, path: str) -> None:
    view = await view_of_blue(azure)
    azure.cloud.faults.add(Fault(path=path, status=403, times=9))
    room = await QuotaReader(azure.arm, azure.now).headroom(view, 20)
    assert isinstance(room, Missing)
    assert "403" in room.reason


async def test_a_failure_is_kept_for_seconds_only(azure: Azure) -> None:
    quota = QuotaReader(azure.arm, azure.now)
    view = await view_of_blue(azure)
    azure.cloud.faults.add(Fault(path="/usages", status=403))
    assert isinstance(await quota.headroom(view, 20), Missing)
    await azure.minutes(1)
    assert fresh(await quota.headroom(view, 20)).value == 6


async def test_an_unknown_size_and_an_unknown_region_are_missing(azure: Azure) -> None:
    quota = QuotaReader(azure.arm, azure.now)
    view = await view_of_blue(azure)
    unknown = await quota.headroom(replace(view, instance_type="Standard_Nothing"), 20)
    assert isinstance(unknown, Missing)
    assert "Standard_Nothing" in unknown.reason
    nowhere = await quota.headroom(replace(view, region=""), 20)
    assert isinstance(nowhere, Missing)
    assert await quota.price_usd_per_hour(replace(view, instance_type="Standard_Nothing")) is None


@pytest.mark.parametrize(
    ("change", "price"),
    [
        ({}, 0.5),
        ({"billingCurrency": "EUR"}, None),
        ({"unitOfMeasure": "OneMonth"}, None),
        ({"values": [{"retailPrice": 0.1, "osType": "Linux", "vmTier": "Spot"}]}, None),
        ({"values": [{"retailPrice": 0.9, "osType": "Windows", "vmTier": "Standard"}]}, None),
    ],
)
async def test_the_price_is_that_of_linux_in_dollars_an_hour(
    azure: Azure, change: dict[str, Any], price: float | None
) -> None:
    prices = {
        "billingCurrency": "USD",
        "unitOfMeasure": "OneHour",
        "values": [
            {"retailPrice": 0.9, "osType": "Windows", "vmTier": "Standard"},
            {"retailPrice": 0.1, "osType": "Linux", "vmTier": "LowPriority"},
            {"retailPrice": 0.5, "osType": "Linux", "vmTier": "Standard"},
        ],
    }
    size = {"name": "Standard_DS3_v2", "family": "f", "vCPUs": 4, "estimatedVMPrices": prices | change}
    azure.cloud.faults.add(Fault(path="/vmSizes", status=200, body={"value": [size]}))
    assert await QuotaReader(azure.arm, azure.now).price_usd_per_hour(await view_of_blue(azure)) == price


async def test_a_cluster_of_kubernetes_has_no_quota_of_azure_ml() -> None:
    estate = small_estate()
    blue = estate["subscriptions"][0]["workspaces"][0]["endpoints"][0]["deployments"][0]
    blue |= {"compute_type": "Kubernetes"}
    async with running_azure(estate) as azure:
        room = fresh(await QuotaReader(azure.arm, azure.now).headroom(await view_of_blue(azure), 20))
        assert azure.count("GET", "/usages") == 0
    assert "kubernetes" in room.source
