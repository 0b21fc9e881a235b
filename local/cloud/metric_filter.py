"""The filter of a metrics query: `EntityName eq 'a' or EntityName eq 'b' and State eq '*'`.

Source: metrics:getBatch 2024-02-01, parameter `filter` (also in the docstring of azure-monitor-querymetrics): `and`
separates dimensions, `or` separates values of one dimension and may not mix two.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

_TERM = re.compile(r"\s*(?P<name>[\w .]+?)\s+eq\s+'(?P<value>[^']*)'\s*", re.IGNORECASE)
ANY = "*"


@dataclass(frozen=True, slots=True)
class MetricFilter:
    """Accepted values by lower-case dimension name; `*` accepts all. Every dimension named splits the series."""

    values: Mapping[str, frozenset[str]]

    def accepts(self, dimensions: Mapping[str, str]) -> bool:
        """`dimensions` have lower-case names; values compare without regard to letter case."""
        return all(
            name in dimensions and (ANY in accepted or dimensions[name].lower() in accepted)
            for name, accepted in self.values.items()
        )


def parse_filter(text: str) -> MetricFilter:
    """Raises: ValueError saying what is wrong with the filter."""
    values: dict[str, frozenset[str]] = {}
    for group in re.split(r"\s+and\s+", text.strip(), flags=re.IGNORECASE) if text.strip() else []:
        terms = [_TERM.fullmatch(term) for term in re.split(r"\s+or\s+", group, flags=re.IGNORECASE)]
        names = {term["name"].lower() if term else "" for term in terms}
        if "" in names:
            raise ValueError(f"not understood: {group!r}; expected: Dimension eq 'value'")
        if len(names) > 1:
            raise ValueError(f"'or' may not separate two dimensions: {group!r}")
        values[names.pop()] = frozenset(term["value"].lower() for term in terms if term)
    return MetricFilter(values)
