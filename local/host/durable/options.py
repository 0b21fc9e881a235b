"""The part of host.json's `durableTask` section that the local host honours (DurableTaskOptions.cs).

Other properties are ignored, as the real host ignores what it does not know.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from local.host.durable.versions import Versioning
from local.host.errors import HostStartError

_HUB_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{2,44}")


class OptionsError(HostStartError):
    """A value at which the real host does not start."""


@dataclass(frozen=True)
class DurableOptions:
    hub_name: str
    connection_name: str
    max_activities: int
    max_orchestrators: int
    max_entities: int
    max_grpc_message_bytes: int
    versioning: Versioning

    @classmethod
    def parse(cls, section: Mapping[str, Any], cores: int) -> Self:
        """Read the section; keys ignore case, `%SETTING%` is already resolved, limits default to 10 a core."""
        options = _lower(section)
        storage = _lower(options.get("storageprovider") or {})
        hub_name = str(options.get("hubname") or "TestHubName")  # Core Tools' default
        if not _HUB_NAME.fullmatch(hub_name):
            raise OptionsError(
                f"host.json: extensions.durableTask.hubName '{hub_name}' must be 3 to 45 letters and digits, "
                "beginning with a letter."
            )
        return cls(
            hub_name=hub_name,
            connection_name=str(storage.get("connectionname") or storage.get("connectionstringname") or "Storage"),
            max_activities=_limit(options, "maxConcurrentActivityFunctions", 10 * cores),
            max_orchestrators=_limit(options, "maxConcurrentOrchestratorFunctions", 10 * cores),
            max_entities=_limit(options, "maxConcurrentEntityFunctions", 10 * cores),
            max_grpc_message_bytes=_limit(options, "maxGrpcMessageSizeInBytes", 4 * 1024 * 1024),
            versioning=Versioning.parse(options),
        )


def _lower(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in section.items()}


def _limit(options: Mapping[str, Any], name: str, default: int) -> int:
    value = options.get(name.lower(), default)
    if isinstance(value, bool) or not isinstance(value, int) or value <= 0:
        raise OptionsError(f"host.json: extensions.durableTask.{name} is {value!r}; it must be a number above 0.")
    return value
