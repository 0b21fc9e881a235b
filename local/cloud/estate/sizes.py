"""VM sizes, their families and prices: the few that our fixtures use, with values of our own in the documented shape.

Source of the shape: Azure ML 2024-10-01, VirtualMachineSize/list and Usage/list examples; facts/limits.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class VmFamily:
    """`name` as a size spells it ("standardDSv2Family"), `label` as the usage rows do ("Standard DSv2 Family")."""

    name: str
    label: str


@dataclass(frozen=True, slots=True)
class VmSize:
    name: str
    family: VmFamily
    vcpus: int
    gpus: int
    memory_gb: float
    price_usd_per_h: float
    low_priority_usd_per_h: float
    serves_endpoints: bool = True


DSV2 = VmFamily("standardDSv2Family", "Standard DSv2 Family")
FSV2 = VmFamily("standardFSv2Family", "Standard FSv2 Family")
NCSV3 = VmFamily("standardNCSv3Family", "Standard NCSv3 Family")
FAMILIES = (DSV2, FSV2, NCSV3)

SIZES = (
    VmSize("Standard_DS1_v2", DSV2, 1, 0, 3.5, 0.08, 0.016, serves_endpoints=False),
    VmSize("Standard_DS2_v2", DSV2, 2, 0, 7, 0.16, 0.032),
    VmSize("Standard_DS3_v2", DSV2, 4, 0, 14, 0.31, 0.062),
    VmSize("Standard_F4s_v2", FSV2, 4, 0, 8, 0.19, 0.038),
    VmSize("Standard_NC6s_v3", NCSV3, 6, 1, 112, 3.2, 0.64),
    VmSize("Standard_NC12s_v3", NCSV3, 12, 2, 224, 6.4, 1.28),
)
_BY_NAME = {size.name.lower(): size for size in SIZES}


def size_named(name: str) -> VmSize:
    """The size of that name in any letter case.

    Raises:
        ValueError: not one of ours; the message lists them.
    """
    if name.lower() not in _BY_NAME:
        raise ValueError(f"unknown VM size {name!r}; the local Azure knows: {', '.join(size.name for size in SIZES)}")
    return _BY_NAME[name.lower()]
