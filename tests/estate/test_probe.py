"""The probe finds out what the local Azure was told to be like, by reading alone."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.cloud.faults import Fault
from shared.assumptions import BY_NAME, REGISTER
from shared.domain import DeploymentId, QueueId
from shared.probe import Finding, run
from tests.estate.azure import BLUE, IMAGES, SUBSCRIPTION, TEXTS, Azure, running_azure, small_estate

PROBED = [assumption for assumption in REGISTER if assumption.probe]


async def traffic(azure: Azure) -> None:
    for _ in range(5):
        azure.rate("images", arrived=60, completed=60, at=azure.now())
        await azure.minutes(1)


async def findings(
    azure: Azure, queues: Sequence[QueueId] = (IMAGES,), named: Sequence[DeploymentId] = (BLUE,)
) -> dict[str, Finding]:
    found = await run(SUBSCRIPTION, queues, named, azure.now)
    assert azure.mutations() == 0
    return {finding.assumption.name: finding for finding in found}


@pytest.mark.parametrize(
    ("name", "value"), [(assumption.name, value) for assumption in PROBED for value in assumption.values]
)
async def test_every_value_that_reading_can_settle_is_settled(name: str, value: str) -> None:
    estate = small_estate()
    # Where queues do not say where they are, the probe looks for them in the deployment's region.
    estate["subscriptions"][0]["namespaces"][0]["region"] = "westeurope"
    async with running_azure(estate, assumptions={name: value}) as azure:
        await traffic(azure)
        found = await findings(azure)
    assert {each: finding.value for each, finding in found.items()} == {
        assumption.name: value if assumption.name == name else assumption.default for assumption in PROBED
    }
    assert ("DIFFERS" in found[name].line) == (value != BY_NAME[name].default)


async def test_families_without_a_row_are_named() -> None:
    async with running_azure(assumptions={"quota.family_names_join": "no"}) as azure:
        line = (await findings(azure))["quota.family_names_join"].line
    assert "without one: standardDSv2Family, standardFSv2Family, standardNCSv3Family" in line


async def test_without_a_queue_or_a_deployment_it_says_what_to_name() -> None:
    async with running_azure(assumptions={"graph.lists_deployments": "no"}) as azure:
        found = await findings(azure, (), ())
    assert all(finding.value is None for finding in found.values())
    assert "--queue" in found["servicebus.list_carries_counts"].line
    assert "--queue" in found["servicebus.queue_location"].line
    assert "--queue" in found["monitor.delay_s"].line
    assert "--queue" in found["monitor.idle_queue_series"].line
    assert "--deployment" in found["graph.lists_deployments"].line
    assert "--deployment" in found["quota.family_names_join"].line


async def test_a_check_that_is_refused_hides_no_other(azure: Azure) -> None:
    await traffic(azure)
    azure.cloud.faults.add(Fault(path="/usages", status=403, times=9))
    found = await findings(azure)
    assert "not settled, because 403" in found["quota.family_names_join"].line
    assert found["graph.lists_deployments"].value == "yes"


async def test_metrics_that_are_too_old_settle_nothing() -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        await traffic(azure)
        await azure.minutes(4.5)
        assert "later than any value" in (await findings(azure))["monitor.delay_s"].line
        await azure.minutes(10)
        assert "send some messages" in (await findings(azure))["monitor.delay_s"].line


async def test_what_idle_queues_show_is_settled_by_one_that_is_empty(azure: Azure) -> None:
    azure.counts("images", active=5)
    await traffic(azure)
    assert "name an idle one" in (await findings(azure))["monitor.idle_queue_series"].line
    line = (await findings(azure, (IMAGES, TEXTS)))["monitor.idle_queue_series"].line
    assert "zero, as by default ('texts' is empty and its ActiveMessages are 0)" in line
    azure.counts("images", active=0)
    assert "name an idle one" in (await findings(azure))["monitor.idle_queue_series"].line, "it has just become empty"
    azure.cloud.faults.add(Fault(path="getBatch", status=403, times=9))
    assert "not settled, because metrics of northeurope" in (await findings(azure))["monitor.idle_queue_series"].line


async def command(azure: Azure, *arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "shared.probe", *arguments),
        cwd=Path(__file__).parents[2],
        env=os.environ | azure.cloud.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def test_the_command_prints_a_line_each_and_its_code_says_whether_all_is_settled() -> None:
    # Azure's clock stands at the coming full minute, so the newest minute is less than 60 s older than its delay.
    full_minute = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    async with running_azure(start=full_minute - timedelta(minutes=5)) as azure:
        await traffic(azure)
        names = ("--queue", IMAGES.arm_id, "--deployment", BLUE.arm_id)
        code, out, _ = await command(azure, "--subscription", SUBSCRIPTION, *names)
        assert [line.split(":")[0] for line in out.splitlines()] == [assumption.name for assumption in PROBED]
        assert (code, out.count("as by default")) == (0, len(PROBED))
        code, out, _ = await command(azure, "--subscription", SUBSCRIPTION)
        assert (code, out.count("not settled")) == (1, 4)
        assert azure.mutations() == 0


async def test_the_command_names_a_wrong_id(azure: Azure) -> None:
    code, _, err = await command(azure, "--subscription", SUBSCRIPTION, "--queue", "/subscriptions/x")
    assert code == 2
    assert "'/subscriptions/x' is not of the form" in err
