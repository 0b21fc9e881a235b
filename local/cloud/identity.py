"""The managed identity endpoint of App Service and Functions, and the check of the tokens that it issued.

Source: learn.microsoft.com, "How to use managed identities for App Service and Azure Functions", REST endpoint
reference (`IDENTITY_ENDPOINT`, `X-IDENTITY-HEADER`, api-version 2019-08-01), and facts/arm.md section 3.
Tokens live in real time whatever clock the rest runs on, because azure-identity judges `expires_on` by the wall clock.
"""

import base64
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

from local.cloud.arm_errors import ArmError, unauthorized
from local.cloud.routing import Call, Principal, Reply

API_VERSION = "2019-08-01"
TENANT_ID = "4c2a7d70-5f0e-4d57-9a1e-0c6a3f1b7e01"
SIGNATURE = "bG9jYWwtYXp1cmU"
SYSTEM_ASSIGNED = Principal("0f6f1b5e-1d60-4b39-8a55-2f5d9c3c1a11", "7d3a4c38-91b7-46b2-a7a0-5cf0de2f6b12")


class ManagedIdentity:
    """Issues tokens to whoever knows the header's secret, and recognises them again.

    `user_assigned` maps the client ids that a caller may ask for to their object ids. `lifetime_s` is how long a new
    token is good; `expire_tokens()` is the fault "the token that you hold is no longer good".
    """

    def __init__(
        self,
        secret: str,
        user_assigned: Mapping[str, str] | None = None,
        *,
        lifetime_s: float = 86_400,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = secret
        self.lifetime_s = lifetime_s
        self._wall_clock = wall_clock
        self._identities = {"": SYSTEM_ASSIGNED}
        self._identities |= {cid: Principal(object_id, cid) for cid, object_id in (user_assigned or {}).items()}
        self._serial = 0
        self._expired_up_to = 0

    def expire_tokens(self) -> None:
        """Every token issued so far is refused from now on, as if it had run out."""
        self._expired_up_to = self._serial

    def issue(self, call: Call) -> Reply:
        """Answer `GET ?api-version=2019-08-01&resource=...[&client_id=...]`.

        Raises:
            ArmError: 401 wrong header; 400 wrong parameters or an identity that the app does not have.
        """
        if call.headers.get("X-IDENTITY-HEADER") != self.secret:
            raise ArmError(401, "Unauthorized", "The X-IDENTITY-HEADER is missing or wrong.")
        resource = call.query.get("resource", "").rstrip("/")
        if call.query.get("api-version") != API_VERSION or not resource:
            raise ArmError(400, "InvalidRequest", f"api-version={API_VERSION} and resource are required.")
        client_id = call.query.get("client_id", "")
        if client_id not in self._identities:
            raise ArmError(
                400, "InvalidRequest", f"No managed identity with client_id '{client_id}' is assigned to this app."
            )
        return Reply(200, self._token(self._identities[client_id], resource))

    def authenticate(self, call: Call, audiences: tuple[str, ...]) -> Principal:
        """Who holds the bearer token of a request.

        Raises:
            ArmError: 401 with the code that Resource Manager uses.
        """
        scheme, _, token = call.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing.")
        claims = self._claims(token)
        if claims["aud"] not in audiences:
            message = f"The access token has the wrong audience '{claims['aud']}'; accepted: {audiences[0]}."
            raise unauthorized("InvalidAuthenticationTokenAudience", message)
        if claims["exp"] <= self._wall_clock() or claims["serial"] <= self._expired_up_to:
            raise unauthorized("ExpiredAuthenticationToken", "The access token expiry UTC time has passed.")
        return Principal(claims["oid"], claims["appid"])

    def _token(self, principal: Principal, resource: str) -> dict[str, Any]:
        self._serial += 1
        expires_on = int(self._wall_clock() + self.lifetime_s)
        claims = {
            "aud": resource,
            "iss": f"https://sts.windows.net/{TENANT_ID}/",
            "tid": TENANT_ID,
            "oid": principal.object_id,
            "appid": principal.client_id,
            "exp": expires_on,
            "serial": self._serial,
        }
        return {
            "access_token": f"{_encoded({'typ': 'JWT', 'alg': 'none'})}.{_encoded(claims)}.{SIGNATURE}",
            "expires_on": str(expires_on),
            "resource": resource,
            "token_type": "Bearer",
            "client_id": principal.client_id,
        }

    @staticmethod
    def _claims(token: str) -> dict[str, Any]:
        try:
            _, payload, signature = token.split(".")
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
            if signature != SIGNATURE or not {"aud", "exp", "oid", "appid", "serial"} <= set(claims):
                raise ValueError("not issued here")
        except (ValueError, TypeError) as error:
            raise unauthorized("InvalidAuthenticationToken", "The access token is invalid.") from error
        return dict(claims)


def _encoded(document: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()
