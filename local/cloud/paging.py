"""Lists in pages, as Resource Manager gives them: `value` and `nextLink`."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from local.cloud.arm_errors import bad_request
from local.cloud.routing import Call


def paged(call: Call, items: Sequence[Any], page: int, most: int | None = None) -> dict[str, Any]:
    """One page of `items`, from `$skip`, of `$top` or `page` items and never more than `most`.

    Raises:
        ArmError: 400 if $skip or $top is not a number.
    """
    try:
        skip = int(call.query.get("$skip", 0))
        top = int(call.query.get("$top", page))
    except ValueError as error:
        raise bad_request("$skip and $top must be whole numbers.") from error
    if skip < 0 or top < 1:
        raise bad_request("$skip must be at least 0 and $top at least 1.")
    top = min(top, most or page)
    answer: dict[str, Any] = {"value": list(items[skip : skip + top])}
    if skip + top < len(items):
        query = urlencode(dict(call.query) | {"$skip": str(skip + top)})
        answer["nextLink"] = f"https://{call.host}{call.path}?{query}"
    return answer
