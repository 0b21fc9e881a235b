"""Rates and ready instances from Azure Monitor."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.cloud.estate import fleet, subscription_id
from local.cloud.faults import Fault
from local.cloud.queues import FixedQueues
from shared.assumptions import BY_NAME
from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId
from shared.estate.identity import make_credential
from shared.estate.metrics import Metrics, Point, QueueRates, newest_complete
from tests.estate.azure import BLUE, GREEN, GROUP, IMAGES, Azure, running_azure, small_estate

READY_BY_STATE = {
    "interval": "PT1M",
    "value": [
        {
            "name": {"value": "DeploymentCapacity"},
            "timeseries": [
                {
                    "metadatavalues": [{"name": {"value": "state"}, "value": "Ready"}],
                    "data": [{"timeStamp": "2026-01-05T00:00:00Z", "average": 3.0}],
                }
            ],
        }
    ],
}


async def rates(azure: Azure, regions: dict[QueueId, str] | None = None) -> dict[str, QueueRates]:
    async with make_credential(identity_endpoint="managed", client_id="") as credential:
        metrics = Metrics(credential, azure.now)
        try:
            return await metrics.queue_rates(regions or {IMAGES: "northeurope"})
        finally:
            await metrics.close()


async def ready(azure: Azure, regions: dict[DeploymentId, str]) -> dict[str, Measurement]:
    async with make_credential(identity_endpoint="managed", client_id="") as credential:
        metrics = Metrics(credential, azure.now)
        try:
            return await metrics.ready_instances(regions)
        finally:
            await metrics.close()


def value(measurement: Measurement) -> float:
    assert isinstance(measurement, Fresh), measurement
    return measurement.value


def reason(measurement: Measurement) -> str:
    assert isinstance(measurement, Missing), measurement
    return measurement.reason


@pytest.mark.parametrize("delay_s", ["60", "180"])
async def test_rates_are_per_second_of_the_newest_complete_minute(delay_s: str) -> None:
    async with running_azure(assumptions={"monitor.delay_s": delay_s}) as azure:
        start = azure.now()
        for minute in range(6):
            azure.rate("images", arrived=60 * minute, completed=30 * minute, at=azure.now())
            await azure.minutes(1)
        found = (await rates(azure))[IMAGES.key]
    newest = 5 - int(delay_s) // 60
    assert (value(found.arrivals_per_s), value(found.completions_per_s)) == (newest, newest / 2)
    assert isinstance(found.arrivals_per_s, Fresh)
    assert found.arrivals_per_s.at == start + timedelta(minutes=newest + 1)


async def test_the_interval_is_the_answers_not_the_questions() -> None:
    async with running_azure(metric_grain_s=15, metric_delay_s=0) as azure:
        azure.rate("images", arrived=30, completed=45, at=azure.now())
        await azure.minutes(0.25)
        found = (await rates(azure))[IMAGES.key]
        assert (value(found.arrivals_per_s), value(found.completions_per_s)) == (2, 3)


async def test_no_data_is_missing_and_never_zero() -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        await azure.minutes(5)
        found = (await rates(azure))[IMAGES.key]
        assert "no complete interval of 'images'" in reason(found.arrivals_per_s)
        assert "no complete interval" in reason(found.completions_per_s)


async def test_an_idle_queue_that_azure_calls_zero_is_zero(azure: Azure) -> None:
    await azure.minutes(5)
    assert value((await rates(azure))[IMAGES.key].arrivals_per_s) == 0


async def test_an_old_value_is_told_with_its_age() -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        start = azure.now()
        azure.rate("images", arrived=60, completed=60, at=start)
        await azure.minutes(5)
        found = (await rates(azure))[IMAGES.key].arrivals_per_s
    assert isinstance(found, Fresh)
    assert found.at == start + timedelta(minutes=1)


async def test_each_queue_has_its_own_rates_however_many_there_are() -> None:
    names = [f"q{number:03}" for number in range(30)]
    estate = small_estate()
    estate["subscriptions"][0]["namespaces"][0] |= {"name": "wide", "queues": names}
    async with running_azure(estate) as azure:
        queues = FixedQueues("wide", names)
        azure.cloud.attach_queues(queues)
        for number, name in enumerate(names):
            queues.observe(name, "IncomingMessages", 60 * number, azure.now())
        await azure.minutes(2)
        ids = [QueueId.parse(f"{GROUP}/Microsoft.ServiceBus/namespaces/WIDE/queues/{name.upper()}") for name in names]
        found = await rates(azure, dict.fromkeys(ids, "northeurope"))
        assert azure.count("POST", "/metrics:getBatch") == 1
    assert [value(found[queue.key].arrivals_per_s) for queue in ids] == list(range(30))


async def test_a_failing_region_is_not_the_others_failure(azure: Azure) -> None:
    await azure.minutes(3)
    azure.cloud.faults.add(Fault(host="northeurope", status=400, times=9))
    found = await rates(azure)
    assert "metrics of northeurope could not be read" in reason(found[IMAGES.key].arrivals_per_s)
    assert value((await ready(azure, {BLUE: "westeurope"}))[BLUE.key]) == 2


async def test_the_wrong_region_or_none_is_missing_and_says_so(azure: Azure) -> None:
    lost = QueueId.parse(f"{GROUP}/Microsoft.ServiceBus/namespaces/lost/queues/texts")
    found = await rates(azure, {IMAGES: "westeurope", lost: ""})
    assert "metrics of westeurope could not be read" in reason(found[IMAGES.key].arrivals_per_s)
    assert "region" in reason(found[lost.key].arrivals_per_s)


async def test_a_resource_that_azure_does_not_know_blinds_no_other() -> None:
    async with running_azure(fleet(endpoints=20, capacity=1)) as azure:
        await azure.minutes(3)
        ids = [DeploymentId.parse(each.id) for each in azure.cloud.estate.deployments()]
        lost = DeploymentId.parse(f"{ids[0].endpoint_id}/deployments/lost")
        ids.insert(7, lost)
        found = await ready(azure, dict.fromkeys(ids, "westeurope"))
        calls = azure.count("POST", "/metrics:getBatch")
    assert "404" in reason(found.pop(lost.key))
    assert [value(each) for each in found.values()] == [1] * 20
    assert calls <= 12


@pytest.mark.parametrize("answer", ["batch_404", "left_out"])
async def test_a_resource_that_is_gone_costs_the_others_nothing(answer: str) -> None:
    async with running_azure(assumptions={"monitor.unknown_resource": answer}) as azure:
        await azure.minutes(3)
        gone = DeploymentId.parse(f"{BLUE.endpoint_id}/deployments/gone")
        found = await ready(azure, dict.fromkeys([gone, BLUE, GREEN], "westeurope"))
        alone = await ready(azure, {gone: "westeurope"})
    assert (value(found[BLUE.key]), value(found[GREEN.key])) == (2, 1)
    assert reason(found[gone.key])
    assert reason(alone[gone.key])


async def test_passing_failures_are_tried_again_and_long_waits_are_not(azure: Azure) -> None:
    await azure.minutes(3)
    azure.cloud.faults.add(Fault(path="getBatch", status=503))
    assert value((await rates(azure))[IMAGES.key].arrivals_per_s) == 0
    azure.cloud.faults.add(Fault(path="getBatch", status=429, headers={"Retry-After": "60"}))
    assert "429" in reason((await rates(azure))[IMAGES.key].arrivals_per_s)
    assert azure.count("POST", "/metrics:getBatch") == 3


@pytest.mark.parametrize(
    "body",
    [
        {"values": []},
        {"values": [{"interval": "PT1M", "value": [{"timeseries": 7}]}]},
        {"values": [{"interval": "PT1M", "value": [{"timeseries": [{"data": [{"total": 1.0}]}]}]}]},
        [],
        b"<html/>",
    ],
)
async def test_an_answer_that_cannot_be_read_is_missing(azure: Azure, body: Any) -> None:
    azure.cloud.faults.add(Fault(path="getBatch", status=200, body=body))
    assert "metrics of northeurope" in reason((await rates(azure))[IMAGES.key].arrivals_per_s)


async def test_a_total_without_an_interval_is_no_rate(azure: Azure) -> None:
    point = {"timeStamp": "2026-01-05T00:00:00Z", "total": 60.0}
    name = {"name": {"value": "entityname"}, "value": "images"}
    series = {"metadatavalues": [name], "data": [point]}
    metric = {"name": {"value": "IncomingMessages"}, "timeseries": [series]}
    azure.cloud.faults.add(Fault(path="getBatch", status=200, body={"values": [{"value": [metric]}]}))
    await azure.minutes(2)
    assert reason((await rates(azure))[IMAGES.key].arrivals_per_s)


async def test_more_than_fifty_resources_take_more_than_one_call_and_keep_their_places() -> None:
    async with running_azure(fleet(endpoints=60, capacity=1)) as azure:
        for number, deployment in enumerate(azure.cloud.estate.deployments()):
            for _ in range(number % 3):
                deployment.new_instance(azure.now(), azure.now()).state = "ready"
        await azure.minutes(3)
        ids = [DeploymentId.parse(each.id) for each in azure.cloud.estate.deployments()]
        found = await ready(azure, dict.fromkeys(ids, "westeurope"))
        calls = azure.count("POST", f"{subscription_id(1)}/metrics:getBatch")
        assert calls == 4, "two batches, twice: the first look also learns what the metric counts"
    assert [value(found[each.key]) for each in ids] == [1 + number % 3 for number in range(60)]


@pytest.mark.parametrize("states", BY_NAME["monitor.capacity_states"].values)
@pytest.mark.parametrize("counts", BY_NAME["monitor.capacity_counts"].values)
async def test_only_ready_instances_serve(states: str, counts: str) -> None:
    async with running_azure(
        assumptions={"monitor.capacity_states": states, "monitor.capacity_counts": counts}
    ) as azure:
        azure.cloud.estate.deployment(BLUE.arm_id).new_instance(azure.now(), None)
        for instance in azure.cloud.estate.deployment(GREEN.arm_id).instances:
            instance.state = "pending"
        await azure.minutes(3)
        found = await ready(azure, {BLUE: "westeurope", GREEN: "westeurope"})
    assert value(found[BLUE.key]) == 2
    assert value(found[GREEN.key]) == 0


@pytest.mark.parametrize("counts", BY_NAME["monitor.capacity_counts"].values)
async def test_what_the_capacity_counts_is_learned_once(counts: str) -> None:
    async with (
        running_azure(assumptions={"monitor.capacity_counts": counts}) as azure,
        make_credential(identity_endpoint="managed", client_id="") as credential,
    ):
        metrics = Metrics(credential, azure.now)
        asked = []
        for minutes in (0, 3, 3):
            await azure.minutes(minutes)
            before = azure.count("POST", "/metrics:getBatch")
            found = await metrics.ready_instances({BLUE: "westeurope"})
            asked.append(azure.count("POST", "/metrics:getBatch") - before)
        await metrics.close()
    assert asked == [1, 2, 1], "without data there is nothing to learn from"
    assert value(found[BLUE.key]) == 2


async def test_while_it_is_not_known_what_the_capacity_counts_nothing_is_ready(azure: Azure) -> None:
    await azure.minutes(3)
    azure.cloud.faults.add(Fault(path="getBatch", status=200, body={"values": [READY_BY_STATE]}))
    azure.cloud.faults.add(Fault(path="getBatch", status=403, times=1))
    assert "403" in reason((await ready(azure, {BLUE: "westeurope"}))[BLUE.key])


async def test_unknown_words_for_the_state_of_instances_are_not_guessed(azure: Azure) -> None:
    state = {"name": {"value": "state"}, "value": "Sleeping"}
    series = {"metadatavalues": [state], "data": [{"timeStamp": "2026-01-05T00:00:00Z", "average": 3.0}]}
    metric = {"name": {"value": "DeploymentCapacity"}, "timeseries": [series]}
    body = {"values": [{"interval": "PT1M", "value": [metric]}]}
    azure.cloud.faults.add(Fault(path="getBatch", status=200, body=body))
    await azure.minutes(2)
    assert "unknown states of instances: sleeping" in reason((await ready(azure, {BLUE: "westeurope"}))[BLUE.key])


# ---- intervals

START = datetime(2026, 1, 5, tzinfo=UTC)


def point(start_s: int, interval_s: int, number: float = 1.0) -> Point:
    return Point(
        start=START + timedelta(seconds=start_s), interval=timedelta(seconds=interval_s), value=number, dimensions={}
    )


@given(
    starts=st.lists(st.integers(0, 100), unique=True),
    interval_s=st.sampled_from([1, 15, 60, 300]),
    now_s=st.integers(0, 40_000),
)
def test_the_newest_complete_interval_is_over_and_none_newer_is(starts: list[int], interval_s: int, now_s: int) -> None:
    points = [point(start * interval_s, interval_s) for start in starts]
    now = START + timedelta(seconds=now_s)
    over = [each for each in points if each.end <= now]
    newest = newest_complete(points, now)
    assert bool(newest) == bool(over)
    assert all(each.end <= now for each in newest)
    assert all(other.start <= newest[0].start for other in over)


def test_series_are_added_up_only_over_the_same_interval() -> None:
    points = [point(0, 60, 5), point(60, 60, 7), point(60, 60, 9)]
    assert [each.value for each in newest_complete(points, START + timedelta(minutes=5))] == [7, 9]
