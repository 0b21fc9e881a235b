"""Who calls: what App Service vouches for, and what a caller merely states."""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

PRINCIPAL, PRINCIPAL_NAME = "x-ms-client-principal", "x-ms-client-principal-name"
# Claims in which a sign-in names the person (assumption auth.principal_name). Not `email`: nobody verified it.
_NAMES = (
    "preferred_username",
    "upn",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
)


def signed_in(headers: Mapping[str, str]) -> frozenset[str]:
    """The addresses, in lower case, of the caller whom App Service has signed in; empty if nobody is.

    Only where App Service authentication is on: it removes these headers from what comes from outside and sets them
    itself. Elsewhere anybody can send them.
    """
    found = {headers.get(PRINCIPAL_NAME, "")}
    try:
        principal: Any = json.loads(base64.b64decode(headers.get(PRINCIPAL, ""), validate=True))
    except (binascii.Error, ValueError):
        principal = None
    claims = principal.get("claims") if isinstance(principal, dict) else None
    for claim in claims if isinstance(claims, list) else ():
        if isinstance(claim, dict) and claim.get("typ") in _NAMES and isinstance(claim.get("val"), str):
            found.add(claim["val"])
    return frozenset(name.strip().lower() for name in found if "@" in name)
