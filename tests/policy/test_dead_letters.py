"""The section `dead_letters`: which queues and subscriptions, and what a project may add."""

from typing import Any

import pytest

from shared.policy import load_policy
from tests.policy.documents import as_yaml, document, problems_of, queue_id, target
from tests.policy.two_layers import deployment_in, findings, grant, merged, platform, project

BASE = {"name": "orders", "queue": "orders"}


def problem(**fields: Any) -> dict[str, str]:
    entry = {name: value for name, value in (BASE | fields).items() if value is not None}
    return problems_of(as_yaml(document(dead_letters=[entry])))


@pytest.mark.parametrize(
    ("fields", "path", "words"),
    [
        ({"queue": None}, "dead_letters[0]", "Write `queue`, or both `topic` and `subscription`"),
        ({"queue": None, "topic": "news"}, "dead_letters[0]", "names neither one queue nor one subscription"),
        ({"topic": "news", "subscription": "a"}, "dead_letters[0]", "names neither one queue nor one subscription"),
        ({"name": "signals"}, "dead_letters[0]", "needs no entry"),
        ({"namespace": "lab-bus"}, "dead_letters[0].namespace", "Write NAME.servicebus.windows.net"),
        ({"namespace": "bus.example.com"}, "dead_letters[0].namespace", "Service Bus namespace of Azure"),
        ({"namespace": "10.0.0.1"}, "dead_letters[0].namespace", "Service Bus namespace of Azure"),
        ({"namespace": "a.servicebus.windows.net.example.com"}, "dead_letters[0].namespace", "namespace of Azure"),
        ({"namespace": "x.y.servicebus.windows.net"}, "dead_letters[0].namespace", "namespace of Azure"),
        ({"queue": "a b"}, "dead_letters[0].queue", ""),
        ({"older_than_s": 5}, "dead_letters[0].older_than_s", "which is too small"),
        ({"owner": "nobody"}, "dead_letters[0].owner", "which is no e-mail address"),
    ],
)
def test_mistakes(fields: dict[str, Any], path: str, words: str) -> None:
    found = problem(**fields)
    assert list(found) == [path]
    assert words in found[path]


def test_a_connection_string_is_refused_and_never_repeated() -> None:
    found = problem(namespace="Endpoint=sb://lab-bus.servicebus.windows.net/;SharedAccessKey=do-not-show-me")
    assert list(found) == ["dead_letters[0].namespace"]
    assert "never a connection string" in found["dead_letters[0].namespace"]
    assert "do-not-show-me" not in str(found)


def test_names_are_unique() -> None:
    (words,) = problems_of(as_yaml(document(dead_letters=[BASE, BASE | {"queue": "others"}]))).values()
    assert "names 'orders' twice" in words


def test_what_an_entry_says() -> None:
    entry = {"name": "news", "topic": "News", "subscription": "audit", "namespace": "Lab-Bus.servicebus.windows.net"}
    (one,) = load_policy(as_yaml(document(dead_letters=[entry])), "policy.yaml").dead_letters
    assert (one.topic, one.subscription, one.namespace) == ("News", "audit", "lab-bus.servicebus.windows.net")
    assert (one.older_than_s, one.project) == (86_400.0, "")


LAB = "lab-bus.servicebus.windows.net"


def test_a_project_adds_its_own_under_its_name() -> None:
    whole = platform(dead_letters=[BASE])
    red = project("red", dead_letters=[BASE | {"queue": "red-orders", "namespace": LAB, "projects": ["green"]}])
    found = merged(whole, red).policy.dead_letters
    assert [(one.name, one.queue, one.project) for one in found] == [
        ("orders", "orders", ""),
        ("red.orders", "red-orders", "red"),
    ]
    assert findings(whole, red) == {}


@pytest.mark.parametrize(
    ("rule", "entry", "granted"),
    [
        ({"namespace": "lab-bus", "name": "red-*"}, {"queue": "red-orders", "namespace": LAB}, True),
        ({"namespace": "lab-bus", "name": "red-*"}, {"queue": "green-orders", "namespace": LAB}, False),
        ({"namespace": "lab-bus"}, {"queue": "orders", "namespace": "other-bus.servicebus.windows.net"}, False),
        ({"namespace": "lab-bus"}, {"queue": "orders"}, False),  # that of the signals, which is the platform's
        ({"name": "red-*"}, {"queue": "red-orders"}, True),
        ({"namespace": "lab-bus", "name": "red*"}, {"topic": "red", "subscription": "all", "namespace": LAB}, True),
        ({"resource_group": "red"}, {"queue": "orders", "namespace": LAB}, False),
    ],
)
def test_a_project_has_the_dead_letters_of_its_own_queues_alone(
    rule: dict[str, Any], entry: dict[str, Any], granted: bool
) -> None:
    whole = platform(projects=[grant("red", queues=[rule, {"namespace": "lab-bus", "name": "jobs"}])])
    own = target("chat", deployment=deployment_in("red"), queue=queue_id("jobs"))
    red = project("red", own, dead_letters=[{"name": "orders"} | entry])
    assert [one.name for one in merged(whole, red).policy.dead_letters] == ["red.orders"] * granted
    found = findings(whole, red).get("red.yaml", {})
    assert list(found) == ["dead_letters[0]"] * (not granted)
    assert all("does not grant" in words for words in found.values())
