"""Starting what was decided: one orchestration a deployment and dimension; one failure keeps no other waiting."""

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from handlers.orders import instance_id, start_orders
from shared.domain import Order

ENDPOINT = "/subscriptions/s/onlineendpoints/e"


def order(deployment: str) -> Order:
    return Order(endpoint_key=ENDPOINT, target=f"{ENDPOINT}/deployments/{deployment}", dimension="capacity")


@dataclass
class Client:
    """A Durable client out of reach for some instances; `running` are those that are under way."""

    running: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    unreachable: tuple[str, ...] = ()
    started: list[str] = field(default_factory=list)

    async def get_orchestration_state(self, instance: str, fetch_payloads: bool) -> Any:
        if instance in self.unreachable:
            raise OSError("no connection")
        name = "RUNNING" if instance in self.running else "FAILED" if instance in self.ended else ""
        return SimpleNamespace(runtime_status=SimpleNamespace(name=name)) if name else None

    async def schedule_new_orchestration(self, name: str, *, input: Any, instance_id: str) -> None:  # noqa: A002
        assert name == "actuate"
        assert set(input) == {"endpoint_key", "target", "dimension"}
        self.started.append(instance_id)


async def started(client: Any, *deployments: str) -> list[str]:
    await start_orders(client, [order(name) for name in deployments])
    return list(client.started)


async def test_what_runs_is_left_alone_and_what_ended_is_started_again() -> None:
    client = Client(running=(instance_id(order("a")),), ended=(instance_id(order("b")),))
    assert await started(client, "a", "b", "c") == [instance_id(order("b")), instance_id(order("c"))]


async def test_one_that_cannot_be_started_keeps_no_other_waiting() -> None:
    client = Client(unreachable=(instance_id(order("a")),))
    assert await started(client, "a", "b") == [instance_id(order("b"))]


def test_an_instance_is_one_deployment_and_dimension() -> None:
    """Names that end alike are not the same deployment."""
    other = Order(endpoint_key=ENDPOINT, target="/elsewhere/deployments/a", dimension="capacity")
    assert instance_id(order("a")) == instance_id(order("a")) != instance_id(other)
    assert instance_id(order("a")).startswith("capacity-a-")
