"""Names, bindings and settings of indexed functions."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.host.errors import HostStartError
from local.host.metadata import FUNCTION_NAME, Metadata, validate
from local.host.worker import IndexedFunction
from tests.local.host.rule import rule


def timer(name: str = "tick", argument: str = "timer", *more: dict[str, Any], schedule: str = "x") -> IndexedFunction:
    trigger = {"type": "timerTrigger", "direction": "IN", "name": argument, "schedule": schedule}
    return IndexedFunction(name, f"id-{name}", (trigger, *more), None)


def output(name: str, direction: str = "OUT") -> dict[str, Any]:
    return {"type": "queue", "direction": direction, "name": name, "queueName": "q", "connection": "C"}


def words(metadata: Metadata) -> str:
    return "\n".join(str(problem) for problem in metadata.problems)


@rule("metadata.function_name")
@pytest.mark.parametrize("name", ["host", "HOST", "1st", "_x", "a b", "ä", "a" * 129, ""])
def test_bad_function_names(name: str) -> None:
    metadata = validate([timer(name), timer("fine")], {})
    assert list(metadata.functions) == ["fine"]
    assert "is not valid" in words(metadata)


@rule("metadata.function_name")
@given(st.from_regex(r"[A-Za-z][A-Za-z0-9_\-]{0,127}", fullmatch=True).filter(lambda name: name.lower() != "host"))
def test_good_function_names(name: str) -> None:
    assert FUNCTION_NAME.fullmatch(name)
    assert list(validate([timer(name)], {}).functions) == [name]


@rule("metadata.unique_name", "metadata.one_fails_alone")
def test_names_are_unique_ignoring_case() -> None:
    metadata = validate([timer("Tick"), timer("tick"), timer("tock")], {})
    assert len(metadata.functions) == 2
    assert "is taken" in words(metadata)


@rule("metadata.argument_name")
@pytest.mark.parametrize(
    ("name", "valid"), [("a_b", True), ("_a", True), ("a__b", False), ("1a", False), ("a" * 129, False)]
)
def test_argument_names(name: str, valid: bool) -> None:
    assert bool(validate([timer("f", name)], {}).functions) is valid


@rule("metadata.unique_argument")
def test_arguments_are_unique_ignoring_case() -> None:
    metadata = validate([timer("f", "item", output("Item"))], {})
    assert "unique ignoring case" in words(metadata)


@rule("metadata.directions")
def test_directions() -> None:
    assert validate([timer("f", "timer", output("$return"))], {}).functions
    returned_in = IndexedFunction(
        "f", "1", ({"type": "timerTrigger", "direction": "in", "name": "t"},
                   {"type": "durableClient", "direction": "in", "name": "$return", "durableRequiresGrpc": True}), None
    )  # fmt: skip
    assert "'$return' must have direction 'out'" in words(validate([returned_in], {}))
    sideways = IndexedFunction("f", "1", ({"type": "timerTrigger", "direction": "sideways", "name": "t"},), None)
    assert "direction 'sideways'" in words(validate([sideways], {}))


@rule("metadata.one_trigger")
def test_one_trigger_is_needed() -> None:
    second = {"type": "queueTrigger", "direction": "IN", "name": "item", "queueName": "q"}
    assert "2 trigger bindings" in words(validate([timer("f", "timer", second)], {}))
    assert "0 trigger bindings" in words(validate([IndexedFunction("f", "1", (output("o"),), None)], {}))


@rule("metadata.unresolved_setting")
def test_settings_in_bindings() -> None:
    metadata = validate([timer("a", schedule="%WHEN%"), timer("b", schedule="%NOT_THERE%")], {"WHEN": "0 0 * * * *"})
    assert metadata.functions["a"].trigger["schedule"] == "0 0 * * * *"
    assert "NOT_THERE" in words(metadata)
    assert "b" not in metadata.functions


@rule("metadata.disabled")
@pytest.mark.parametrize(
    ("setting", "value", "disabled"),
    [
        ("AzureWebJobs_tick_Disabled", "1", True),
        ("AzureWebJobs_tick_Disabled", "True", True),
        ("AzureWebJobs.tick.Disabled", "true", True),
        ("AzureWebJobs_tick_Disabled", "yes", False),
        ("AzureWebJobs_tick_Disabled", "0", False),
    ],
)
def test_disabled_functions(setting: str, value: str, disabled: bool) -> None:
    assert validate([timer()], {setting: value}).functions["tick"].disabled is disabled


@rule("metadata.allow_list")
def test_the_allow_list_of_host_json() -> None:
    metadata = validate([timer("a"), timer("B"), timer("host")], {}, frozenset({"b"}))
    assert list(metadata.functions) == ["B"]
    assert metadata.problems == []


@rule("metadata.name_order")
def test_functions_are_taken_in_name_order() -> None:
    assert list(validate([timer("c"), timer("A"), timer("b")], {}).functions) == ["A", "b", "c"]


@pytest.mark.parametrize(
    ("binding", "named"),
    [
        ({"type": "blobTrigger", "direction": "IN", "name": "blob"}, "blobTrigger"),
        ({"type": "cosmosDB", "direction": "OUT", "name": "rows"}, "cosmosDB"),
        ({"type": "blob", "direction": "IN", "name": "blob"}, "blob"),
        ({"type": "serviceBusTrigger", "direction": "IN", "name": "m", "topicName": "t"}, "topicName"),
        ({"type": "serviceBusTrigger", "direction": "IN", "name": "m", "isSessionsEnabled": True}, "isSessionsEnabled"),
        ({"type": "activityTrigger", "direction": "IN", "name": "a"}, "durableRequiresGrpc"),
    ],
)
def test_what_is_not_implemented_stops_the_host(binding: dict[str, Any], named: str) -> None:
    with pytest.raises(HostStartError) as error:
        validate([timer("fine"), IndexedFunction("broken", "1", (binding,), None)], {})
    message = str(error.value)
    assert all(word in message for word in ("broken", str(binding["name"]), named, "mplemented"))
