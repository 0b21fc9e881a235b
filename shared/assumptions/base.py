"""What an assumption is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Assumption:
    """One belief about Azure.

    `values[0]` is not special; `default` is what the local Azure does unless told otherwise. `acts` marks those that
    touch an action: the crash tests run under a pairwise covering array of them. `probe` says how reading settles it,
    if it can.
    """

    name: str
    question: str
    values: tuple[str, ...]
    default: str
    source: str
    breaks_if_wrong: str
    acts: bool = False
    probe: str = ""

    def __post_init__(self) -> None:
        if self.default not in self.values or len(set(self.values)) < 2:
            raise ValueError(f"{self.name}: the default must be one of at least two different values")
