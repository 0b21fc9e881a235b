"""An endpoint with all its deployments: traffic and its one writer, leases, what carries traffic, the last look."""

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.arbitration import (
    KINDS,
    PRECEDENCE,
    Concurrency,
    DeploymentFacts,
    EndpointFacts,
    Flight,
    Sending,
    Subject,
    arbitrate_endpoint,
    renewed,
    sendable,
)
from shared.domain import Decision, Dimension, Intent, IntentKind, Source
from tests.decisions.builders import NOW, later

E, BLUE, GREEN, COMPUTE = "e", "e/deployments/blue", "e/deployments/green", "c"
ACCEPTED = Concurrency(traffic_put_during_update="accepted", deployment_busy_with_endpoint="accepted")


def facts(**changes: Any) -> EndpointFacts:
    """Blue with 2 instances carries everything, green has 1; 2 serve the full load."""
    fields: dict[str, Any] = {
        "endpoint": E,
        "deployments": {
            BLUE: DeploymentFacts(capacity=2, ready=2, full_load=2),
            GREEN: DeploymentFacts(capacity=1, ready=1, full_load=2),
        },
        "split": {BLUE: 100},
        "jobs": {COMPUTE: Subject(current=1, policy_version="v")},
    }
    return EndpointFacts(**fields | changes)


def intent(source: Source, kind: IntentKind, target: str, dimension: Dimension = "capacity", **more: Any) -> Intent:
    fields: dict[str, Any] = {"rule": f"{source}_{kind}", "reason": f"{source} says {kind}", "at": NOW}
    return Intent(target=target, dimension=dimension, kind=kind, source=source, **fields | more)


def lease(holder: str = "r1", *, asked_s: float = 0, until_s: float = 60, **more: Any) -> Intent:
    given = {"holder": holder, "at": later(asked_s), "expires_at": later(until_s)}
    return intent("rollout", "lease", E, "traffic", **given | more)


def step(green: int, holder: str = "r1", **more: Any) -> Intent:
    return intent("rollout", "wish", E, "traffic", holder=holder, split={BLUE: 100 - green, GREEN: green}, **more)


def traffic(*intents: Intent, at: EndpointFacts | None = None) -> Decision:
    return arbitrate_endpoint(at or facts(), intents, NOW)[E, "traffic"]


def looked_at(decision: Decision, at: EndpointFacts, *intents: Intent, seconds: float = 0) -> Sending:
    return sendable([decision], at, intents, ACCEPTED, later(seconds))[decision.target, decision.dimension]


class TestTraffic:
    def test_the_holder_of_the_lease_moves_it(self) -> None:
        decision = traffic(lease(), step(10, needs={GREEN: 1}))
        assert decision.changes
        assert (dict(decision.split_from), dict(decision.split_to)) == ({BLUE: 100}, {BLUE: 90, GREEN: 10})
        assert (decision.holder, decision.lease_until, dict(decision.needs)) == ("r1", later(60), {GREEN: 1})

    def test_without_a_lease_nobody_does(self) -> None:
        for wish in (step(10), step(10, holder=""), replace(step(10), source="scaling", holder="")):
            decision = traffic(wish)
            assert not decision.changes
            (lost,) = decision.overruled
            assert "lease" in lost.why

    def test_a_lease_is_gone_at_its_end(self) -> None:
        assert traffic(lease(until_s=0.001), step(10)).changes
        assert not traffic(lease(until_s=0), step(10)).changes

    def test_of_two_leases_the_first_counts_and_the_other_waits(self) -> None:
        first, second = lease("r2", asked_s=-20), lease("r1", asked_s=-10)
        decision = traffic(second, first, step(10, "r1"), step(20, "r2"))
        assert decision.split_to[GREEN] == 20
        assert {lost.why.split(";")[1] for lost in decision.overruled} == {" r1 waits."}

    def test_a_lease_of_a_higher_source_counts_whoever_was_first(self) -> None:
        persons = replace(lease("ann"), source="person", at=later(5))
        assert not traffic(lease("r1"), persons, step(10)).changes

    def test_a_lease_that_ran_out_is_asked_for_anew_at_the_end_of_the_line(self) -> None:
        held = lease(asked_s=-60, until_s=0)
        assert renewed(held, later(-1), later(60)).at == held.at
        assert renewed(held, NOW, later(60)).at == NOW

    def test_a_lease_without_end_or_holder_is_none(self) -> None:
        assert not traffic(lease(expires_at=None), step(10)).changes
        assert not traffic(lease(""), step(10)).changes

    def test_a_split_that_is_none_or_leads_nowhere_is_not_made(self) -> None:
        gone = facts(deployments={BLUE: DeploymentFacts(capacity=2, ready=2)})
        going = facts(in_flight={(GREEN, "existence"): Flight(to=0)})
        assert "add up to 100" in traffic(lease(), replace(step(10), split={BLUE: 100, GREEN: 10})).overruled[0].why
        assert "does not exist" in traffic(lease(), step(10), at=gone).overruled[0].why
        assert "being deleted" in traffic(lease(), step(10), at=going).overruled[0].why

    def test_a_person_holds_it_over_a_lease(self) -> None:
        decision = traffic(lease(), step(10), intent("person", "hold", E, "traffic"))
        assert (decision.changes, decision.winner) == (False, "person")
        assert decision.overruled[0].by == "person: person_hold"

    def test_an_unknown_split_is_not_decided_on(self) -> None:
        assert (E, "traffic") not in arbitrate_endpoint(facts(split=None), (lease(), step(10)), NOW)


class TestWhatCarriesTraffic:
    def test_it_does_not_shrink_below_its_need_whoever_wants_it(self) -> None:
        for source in PRECEDENCE:
            decision = arbitrate_endpoint(facts(), [intent(source, "wish", BLUE, value=1)], NOW)[BLUE, "capacity"]
            assert (decision.to, decision.rule) == (2, "carries_traffic")
            assert "needs 2" in decision.reason
            assert decision.overruled[0].by == "endpoint: carries_traffic"

    def test_it_is_not_deleted_and_what_has_none_is(self) -> None:
        stop = [intent("budget", "wish", each, "existence", value=0) for each in (BLUE, GREEN)]
        decisions = arbitrate_endpoint(facts(), stop, NOW)
        assert (decisions[BLUE, "existence"].to, decisions[GREEN, "existence"].to) == (1, 0)
        assert (GREEN, "capacity") not in decisions

    def test_a_budget_does_not_delete_the_idle_new_one_of_a_rollout(self) -> None:
        stop = intent("budget", "wish", GREEN, "existence", value=0)
        assert arbitrate_endpoint(facts(), (stop, lease()), NOW)[GREEN, "existence"].to == 1

    def test_what_is_not_known_neither_shrinks_nor_goes(self) -> None:
        wants = (intent("savings", "wish", GREEN, value=0), intent("budget", "wish", GREEN, "existence", value=0))
        no_need = {GREEN: DeploymentFacts(capacity=1, ready=1)}
        for unknown in (facts(split=None), facts(split={GREEN: 100}, deployments=no_need)):
            decisions = arbitrate_endpoint(unknown, wants, NOW)
            assert not decisions[GREEN, "existence"].changes
            assert decisions[GREEN, "capacity"].rule == "load_unknown"

    def test_traffic_that_is_decided_counts_already(self) -> None:
        wants = (lease(), step(10), intent("person", "wish", GREEN, "existence", value=0))
        decisions = arbitrate_endpoint(facts(), wants, NOW)
        assert decisions[E, "traffic"].changes
        assert decisions[GREEN, "existence"].rule == "carries_traffic"


class TestTheLastLook:
    DECISION = traffic(lease(), step(60, needs={GREEN: 2}))

    def test_traffic_waits_for_exactly_what_it_needs(self) -> None:
        waits = looked_at(self.DECISION, facts(), lease())
        assert (waits.now, waits.void, waits.code) == (False, False, "needs_capacity")
        assert "needs 2 instances that serve on e/deployments/green; there are 1" in waits.reason

    def test_and_for_no_other_capacity_whatever_azure_answers(self) -> None:
        decision = traffic(lease(), step(60))
        busy = facts(in_flight={(BLUE, "capacity"): Flight(to=3), (GREEN, "capacity"): Flight(to=2)})
        for assumed, conflict in ((ACCEPTED, False), (Concurrency(), True)):
            sending = sendable([decision], busy, [lease()], assumed, NOW)[E, "traffic"]
            assert (sending.now, sending.expects_conflict) == (True, conflict)

    def test_capacity_that_shrinks_does_not_serve(self) -> None:
        two = {BLUE: facts().deployments[BLUE], GREEN: DeploymentFacts(capacity=2, ready=2, full_load=2)}
        assert looked_at(self.DECISION, facts(deployments=two), lease()).now
        shrinking = facts(deployments=two, in_flight={(GREEN, "capacity"): Flight(to=1)})
        assert looked_at(self.DECISION, shrinking, lease()).code == "needs_capacity"

    def test_nothing_is_sent_after_the_lease(self) -> None:
        decision = traffic(lease(), step(60))
        assert looked_at(decision, facts(), lease(), seconds=59.9).now
        assert looked_at(decision, facts(), lease(), seconds=60).code == "lease_over"
        assert looked_at(decision, facts(), lease("r2")).code == "lease_lost"

    def test_what_came_in_between_counts(self) -> None:
        shrink = arbitrate_endpoint(facts(split={GREEN: 100}), [intent("savings", "wish", BLUE, value=1)], NOW)[
            BLUE, "capacity"
        ]
        there = facts(split={GREEN: 100})
        assert looked_at(shrink, there).now
        floor = intent("platform", "floor", BLUE, value=2)
        assert looked_at(shrink, there, floor).code == "platform_floor"
        assert looked_at(shrink, there, intent("person", "hold", BLUE)).code == "held"
        assert looked_at(shrink, facts()).code == "carries_traffic"
        grown = facts(split={GREEN: 100}, deployments={BLUE: DeploymentFacts(capacity=3, ready=3)})
        assert looked_at(shrink, grown).code == "changed_meanwhile"
        assert looked_at(shrink, facts(deployments={})).code == "vanished"
        assert looked_at(shrink, replace(there, in_flight={(BLUE, "capacity"): Flight(to=1)})).code == "in_flight"
        assert all(each.void for each in (looked_at(shrink, facts()), looked_at(shrink, grown)))


any_intent = st.builds(
    lambda source, kind, where, value, share, holder, needs, lasts: intent(
        source,
        kind,
        *where,
        value=value,
        split={} if share is None else {BLUE: 100 - share, GREEN: share},
        holder=holder,
        needs=needs,
        expires_at=None if lasts is None else NOW + timedelta(seconds=lasts),
    ),
    st.sampled_from(PRECEDENCE),
    st.sampled_from(KINDS),
    st.sampled_from(
        [(E, "traffic"), (COMPUTE, "jobs"), *((d, x) for d in (BLUE, GREEN) for x in ("capacity", "existence"))]
    ),
    st.none() | st.integers(0, 4),
    st.none() | st.sampled_from((0, 10, 100, 110)),
    st.sampled_from(("", "r1", "r2")),
    st.sampled_from(({}, {GREEN: 1}, {GREEN: 2})),
    st.sampled_from((None, -1, 0, 1)),
)


class TestAnyIntents:
    @given(st.lists(any_intent, max_size=10), st.randoms(use_true_random=False))
    def test_there_is_one_decision_each_in_any_order(self, intents: list[Intent], random: Random) -> None:
        decisions = arbitrate_endpoint(facts(), intents, NOW)
        shuffled = list(intents)
        random.shuffle(shuffled)
        assert arbitrate_endpoint(facts(), shuffled, NOW) == decisions
        assert all(key == (each.target, each.dimension) for key, each in decisions.items())
        assert all(each.rule and each.reason for each in decisions.values())

    @given(st.lists(any_intent, max_size=10))
    def test_what_has_run_out_changes_nothing(self, intents: list[Intent]) -> None:
        live = [each for each in intents if each.is_live(NOW)]
        assert arbitrate_endpoint(facts(), intents, NOW) == arbitrate_endpoint(facts(), live, NOW)

    @given(st.lists(any_intent, max_size=10), st.sampled_from((0, 10, 100)))
    def test_what_carries_traffic_keeps_what_that_needs(self, intents: list[Intent], share: int) -> None:
        there = facts(split={BLUE: 100 - share, GREEN: share})
        decisions = arbitrate_endpoint(there, intents, NOW)
        needs = {BLUE: 2 if share < 100 else 0, GREEN: {0: 0, 10: 1, 100: 1}[share]}
        for name, needed in needs.items():
            if needed:
                assert not decisions[name, "existence"].changes
                assert decisions[name, "capacity"].to >= needed
