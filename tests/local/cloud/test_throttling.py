"""Resource Manager's token buckets and Resource Graph's quota, on the virtual clock."""

from datetime import UTC, datetime, timedelta

import pytest
from azure.identity.aio import ManagedIdentityCredential
from hypothesis import given
from hypothesis import strategies as st

from local.clock import VirtualClock
from local.cloud import BucketSizes, Cloud
from local.cloud.throttling import TokenBucket
from tests.local.cloud.clients import ArmClient
from tests.local.cloud.conftest import BLUE, SUB, StartCloud

START = datetime(2026, 1, 5, tzinfo=UTC)
READS_LEFT = "x-ms-ratelimit-remaining-subscription-reads"
WRITES_LEFT = "x-ms-ratelimit-remaining-subscription-writes"
GRAPH = "/providers/Microsoft.ResourceGraph/resources"


@given(
    size=st.integers(1, 50),
    refill=st.floats(0.1, 30),
    gaps_s=st.lists(st.floats(0, 5), min_size=1, max_size=200),
)
def test_a_bucket_never_grants_more_than_its_size_and_its_refill(size: int, refill: float, gaps_s: list[float]) -> None:
    bucket = TokenBucket(size, refill, START)
    now, granted = START, 0
    for gap_s in gaps_s:
        now += timedelta(seconds=gap_s)
        if bucket.wait_s(now) == 0:
            bucket.take(now)
            granted += 1
        assert 0 <= bucket.remaining <= size
    assert granted <= size + refill * (now - START).total_seconds() + 1e-6


@given(size=st.integers(1, 20), refill=st.floats(0.1, 30), drained=st.integers(1, 20))
def test_waiting_as_long_as_the_bucket_says_is_enough(size: int, refill: float, drained: int) -> None:
    bucket = TokenBucket(size, refill, START)
    for _ in range(min(size, drained)):
        assert bucket.wait_s(START) == 0
        bucket.take(START)
    wait_s = bucket.wait_s(START)
    if wait_s > 0.001:
        assert bucket.wait_s(START + timedelta(seconds=wait_s / 2)) > 0
    # A clock counts in microseconds: round up.
    assert bucket.wait_s(START + timedelta(seconds=wait_s, microseconds=2)) == 0


async def test_reads_and_writes_have_their_own_buckets_and_headers(
    start_cloud: StartCloud, clock: VirtualClock
) -> None:
    await start_cloud(buckets=BucketSizes(reads=3, reads_per_s=0.5, writes=1, writes_per_s=0.1))
    async with ArmClient() as arm:
        left = [(await arm.send("GET", BLUE)).headers[READS_LEFT] for _ in range(3)]
        assert left == ["2", "1", "0"]
        throttled = await arm.send("GET", BLUE)
        assert throttled.status_code == 429
        assert throttled.json()["error"]["code"] == "SubscriptionRequestsThrottled"
        assert throttled.headers["Retry-After"] == "2"
        written = await arm.send("PATCH", BLUE, {"tags": {"a": "b"}})
        assert (written.status_code, written.headers[WRITES_LEFT]) == (202, "0")

        await clock.advance(1)
        assert (await arm.send("GET", BLUE)).status_code == 429
        await clock.advance(1)
        assert (await arm.send("GET", BLUE)).status_code == 200


async def test_a_throttled_change_has_no_effect(start_cloud: StartCloud) -> None:
    cloud: Cloud = await start_cloud(buckets=BucketSizes(writes=1, writes_per_s=0.1))
    async with ArmClient() as arm:
        await arm.send("PATCH", BLUE, {"tags": {"a": "b"}})
        refused = await arm.send("PATCH", BLUE, {"sku": {"capacity": 5}})
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "10")
    assert len(cloud.instances(BLUE)) == 2
    assert [record.accepted for record in cloud.mutations()] == [True, False]


async def test_retry_after_is_whole_seconds_and_long_enough(start_cloud: StartCloud, clock: VirtualClock) -> None:
    await start_cloud(buckets=BucketSizes(reads=1, reads_per_s=0.4))
    async with ArmClient() as arm:
        await arm.send("GET", BLUE)
        throttled = await arm.send("GET", BLUE)
        assert throttled.headers["Retry-After"] == "3", "2.5 seconds, rounded up"
        await clock.advance(3)
        assert (await arm.send("GET", BLUE)).status_code == 200


async def test_other_subscriptions_and_principals_have_buckets_of_their_own(start_cloud: StartCloud) -> None:
    client_id = "11f4b6c8-0a55-4c0e-9f6d-5a4d5f4f2c01"
    await start_cloud(buckets=BucketSizes(reads=1, reads_per_s=0.1), user_assigned_identities={client_id: "another"})
    other_subscription = BLUE.replace(SUB, SUB[:-1] + "9")
    async with ArmClient() as arm, ArmClient(ManagedIdentityCredential(client_id=client_id)) as other:
        assert (await arm.send("GET", BLUE)).status_code == 200
        assert (await arm.send("GET", BLUE)).status_code == 429
        assert (await arm.send("GET", other_subscription)).status_code == 404
        assert (await other.send("GET", BLUE)).status_code == 200


async def test_azures_sizes_are_the_default(arm: ArmClient) -> None:
    read = await arm.send("GET", BLUE)
    assert read.headers[READS_LEFT] == "249"
    assert read.headers["x-ms-ratelimit-remaining-subscription-global-reads"] == "3749"
    written = await arm.send("PATCH", BLUE, {"tags": {}})
    assert written.headers[WRITES_LEFT] == "199"


async def test_resource_graph_answers_15_queries_in_5_seconds(arm: ArmClient, clock: VirtualClock) -> None:
    async def ask() -> tuple[int, str, str]:
        answer = await arm.send("POST", GRAPH, {"query": "resources"}, api="2022-10-01")
        return (
            answer.status_code,
            answer.headers["x-ms-user-quota-remaining"],
            answer.headers["x-ms-user-quota-resets-after"],
        )

    assert await ask() == (200, "14", "00:00:05")
    await clock.advance(2)
    for _ in range(13):
        assert (await ask())[0] == 200
    assert await ask() == (200, "0", "00:00:03")
    assert await ask() == (429, "0", "00:00:03")
    await clock.advance(3)
    assert await ask() == (200, "14", "00:00:05")


@pytest.mark.parametrize("header", ["Retry-After", READS_LEFT])
async def test_resource_graph_has_its_own_throttle_and_no_retry_after(arm: ArmClient, header: str) -> None:
    for _ in range(16):
        answer = await arm.send("POST", GRAPH, {"query": "resources"}, api="2022-10-01")
    assert answer.status_code == 429
    assert header not in answer.headers
