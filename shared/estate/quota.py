"""How many more instances Azure ML's quota allows, and what one costs an hour.

Quota is counted in vCPUs, per VM family and in total per region; online deployments, clusters and compute instances
draw on the same. Requests, below
/subscriptions/{s}/providers/Microsoft.MachineLearningServices/locations/{region}:
* `headroom`, `usages`: GET /usages
* `headroom`, `price_usd_per_hour`, `sizes`: GET /vmSizes
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from shared.domain import INSTANCES_PER_DEPLOYMENT, Fresh, Measurement, Missing
from shared.estate import api
from shared.estate.arm import Arm
from shared.estate.cache import Cached
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmFailure

SOURCE = "azure ml usages"
KEEP_USAGES_S = 60.0
KEEP_SIZES_S = 86_400.0

_FAMILY_TYPE = "microsoft.machinelearningservices/vmfamily/usages"
_TOTAL_TYPE = "microsoft.machinelearningservices/dedicatedcores/usages"
_PREFIX = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/locations/{region}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSize:
    """One VM size. `price_usd_per_hour`: standard tier, Linux, list price; None if Azure names none in USD."""

    name: str
    family: str
    vcpus: int
    price_usd_per_hour: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """vCPUs in use and allowed; `limit` None: no limit of its own."""

    name: str
    used: int
    limit: int | None

    @property
    def free(self) -> int | None:
        return None if self.limit is None else max(0, self.limit - self.used)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usages:
    """A region's usages: `families` by letters and digits of the family's name, `total` of all dedicated vCPUs."""

    families: Mapping[str, Usage]
    total: Usage | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Headroom:
    """`instances` more fit; `limited_by` names the quota that says so, `caveat` what could not be checked."""

    instances: int
    limited_by: str
    caveat: str = ""


class QuotaReader:
    """Usages are kept for a minute, sizes for a day, per subscription and region."""

    def __init__(self, arm: Arm, now: Callable[[], datetime]) -> None:
        self._arm = arm
        self._usages = Cached(self._load_usages, KEEP_USAGES_S, now)
        self._sizes = Cached(self._load_sizes, KEEP_SIZES_S, now)

    def forget_usages(self) -> None:
        """Read the usages anew that are asked from now on."""
        self._usages.forget()

    def forget_sizes(self) -> None:
        """Read the sizes anew that are asked from now on."""
        self._sizes.forget()

    async def headroom(self, view: DeploymentView, reserve_pct: float, *, fresh: bool = False) -> Measurement:
        """Instances like the deployment's that quota still allows on top; its source names the quota that limits.

        `fresh`: the usages are read now, as an act must. Missing, with the reason, if nobody can tell.
        """
        if view.on_kubernetes:
            most = float(INSTANCES_PER_DEPLOYMENT)
            return Fresh(value=most, at=view.read_at, source="kubernetes: its cluster limits it, not Azure ML's quota")
        if not view.region:
            return Missing(reason=f"{view.id} has no location, so its region's quota is not known", source=SOURCE)
        try:
            at, usages = await self._usages.get(_place(view), fresh=fresh)
            size = await self._size_of(view)
        except ArmFailure as failure:
            return Missing(reason=str(failure), source=SOURCE)
        if size is None:
            return Missing(reason=f"Azure ML offers no VM size {view.instance_type!r} in {view.region}", source=SOURCE)
        room = headroom_instances(size, usages, reserve_pct)
        if room is None:
            return Missing(reason=f"neither the family {size.family!r} nor the total has a usage row", source=SOURCE)
        source = f"{SOURCE}: {room.limited_by}" + (f" ({room.caveat})" if room.caveat else "")
        return Fresh(value=float(room.instances), at=at, source=source)

    async def price_usd_per_hour(self, view: DeploymentView) -> float | None:
        """Of one running instance: list price, standard tier, Linux; None if it is not known."""
        if view.on_kubernetes or not view.region:
            return None
        try:
            size = await self._size_of(view)
        except ArmFailure:
            return None
        return size.price_usd_per_hour if size else None

    async def sizes(self, subscription: str, region: str) -> Mapping[str, VmSize]:
        """The sizes that the region offers to Azure ML, by lower-cased name.

        Raises:
            ArmFailure: the list could not be read.
        """
        return (await self._sizes.get((subscription.lower(), region)))[1]

    async def usages(self, subscription: str, region: str) -> Usages:
        """The region's usages.

        Raises:
            ArmFailure: the list could not be read.
        """
        return (await self._usages.get((subscription.lower(), region)))[1]

    async def _size_of(self, view: DeploymentView) -> VmSize | None:
        sizes = await self.sizes(view.id.subscription, view.region)
        return sizes.get(view.instance_type.lower())

    async def _load_usages(self, key: tuple[str, str]) -> Usages:
        rows = await self._rows(key, "usages")
        return usages_of(rows)

    async def _load_sizes(self, key: tuple[str, str]) -> Mapping[str, VmSize]:
        rows = await self._rows(key, "vmSizes")
        return {size.name.lower(): size for size in map(_size, rows) if size is not None}

    async def _rows(self, key: tuple[str, str], what: str) -> list[Mapping[str, Any]]:
        subscription, region = key
        path = f"{_PREFIX.format(subscription=subscription, region=region)}/{what}"
        return [row async for page in self._arm.pages(path, api.MACHINE_LEARNING) for row in page.get("value") or ()]


def _place(view: DeploymentView) -> tuple[str, str]:
    return view.id.subscription.lower(), view.region


def headroom_instances(size: VmSize, usages: Usages, reserve_pct: float) -> Headroom | None:
    """How many more instances fit: the largest n whose vCPUs, with the reserve, are free in family and total.

    `reserve_pct` (20 for Azure ML) is what a managed deployment needs on top while it updates. None if no usage row
    applies at all. Where the family's row cannot be found, the total alone decides and the caveat says so.
    """
    family = usages.families.get(dedicated_family_key(size.family))
    rows = [row for row in (family, usages.total) if row is not None]
    if not rows:
        return None
    caveat = "" if family else f"family {size.family!r} has no usage row: checked against the total only"
    limited = [(instances_in(row.free, size.vcpus, reserve_pct), row.name) for row in rows if row.free is not None]
    unlimited = (INSTANCES_PER_DEPLOYMENT, f"no quota limits; {INSTANCES_PER_DEPLOYMENT} instances a deployment")
    instances, limited_by = min([unlimited, *limited])
    return Headroom(instances=instances, limited_by=limited_by, caveat=caveat)


def instances_in(free_vcpus: int, vcpus: int, reserve_pct: float) -> int:
    """The largest n with ceil(n x vcpus x (1 + reserve)) <= free_vcpus, in exact arithmetic."""
    each = vcpus * (100 + Fraction(str(reserve_pct))) / 100
    return int(free_vcpus / each)


def dedicated_family_key(family: str) -> str:
    """ "standardDSv2Family" as the usages spell it, by letters and digits only (assumption quota.family_names_join)."""
    return _letters_and_digits(family) + "clusterdedicatedvcpus"


def usages_of(rows: Iterable[Mapping[str, Any]]) -> Usages:
    """The regional rows; rows of single workspaces and computes repeat what the regional ones hold."""
    families: dict[str, Usage] = {}
    total: Usage | None = None
    for row in rows:
        kind = str(row.get("type", "")).lower()
        usage = _usage(row) if kind in (_FAMILY_TYPE, _TOTAL_TYPE) else None
        if usage is None:
            continue
        if kind == _TOTAL_TYPE:
            total = usage
        else:
            families[_letters_and_digits(usage.name)] = usage
    return Usages(families=families, total=total)


def _usage(row: Mapping[str, Any]) -> Usage | None:
    used, limit, name = row.get("currentValue"), row.get("limit"), row.get("name") or {}
    if not isinstance(used, int) or not isinstance(limit, int):
        return None
    return Usage(name=str(name.get("value", "")), used=used, limit=None if limit < 0 else limit)


def _size(row: Mapping[str, Any]) -> VmSize | None:
    name, vcpus = row.get("name"), row.get("vCPUs")
    if not name or not isinstance(vcpus, int) or vcpus < 1:
        return None
    price = _linux_price_usd(row.get("estimatedVMPrices") or {})
    return VmSize(name=str(name), family=str(row.get("family", "")), vcpus=vcpus, price_usd_per_hour=price)


def _linux_price_usd(prices: Mapping[str, Any]) -> float | None:
    if prices.get("billingCurrency") != "USD" or prices.get("unitOfMeasure") != "OneHour":
        return None
    values: Sequence[Mapping[str, Any]] = prices.get("values") or ()
    for value in values:
        if value.get("osType") == "Linux" and value.get("vmTier") == "Standard":
            price = value.get("retailPrice")
            return float(price) if isinstance(price, int | float) else None
    return None


def _letters_and_digits(text: str) -> str:
    return "".join(character for character in text.lower() if character.isalnum())
