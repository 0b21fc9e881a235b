"""What an identity may do, from a file like `infra/roles.json`, so that a missing grant is found here."""

import fnmatch
import json
from collections.abc import Iterable
from pathlib import Path


class Rights:
    """Granted actions and data actions; letter case does not matter, `*` matches any text (as in Azure RBAC)."""

    def __init__(self, actions: Iterable[str], data_actions: Iterable[str] = ()) -> None:
        self._actions = tuple(action.lower() for action in actions)
        self._data_actions = tuple(action.lower() for action in data_actions)

    @classmethod
    def from_file(cls, path: Path) -> "Rights":
        """Read `{"actions": [{"action": ..., "why": ...}], "dataActions": [...]}`.

        Raises:
            ValueError: the file is not of that shape; the message names the file and what is missing.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            actions = [grant["action"] for grant in document["actions"]]
            data_actions = [grant["action"] for grant in document["dataActions"]]
        except (KeyError, TypeError, ValueError) as error:
            shape = '{"actions": [{"action": "...", "why": "..."}], "dataActions": [...]}'
            raise ValueError(f"{path}: rights must be a JSON object {shape}: {error!r}") from error
        return cls(actions, data_actions)

    def allow(self, action: str, *, data: bool = False) -> bool:
        granted = self._data_actions if data else self._actions
        return any(fnmatch.fnmatchcase(action.lower(), pattern) for pattern in granted)
