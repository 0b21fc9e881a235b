"""What we believe of Azure and could not check where this was built: the one table.

The local Azure (for those of `durable.` the local host, for those of `auth.` the tests, which send what App Service
would) takes each entry as a switch, the suites pass under every value, `docs/assumptions.md` is generated from this
table (`python -m shared.assumptions`), and `python -m shared.probe` settles on a real subscription those that
reading alone can settle. An unverified belief that is not here is a defect.
"""

from shared.assumptions import durable, messaging, monitor, people, resource_manager, vault
from shared.assumptions.base import Assumption

__all__ = ["BY_NAME", "REGISTER", "Assumption", "checked", "defaults", "with_values"]

REGISTER: tuple[Assumption, ...] = (
    *resource_manager.ASSUMPTIONS,
    *messaging.ASSUMPTIONS,
    *monitor.ASSUMPTIONS,
    *durable.ASSUMPTIONS,
    *vault.ASSUMPTIONS,
    *people.ASSUMPTIONS,
)

BY_NAME = {assumption.name: assumption for assumption in REGISTER}


def defaults() -> dict[str, str]:
    """Every assumption at its default."""
    return {assumption.name: assumption.default for assumption in REGISTER}


def with_values(**overrides: str) -> dict[str, str]:
    """Every assumption, some at another value (dots in names are written as double underscores)."""
    return checked({name.replace("__", "."): value for name, value in overrides.items()})


def checked(overrides: dict[str, str]) -> dict[str, str]:
    """`overrides` completed with the defaults; names every unknown name and value at once.

    Raises:
        ValueError: a name or a value is not in the register.
    """
    problems = []
    for name, value in overrides.items():
        if name not in BY_NAME:
            problems.append(f"unknown assumption {name!r}; known: {', '.join(sorted(BY_NAME))}")
        elif value not in BY_NAME[name].values:
            problems.append(f"{name}: unknown value {value!r}; possible: {', '.join(BY_NAME[name].values)}")
    if problems:
        raise ValueError("; ".join(problems))
    return defaults() | overrides
