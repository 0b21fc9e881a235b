"""The words: measurements that age, modes that limit each other, resource ids that Azure spells as it likes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain import (
    DeploymentId,
    Fresh,
    InvalidResourceId,
    Measurement,
    Missing,
    QueueId,
    Stale,
    aged,
    is_fresh,
    most_cautious,
    plan_hash,
)
from tests.decisions.anything import measured
from tests.decisions.builders import NOW, TARGET, decided, fresh, missing, stale
from tests.policy.documents import deployment_id, queue_id

DEPLOYMENT = deployment_id("Blue")
QUEUE = queue_id("Orders")
names = st.text("abcXYZ019-_", min_size=1, max_size=12)


class TestMeasurements:
    def test_a_value_is_fresh_up_to_its_limit_and_stale_after(self) -> None:
        read = fresh(3)
        assert aged(read, NOW + timedelta(seconds=60), 60) is read
        old = aged(read, NOW + timedelta(seconds=60.001), 60)
        assert old == Stale(value=3.0, at=read.at, source="test")

    @pytest.mark.parametrize("measurement", [stale(3), missing()])
    def test_nothing_becomes_fresh_again(self, measurement: Measurement) -> None:
        assert aged(measurement, NOW - timedelta(days=1), 1e9) is measurement

    @given(measured(st.floats(0, 9)), st.floats(-600, 600), st.floats(0, 600))
    def test_age_takes_freshness_and_nothing_else(self, before: Measurement, seconds: float, limit_s: float) -> None:
        after = aged(before, NOW + timedelta(seconds=seconds), limit_s)
        assert is_fresh(before) or after is before
        if not isinstance(before, Missing):
            assert isinstance(after, Fresh | Stale)
            assert (after.value, after.at, after.source) == (before.value, before.at, before.source)


class TestModes:
    def test_the_more_cautious_counts(self) -> None:
        assert most_cautious("enforce", "observe") == "observe"
        assert most_cautious("observe", "off", "enforce") == "off"
        assert most_cautious("enforce", "enforce") == "enforce"


class TestResourceIds:
    def test_two_spellings_are_one_resource(self) -> None:
        one, other = DeploymentId.parse(DEPLOYMENT), DeploymentId.parse(DEPLOYMENT.upper())
        assert one.key == other.key == DEPLOYMENT.lower()
        assert one.arm_id == DEPLOYMENT

    def test_a_deployment_knows_its_endpoint_and_workspace(self) -> None:
        deployment = DeploymentId.parse(DEPLOYMENT)
        assert deployment.endpoint_key == DEPLOYMENT.lower().removesuffix("/deployments/blue")
        assert DEPLOYMENT.startswith(deployment.workspace_id + "/onlineEndpoints/")
        assert deployment.deployment == "Blue"

    def test_a_queue_knows_its_namespace(self) -> None:
        assert QueueId.parse(QUEUE).namespace_id + "/queues/Orders" == QUEUE

    @given(names, names, names, names, names)
    def test_what_is_written_is_read(self, a: str, b: str, c: str, d: str, e: str) -> None:
        made = DeploymentId(a, b, c, d, e)
        assert DeploymentId.parse(made.arm_id) == made
        assert DeploymentId.parse(f"  {made}  ") == made

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("", "is not of the form /subscriptions/"),
            ("orders", "is not of the form /subscriptions/"),
            (QUEUE, "is not of the form /subscriptions/"),
            (DEPLOYMENT.replace("onlineEndpoints", "batchEndpoints"), "expected 'onlineEndpoints'"),
            (DEPLOYMENT.replace("/models/", "//"), "segment 4 ({resource_group}) is empty"),
        ],
    )
    def test_what_is_none_is_refused_with_the_place(self, text: str, says: str) -> None:
        with pytest.raises(InvalidResourceId) as raised:
            DeploymentId.parse(text)
        assert says in str(raised.value)


class TestDecisions:
    def test_a_decision_changes_something_or_leaves_it(self) -> None:
        assert decided(2, 3).changes
        assert not decided(2, 2).changes

    def test_the_hash_of_a_plan_never_changes(self) -> None:
        """Ledgers hold it: another way to make it would tell apart what is the same."""
        assert plan_hash("t", 1, 2, "rule", "v") == "26eb8c83061ee10f"
        assert decided(1, 2).plan_hash == plan_hash(TARGET, 1, 2, "promise_at_risk", "v")
