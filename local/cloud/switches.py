"""The assumptions of `shared/assumptions/` as live switches: read at each use, so a test can turn them any time."""

from collections.abc import Mapping

from shared.assumptions import checked


class Switches:
    """Current value of every assumption. Unknown names and values are refused with the list of the known ones."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        self._values = checked(dict(overrides or {}))

    def __getitem__(self, name: str) -> str:
        return self._values[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.update({name: value})

    def update(self, changes: Mapping[str, str]) -> None:
        """Turn several switches, all or none.

        Raises:
            ValueError: a name or a value is not in the register.
        """
        self._values = checked(self._values | dict(changes))

    def seconds(self, name: str) -> float:
        """The value of an assumption that is a number of seconds."""
        return float(self._values[name])

    def yes(self, name: str) -> bool:
        return self._values[name] == "yes"

    def as_dict(self) -> dict[str, str]:
        return dict(self._values)
