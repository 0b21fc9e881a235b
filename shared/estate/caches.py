"""What each process keeps for longer than a few seconds, and how all of them are made to drop it.

Each of these caches has a generation in Tables, which every process looks at every few seconds. What is not listed
needs none: the policy documents are compared by ETag every `policy_max_age_s`; controls, state and claims are read
fresh; measurements carry their age and are judged by it.
"""

from collections.abc import Callable
from dataclasses import dataclass

from shared.estate import autoscale, quota
from shared.estate.reader import EstateReader
from shared.estate.secrets import EVERYTHING
from shared.records.generations import GenerationWatch

PREFIX = "cache:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """One cache: what it keeps, and for how many seconds at most while its source answers."""

    name: str
    keeps: str
    for_s: float

    @property
    def generation(self) -> str:
        return PREFIX + self.name


def watch_caches(watch: GenerationWatch, reader: EstateReader, secret_max_age_s: float) -> tuple[Cache, ...]:
    """Every cache of this process; those of the estate's readers drop from now on what the watch says is old."""

    def dropping(cache: Cache, drop: Callable[[], None]) -> Cache:
        watch.on_change(cache.generation, lambda _: drop())
        return cache

    limits, settings = reader.quota, reader.autoscale
    secrets = Cache(name="secrets", keeps="values of secrets, last good ones too", for_s=secret_max_age_s)
    assert secrets.generation == EVERYTHING  # `SecretReader` drops its own
    return (
        dropping(Cache(name="autoscale", keeps="autoscale settings", for_s=autoscale.KEEP_S), settings.forget),
        dropping(Cache(name="quota", keeps="vCPU quotas and usages", for_s=quota.KEEP_USAGES_S), limits.forget_usages),
        secrets,
        dropping(Cache(name="vm_sizes", keeps="VM sizes and prices", for_s=quota.KEEP_SIZES_S), limits.forget_sizes),
    )
