"""The two ways in which an app can be wrong: so that the host stops, or so that one function does not run."""

from dataclasses import dataclass


class HostStartError(RuntimeError):
    """The host cannot start; the message says what was wrong, where, and what to do."""


@dataclass(frozen=True)
class FunctionProblem:
    """Why one function does not run while the others do. It is logged and shown by `admin/functions/{name}/status`."""

    function: str
    words: str

    def __str__(self) -> str:
        return f"The '{self.function}' function is in error: {self.words}"
