"""Which dead letters are watched: those of the signals always, the others as the policy says."""

from shared.loops.dead_letters import watched
from shared.policy import load_policy
from shared.settings import Settings
from tests.policy.documents import as_yaml, document

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
    signals, orders, audit = watched(policy, Settings(storage={}, signals_queue="in", signals_namespace=HERE))
    assert [str(one.entity) for one in (signals, orders, audit)] == [
        f"in of {HERE}",
        f"orders of {HERE}",
        "news/Subscriptions/a of there-bus.servicebus.windows.net",
    ]
    assert (orders.owner, orders.older_than.total_seconds(), audit.owner) == ("ada@example.com", 60, "")
