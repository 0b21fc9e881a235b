"""The app's functions as the rest of the host sees them, and how one of them is run.

`local/host/runtime.py` loads the app and implements `FunctionInvoker`; triggers and the Durable extension only use the
types here, so that neither knows Microsoft's worker library.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

Binding = Mapping[str, Any]


@dataclass(frozen=True)
class LoadedFunction:
    """One indexed function. `kind` is the type of its trigger binding, for example "activityTrigger"."""

    name: str
    kind: str
    trigger: Binding
    bindings: Sequence[Binding]
    disabled: bool = False


class FunctionFailed(Exception):
    """An invocation that raised: the exception's type name, its message, and the stack of the app."""

    def __init__(self, type: str, message: str, stack: str = "") -> None:  # noqa: A002 - the field's name in the contract
        super().__init__(f"{type}: {message}")
        self.type = type
        self.message = message
        self.stack = stack

    @classmethod
    def from_worker(cls, text: str, stack: str = "") -> Self:
        """Split the worker's "Type: message" as the Durable extension does (OutOfProcMiddleware.cs): one line."""
        type_name, separator, rest = text.partition(": ")
        if not separator:
            return cls("(unknown)", text, stack)
        return cls(type_name.rstrip(), rest.split("\n", 1)[0].rstrip(), stack)


class InvocationKilled(FunctionFailed):
    """The invocation did not end by itself: functionTimeout, or the worker process died under it.

    An activity fails by it like by any exception, or runs again (assumption durable.killed_activity); an orchestrator
    or entity is run again.
    """


class FunctionInvoker(Protocol):
    """Runs the functions of the loaded app. `functions` is keyed by the function's name as the app spells it."""

    @property
    def functions(self) -> Mapping[str, LoadedFunction]: ...

    async def invoke_text(self, function: LoadedFunction, text: str) -> str | None:
        """Run `function` with `text` as its trigger's data; its return value as text, None when it returned nothing.

        Raises:
            InvocationKilled: functionTimeout or the death of the worker ended it.
            FunctionFailed: the function raised.
        """
        ...
