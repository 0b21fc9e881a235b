"""Which indexed functions may run: the host's checks of names, bindings and settings (facts/hostrules.md §1).

A broken rule puts one function in error and leaves the others running. A trigger or binding that this host does not
implement stops it: running without it would look like an app that works.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local.host.errors import FunctionProblem, HostStartError
from local.host.functions import LoadedFunction
from local.host.settings import UnresolvedSettingError, is_true, resolve
from local.host.worker import IndexedFunction, RetryPolicy

FUNCTION_NAME = re.compile(r"(?!host$)[a-z][a-z0-9_\-]{0,127}", re.IGNORECASE)
ARGUMENT_NAME = re.compile(r"(?!.*__)[A-Za-z_][A-Za-z0-9_]{0,127}|\$return")
DURABLE_TRIGGERS = ("orchestrationTrigger", "activityTrigger", "entityTrigger")
TRIGGERS = ("httpTrigger", "timerTrigger", "eventGridTrigger", "serviceBusTrigger", "queueTrigger", *DURABLE_TRIGGERS)
INPUTS = ("durableClient",)
OUTPUTS = ("http", "serviceBus", "queue")
REQUIRES_GRPC = "durableRequiresGrpc"
_DIRECTIONS = ("in", "out", "inout")
_TOPIC = ("topicName", "subscriptionName")


@dataclass
class Metadata:
    """What the host runs, by name; ids for the worker; retry policies; and what is wrong with the rest."""

    functions: dict[str, LoadedFunction] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    retries: dict[str, RetryPolicy] = field(default_factory=dict)
    problems: list[FunctionProblem] = field(default_factory=list)

    def drop(self, problem: FunctionProblem) -> None:
        """Put a function in error."""
        self.problems.append(problem)
        self.functions.pop(problem.function, None)


def is_trigger(binding: Mapping[str, Any]) -> bool:
    return str(binding.get("type", "")).lower().endswith("trigger")


def validate(
    indexed: Sequence[IndexedFunction], settings: Mapping[str, str], allowed: frozenset[str] | None = None
) -> Metadata:
    """Check every function, in name order as the host does.

    Raises:
        HostStartError: a trigger or binding is not implemented.
    """
    metadata = Metadata()
    seen: set[str] = set()
    for function in sorted(indexed, key=lambda one: one.name.lower()):
        if allowed is not None and function.name.lower() not in allowed:
            continue
        words = list(problems_of(function))
        if function.name.lower() in seen:
            words.insert(0, f"the name {function.name!r} is taken: names must be unique ignoring case")
        seen.add(function.name.lower())
        _check_implemented(function)
        _add(metadata, function, words, settings)
    return metadata


def _add(metadata: Metadata, function: IndexedFunction, words: list[str], settings: Mapping[str, str]) -> None:
    try:
        bindings = [_resolved(binding, settings) for binding in function.bindings]
    except UnresolvedSettingError as error:
        words.append(str(error))
    if words:
        metadata.problems.extend(FunctionProblem(function.name, text) for text in words)
        return
    trigger = next(binding for binding in bindings if is_trigger(binding))
    metadata.functions[function.name] = LoadedFunction(
        name=function.name,
        kind=_canonical_type(trigger),
        trigger=trigger,
        bindings=bindings,
        disabled=is_disabled(function.name, settings),
    )
    metadata.ids[function.name] = function.id
    if function.retry is not None:
        metadata.retries[function.name] = function.retry


def _resolved(binding: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    resolved: dict[str, Any] = resolve(binding, settings)
    return resolved


def is_disabled(name: str, settings: Mapping[str, str]) -> bool:
    """By app setting; both spellings, though Azure on Linux only knows the one with underscores."""
    return any(is_true(settings.get(key)) for key in (f"AzureWebJobs.{name}.Disabled", f"AzureWebJobs_{name}_Disabled"))


def problems_of(function: IndexedFunction) -> Iterator[str]:
    """In words: what the host finds wrong with one function's names, directions and trigger."""
    if not FUNCTION_NAME.fullmatch(function.name):
        yield (
            f"the name {function.name!r} is not valid: a letter, then letters, digits, '_' or '-', at most 128, "
            "and not 'host'"
        )
    seen: set[str] = set()
    for binding in function.bindings:
        name = str(binding.get("name", ""))
        yield from _binding_problems(binding, name)
        if name.lower() in seen:
            yield f"two bindings are named {name!r}: names must be unique ignoring case"
        seen.add(name.lower())
    triggers = [str(binding["name"]) for binding in function.bindings if is_trigger(binding)]
    if len(triggers) != 1:
        yield f"it has {len(triggers)} trigger bindings ({', '.join(triggers) or 'none'}): exactly one is needed"
    if function.retry is not None and function.retry.max_count < -1:
        yield f"retry metadata: max_retry_count must be -1 (for ever) or more, not {function.retry.max_count}"


def _binding_problems(binding: Mapping[str, Any], name: str) -> Iterator[str]:
    direction = str(binding.get("direction", "in")).lower()
    if not ARGUMENT_NAME.fullmatch(name):
        yield f"the binding name {name!r} is not valid: letters, digits and '_', no digit first, at most 128, no '__'"
    if direction not in _DIRECTIONS:
        yield f"the binding {name!r} has direction {direction!r}: in, out or inout"
    if name == "$return" and direction != "out":
        yield f"'$return' must have direction 'out', not {direction!r}"


def _canonical_type(binding: Mapping[str, Any]) -> str:
    known = {name.lower(): name for name in (*TRIGGERS, *INPUTS, *OUTPUTS)}
    kind = str(binding.get("type", ""))
    return known.get(kind.lower(), kind)


def _check_implemented(function: IndexedFunction) -> None:
    for binding in function.bindings:
        kind = _canonical_type(binding)
        out = str(binding.get("direction", "in")).lower() == "out"
        implemented = TRIGGERS if is_trigger(binding) else OUTPUTS if out else INPUTS
        if kind not in implemented:
            role = "trigger" if is_trigger(binding) else "output binding" if out else "input binding"
            raise HostStartError(
                f"Function '{function.name}': the {role} '{binding.get('name')}' of type '{kind}' is not implemented "
                f"by the local host. Implemented as {role}: {', '.join(implemented)}."
            )
        _check_service_bus(function.name, binding, kind)
        _check_durable(function.name, binding, kind)


def _check_service_bus(function: str, binding: Mapping[str, Any], kind: str) -> None:
    if not kind.lower().startswith("servicebus"):
        return
    refused = [key for key in _TOPIC if binding.get(key)]
    refused += ["isSessionsEnabled"] if is_true(str(binding.get("isSessionsEnabled", ""))) else []
    if refused:
        raise HostStartError(
            f"Function '{function}': binding '{binding.get('name')}' of type '{kind}' uses {', '.join(refused)}, which "
            "the local host does not implement. Implemented: Service Bus queues without sessions."
        )


def _check_durable(function: str, binding: Mapping[str, Any], kind: str) -> None:
    if kind in (*DURABLE_TRIGGERS, *INPUTS) and not is_true(str(binding.get(REQUIRES_GRPC, ""))):
        raise HostStartError(
            f"Function '{function}': binding '{binding.get('name')}' of type '{kind}' has no {REQUIRES_GRPC}: true, so "
            "it asks for the legacy protocol, which the local host does not implement. Implemented: "
            "azure-functions-durable 2."
        )
