"""One look at the estate: in bulk, and with every source that fails told apart."""

from collections.abc import Mapping

import pytest

from local.cloud.estate import fleet
from local.cloud.faults import Fault
from local.cloud.queues import FixedQueues
from shared.domain import DeploymentId, Fresh, Measurement, Missing, QueueId, ScalingSnapshot, Stale
from shared.estate import reader as reader_module
from tests.estate.azure import (
    BLUE,
    ENDPOINT,
    GREEN,
    IMAGES,
    TEXTS,
    Azure,
    running_azure,
    small_estate,
    spec,
)

MEASUREMENTS = (
    "depth",
    "arrivals_per_s",
    "completions_per_s",
    "capacity",
    "ready",
    "quota_headroom",
    "dead_letters",
)


def fresh(measurement: Measurement) -> float:
    assert isinstance(measurement, Fresh), measurement
    return measurement.value


def missing(snapshot: ScalingSnapshot) -> set[str]:
    return {name for name in MEASUREMENTS if isinstance(getattr(snapshot, name), Missing)}


async def busy_minutes(azure: Azure) -> None:
    """Three minutes of traffic on both queues, 120 in and 60 out each minute; then the counts."""
    for _ in range(3):
        for queue in ("images", "texts"):
            azure.rate(queue, arrived=120, completed=60, at=azure.now())
        await azure.minutes(1)
    azure.counts("images", active=7, dead_letter=2)
    azure.counts("texts", active=9)


async def observe(azure: Azure) -> Mapping[str, ScalingSnapshot]:
    return await azure.reader.observe([spec(), spec(GREEN, TEXTS)])


async def test_a_sweep_sees_everything(azure: Azure) -> None:
    await busy_minutes(azure)
    snapshots = await observe(azure)
    blue, green = snapshots[BLUE.key], snapshots[GREEN.key]
    assert missing(blue) == missing(green) == set()
    assert [fresh(getattr(blue, name)) for name in MEASUREMENTS] == [7, 2, 1, 2, 2, 6, 2]
    assert [fresh(getattr(green, name)) for name in MEASUREMENTS] == [9, 2, 1, 1, 1, 0, 0]
    assert (blue.vm_size, blue.price_usd_per_hour, blue.provisioning_state) == ("Standard_DS3_v2", 0.31, "Succeeded")
    assert (blue.autoscale_setting, blue.autoscale_unknown, blue.scaled_by_cluster, blue.ordered) == (
        "",
        "",
        False,
        None,
    )
    assert blue.taken_at == azure.now()


async def test_one_target_is_seen_by_fresh_gets(azure: Azure) -> None:
    await busy_minutes(azure)
    snapshot = await azure.reader.observe_one(spec())
    assert [fresh(getattr(snapshot, name)) for name in MEASUREMENTS] == [7, 2, 1, 2, 2, 6, 2]
    assert isinstance(snapshot.capacity, Fresh)
    assert snapshot.capacity.source == "arm"
    assert azure.count("POST", "/resources") == 0
    assert azure.count("GET", "deployments/blue") == 1
    assert azure.count("GET", "queues/images") == 1


async def test_the_requests_of_a_sweep_do_not_grow_with_the_targets() -> None:
    async with running_azure(fleet(endpoints=40), assumptions={"servicebus.list_carries_counts": "yes"}) as azure:
        deployments = [DeploymentId.parse(each.id) for each in azure.cloud.estate.deployments()]
        [namespace] = azure.cloud.estate.namespaces()
        azure.cloud.attach_queues(FixedQueues(namespace.name, namespace.queue_names))
        await azure.minutes(3)
        queues = [QueueId.parse(f"{namespace.id}/queues/{name}") for name in namespace.queue_names]
        specs = [spec(deployment, queue) for deployment, queue in zip(deployments, queues, strict=True)]
        snapshots = await azure.reader.observe(specs)
        assert all(missing(snapshot) == set() for snapshot in snapshots.values())
        asked = [f"{r.method} {r.path.rsplit('/', 1)[1]}" for r in azure.cloud.requests if r.host != "identity"]
        await azure.reader.observe(specs)
        learned = azure.count("POST", "metrics:getBatch") - asked.count("POST metrics:getBatch")
    assert sorted(asked) == [
        "GET autoscalesettings",
        "GET queues",
        "GET usages",
        "GET vmSizes",
        "POST metrics:getBatch",
        "POST metrics:getBatch",
        "POST metrics:getBatch",  # the first look learns what DeploymentCapacity counts
        "POST resources",
    ]
    assert learned == 2


@pytest.mark.parametrize(
    ("path", "lost"),
    [
        # The first look also learns the namespace's region from its queues; another than the deployment's, here.
        ("/queues", {"depth", "dead_letters", "arrivals_per_s", "completions_per_s"}),
        ("getBatch", {"arrivals_per_s", "completions_per_s", "ready"}),
        ("/usages", {"quota_headroom"}),
        ("/vmSizes", {"quota_headroom"}),
        ("/autoscalesettings", set()),
        ("onlineEndpoints|ResourceGraph", {"capacity", "ready", "quota_headroom"}),
    ],
)
async def test_a_source_that_fails_loses_its_own_measurements_and_says_why(
    azure: Azure, path: str, lost: set[str]
) -> None:
    await busy_minutes(azure)
    azure.cloud.faults.add(Fault(path=path, status=403, times=99))
    snapshot = (await observe(azure))[BLUE.key]
    assert missing(snapshot) == lost
    assert all(getattr(snapshot, name).reason for name in lost)
    assert not lost or "403" in "".join(getattr(snapshot, name).reason for name in lost)


async def test_once_the_region_is_known_unreadable_queues_cost_only_the_depth(azure: Azure) -> None:
    await busy_minutes(azure)
    await observe(azure)
    azure.cloud.faults.add(Fault(path="/queues", status=403, times=99))
    assert missing((await observe(azure))[BLUE.key]) == {"depth", "dead_letters"}


async def test_unknown_autoscale_settings_stand_in_the_way(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="autoscalesettings", status=403, times=99))
    seen = (await observe(azure))[BLUE.key]
    assert seen.autoscale_setting == ""
    assert "403 InjectedFault" in seen.autoscale_unknown


async def test_an_autoscale_setting_and_a_cluster_are_seen() -> None:
    estate = small_estate()
    setting = {"name": "by-cpu", "group": "rg-ml", "region": "westeurope", "target": BLUE.arm_id}
    estate["subscriptions"][0]["autoscale"] = [setting]
    green = estate["subscriptions"][0]["workspaces"][0]["endpoints"][0]["deployments"][1]
    green |= {"compute_type": "Kubernetes", "scale_settings": {"scaleType": "TargetUtilization"}}
    async with running_azure(estate) as azure:
        snapshots = await observe(azure)
    assert snapshots[BLUE.key].autoscale_setting.endswith("by-cpu")
    assert snapshots[GREEN.key].scaled_by_cluster


async def test_a_measurement_older_than_the_target_allows_is_stale(azure: Azure) -> None:
    await busy_minutes(azure)
    snapshots = await azure.reader.observe([spec(stale_after_s=30.0)])
    assert isinstance(snapshots[BLUE.key].arrivals_per_s, Stale), "its minute ended a minute ago"
    assert isinstance(snapshots[BLUE.key].depth, Fresh)


async def test_the_policys_price_overrides_azures(azure: Azure) -> None:
    snapshots = await azure.reader.observe([spec(price_usd_per_hour=9.0)])
    assert snapshots[BLUE.key].price_usd_per_hour == 9.0


# ---- idle queues


async def looks(azure: Azure, minutes: float) -> ScalingSnapshot:
    """A look each 30 s; the last of them."""
    for _ in range(int(minutes * 2)):
        await azure.clock.advance(30)
        snapshot = (await azure.reader.observe([spec()]))[BLUE.key]
    return snapshot


@pytest.mark.parametrize("totals", ["zero", "absent"])
async def test_a_queue_that_is_idle_for_long_enough_has_rates_of_zero(totals: str) -> None:
    async with running_azure(assumptions={"monitor.idle_totals": totals}) as azure:
        snapshot = await looks(azure, 6)
        assert ("arrivals_per_s" in missing(snapshot)) == (totals == "absent"), "a look-back less 30 s has been seen"
        snapshot = await looks(azure, 0.5)
        assert (fresh(snapshot.arrivals_per_s), fresh(snapshot.completions_per_s)) == (0, 0)
        assert ("13 reads found no message" in snapshot.arrivals_per_s.source) == (totals == "absent")


async def test_a_queue_that_held_a_message_is_not_idle_for_a_while() -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        await looks(azure, 7)
        azure.counts("images", active=1)
        assert {"arrivals_per_s", "completions_per_s"} <= missing(await looks(azure, 0.5))
        azure.counts("images", active=0)
        assert "arrivals_per_s" in missing(await looks(azure, 6))
        assert fresh((await looks(azure, 0.5)).arrivals_per_s) == 0


async def test_a_metered_message_is_believed_although_the_queue_was_always_seen_empty() -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        await looks(azure, 7)
        azure.rate("images", arrived=60, completed=60, at=azure.now())
        assert fresh((await looks(azure, 2)).arrivals_per_s) == 1
        azure.queues.observe("images", "CompleteMessage", 60, azure.now())
        assert "arrivals_per_s" in missing(await looks(azure, 5)), "completions alone: it is not idle"


@pytest.mark.parametrize("path", ["getBatch", "/queues"])
async def test_what_cannot_be_read_is_never_idle(path: str) -> None:
    async with running_azure(assumptions={"monitor.idle_totals": "absent"}) as azure:
        await looks(azure, 7)
        azure.cloud.faults.add(Fault(path=path, status=403, times=999))
        assert missing(await looks(azure, 0.5)) & {"arrivals_per_s", "depth"}


async def test_the_namespace_is_looked_for_where_the_deployment_is_if_its_queues_do_not_say() -> None:
    estate = small_estate()
    for region in ("northeurope", "westeurope"):
        estate["subscriptions"][0]["namespaces"][0]["region"] = region
        async with running_azure(estate, assumptions={"servicebus.queue_location": "no"}) as azure:
            await busy_minutes(azure)
            snapshot = (await azure.reader.observe([spec()]))[BLUE.key]
            if region == "westeurope":
                assert fresh(snapshot.arrivals_per_s) == 2
            else:
                assert missing(snapshot) == {"arrivals_per_s", "completions_per_s"}
                assert "not in the subscription and region" in snapshot.arrivals_per_s.reason  # type: ignore[union-attr]  # it is Missing, as just seen


# ---- where Resource Graph does not tell


async def test_without_the_graph_capacity_comes_from_lists_per_endpoint() -> None:
    async with running_azure(assumptions={"graph.lists_deployments": "no"}) as azure:
        snapshots = await observe(azure)
        assert (fresh(snapshots[BLUE.key].capacity), fresh(snapshots[GREEN.key].capacity)) == (2, 1)
        assert azure.count("GET", "labels/deployments") == 1


async def test_a_failing_graph_is_made_up_for_by_the_lists(azure: Azure) -> None:
    azure.cloud.faults.add(Fault(path="ResourceGraph", status=403, times=99))
    assert fresh((await observe(azure))[BLUE.key].capacity) == 2


async def test_the_lists_are_spread_over_the_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader_module, "ENDPOINT_READS_PER_SWEEP", 3)
    async with running_azure(fleet(endpoints=8), assumptions={"graph.lists_deployments": "no"}) as azure:
        ids = [DeploymentId.parse(each.id) for each in azure.cloud.estate.deployments()]
        queue = QueueId.parse(f"{azure.cloud.estate.namespaces()[0].id}/queues/queue-1")
        specs = [spec(each, queue) for each in ids]
        known = []
        for _ in range(3):
            snapshots = await azure.reader.observe(specs)
            known.append(sum(isinstance(each.capacity, Fresh) for each in snapshots.values()))
            await azure.clock.advance(15)
        ages_s = sorted((azure.now() - each.capacity.at).total_seconds() for each in snapshots.values())  # type: ignore[union-attr]  # all are Fresh, as `known` says
    assert known == [3, 6, 8]
    assert ages_s == [15, 15, 15, 30, 30, 30, 45, 45], "each has the age of its own read"


async def test_a_deleted_deployment_is_missing_and_not_remembered(azure: Azure) -> None:
    gone = DeploymentId.parse(f"{ENDPOINT}/deployments/gone")
    snapshot = (await azure.reader.observe([spec(gone)]))[gone.key]
    assert isinstance(snapshot.capacity, Missing)
    assert "no such deployment" in snapshot.capacity.reason
    assert snapshot.provisioning_state == snapshot.vm_size == ""


async def test_nothing_is_changed_by_looking(azure: Azure) -> None:
    await observe(azure)
    await azure.reader.observe_one(spec(), fresh=True)
    assert azure.mutations() == 0


async def test_a_fresh_look_reads_quota_and_autoscale_again(azure: Azure) -> None:
    await azure.reader.observe_one(spec())
    await azure.reader.observe_one(spec())
    assert (azure.count("GET", "/usages"), azure.count("GET", "/autoscalesettings")) == (1, 1)
    await azure.reader.observe_one(spec(), fresh=True)
    assert (azure.count("GET", "/usages"), azure.count("GET", "/autoscalesettings")) == (2, 2)


async def test_two_targets_may_share_a_queue_and_no_targets_are_no_trouble(azure: Azure) -> None:
    azure.counts("images", active=5)
    snapshots = await azure.reader.observe([spec(BLUE, IMAGES), spec(GREEN, IMAGES)])
    assert [fresh(each.depth) for each in snapshots.values()] == [5, 5]
    assert await azure.reader.observe([]) == {}


async def test_azure_out_of_reach_is_a_snapshot_of_reasons(azure: Azure, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    snapshot = (await azure.reader.observe([spec()]))[BLUE.key]
    assert missing(snapshot) == set(MEASUREMENTS)
    assert "no answer to" in snapshot.depth.reason  # type: ignore[union-attr]  # it is Missing, as just seen
    assert "no answer to" in snapshot.autoscale_unknown
