"""Which dead letters are watched: of the signals and of targets' queues always, the others as the policy says."""

from typing import Any

from shared.loops.dead_letter_sources import Watched, watched
from shared.policy import load_policy
from shared.settings import Settings
from tests.policy.documents import as_yaml, document, queue_id, target

HERE = "here.servicebus.windows.net"
ENTRIES = [
    {"name": "orders", "queue": "orders", "owner": "ada@example.com", "older_than_s": 60},
    {"name": "audit", "topic": "news", "subscription": "a", "namespace": "there-bus.servicebus.windows.net"},
]


def test_the_queue_of_the_signals_is_watched_without_a_policy() -> None:
    settings = Settings(storage={}, signals_queue="in", signals_namespace=HERE)
    (one,) = watched(None, settings)
    assert (one.name, str(one.entity), one.older_than.total_seconds()) == ("signals", f"in of {HERE}", 86_400)
    assert watched(None, Settings(storage={})) == ()


def test_what_the_policy_names_is_in_the_namespace_of_the_signals_unless_it_says_another() -> None:
    policy = load_policy(as_yaml(document(dead_letters=ENTRIES)), "policy.yaml")
    signals, orders, audit, _ = watched(policy, Settings(storage={}, signals_queue="in", signals_namespace=HERE))
    assert [str(one.entity) for one in (signals, orders, audit)] == [
        f"in of {HERE}",
        f"orders of {HERE}",
        "news/Subscriptions/a of there-bus.servicebus.windows.net",
    ]
    assert (orders.owner, orders.older_than.total_seconds(), audit.owner) == ("ada@example.com", 60, "")


def queue(name: str, namespace: str = "lab-bus") -> str:
    return queue_id(name).replace("lab-bus", namespace)


def watched_of(*targets: dict[str, Any], signals: str = HERE, **fields: Any) -> dict[str, Watched]:
    """By name, without the signals'."""
    policy = load_policy(as_yaml(document(*targets, **fields)), "policy.yaml")
    found = watched(policy, Settings(storage={}, signals_queue="in", signals_namespace=signals))
    assert len({one.name for one in found}) == len(found)
    return {one.name: one for one in found[1:]}


def test_the_queue_of_a_target_is_watched_once_without_an_entry() -> None:
    found = watched_of(
        target("a", queue=queue("Work"), project="red"),
        target("b", queue=queue("work"), owner="ada@example.com"),
        target("c", queue=None, load={"by": "requests"}, scaling={"drain_within_s": 5}),
        target("d", queue=queue("a~b")),
    )
    assert {name: str(one.entity) for name, one in found.items()} == {
        "Work": "Work of lab-bus.servicebus.windows.net",
        "a~b": "a/b of lab-bus.servicebus.windows.net",
    }
    assert (found["Work"].project, found["Work"].owner, found["Work"].older_than.days) == ("red", "ada@example.com", 1)


def test_two_queues_of_one_name_have_names_of_their_own() -> None:
    found = watched_of(
        target("a", queue=queue("work")),
        target("b", queue=queue("WORK", "other-bus")),
        target("c", queue=queue("signals")),
        target("d", queue=queue("audit")),
        dead_letters=ENTRIES,
    )
    assert list(found) == ["orders", "audit", "work@lab-bus", "WORK@other-bus", "signals@lab-bus", "audit@lab-bus"]


def test_an_entry_for_a_targets_queue_goes_before_it_and_so_do_the_signals() -> None:
    entry = {"name": "mine", "queue": "WORK", "namespace": "lab-bus.servicebus.windows.net", "older_than_s": 60}
    found = watched_of(
        target("a", queue=queue("work")),
        target("b", queue=queue("in", "here-bus")),
        signals="here-bus.servicebus.windows.net",
        dead_letters=[entry],
    )
    assert {name: one.older_than.total_seconds() for name, one in found.items()} == {"mine": 60}


def test_a_queue_is_left_out_if_all_its_targets_say_so() -> None:
    quiet = {"queue": queue("work"), "dead_letters": False}
    assert watched_of(target("a", **quiet), target("b", **quiet)) == {}
    assert list(watched_of(target("a", **quiet), target("b", queue=queue("work")))) == ["work"]


def test_who_writes_a_queue_under_a_wrong_resource_group_takes_it_from_nobody() -> None:
    wrong, right = queue("work").replace("/bus/", "/red/"), queue("work")
    found = watched_of(target("a", queue=wrong), target("b", queue=right))
    assert {str(one.target_queue) for one in found.values()} == {wrong, right}
    assert all(name.startswith("work@lab-bus@") for name in found)


def test_the_emulator_has_the_queues_of_every_namespace() -> None:
    emulator = "Endpoint=sb://127.0.0.1:5672;SharedAccessKeyName=n;SharedAccessKey=k;UseDevelopmentEmulator=true;"
    found = watched_of(target("a", queue=queue("work")), signals=emulator)
    assert {name: one.entity.host for name, one in found.items()} == {"work": "127.0.0.1:5672"}
