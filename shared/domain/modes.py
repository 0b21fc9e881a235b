"""How far a loop may go: off, observe (decide and record), enforce (act)."""

from typing import Literal

Mode = Literal["off", "observe", "enforce"]

_CAUTION: tuple[Mode, ...] = ("off", "observe", "enforce")


def most_cautious(*modes: Mode) -> Mode:
    """The mode that allows least: a loop's and a target's mode limit each other."""
    return min(modes, key=_CAUTION.index)
