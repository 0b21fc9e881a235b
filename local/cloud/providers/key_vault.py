"""Key Vault's secrets, as their readers see them; people change them through the control API.

Source: azure-rest-api-specs, keyvault data plane, Secrets 7.4 to 2026-04-01 (GetSecret, GetSecretVersions), the
authentication page (challenge), the service-limits page (throttling), facts/arm.md section 3.
"""

import base64
import math
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError
from local.cloud.estate import Estate, SecretVersion, Vault
from local.cloud.identity import TENANT_ID
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches
from local.cloud.throttling import BucketSizes

HOST = "*.vault.azure.net"
AUDIENCES = ("https://vault.azure.net",)
API_VERSIONS = ("7.4", "7.5", "7.6", "2025-07-01", "2026-04-01")
ACTION = "Microsoft.KeyVault/vaults/secrets"
PAGE = 25
CLAIMS = base64.b64encode(b'{"access_token":{"nbf":{"essential":true,"value":"1700000000"}}}').decode()
SPEC = "azure-rest-api-specs keyvault Secrets 2026-04-01"


class VaultError(ArmError):
    """Key Vault's error document, which carries the reason as an inner error."""

    def __init__(
        self, status: int, code: str, message: str, inner: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(status, code, message, headers)
        self.inner = inner

    def body(self) -> dict[str, Any]:
        inner = {"innererror": {"code": self.inner}} if self.inner else {}
        return {"error": {"code": self.code, "message": self.message, **inner}}


class KeyVault:
    def __init__(self, estate: Estate, clock: Clock, sizes: BucketSizes, switches: Switches) -> None:
        self._switches = switches
        self._estate = estate
        self._clock = clock
        self._limit, self._window = sizes.vault_reads, timedelta(seconds=sizes.vault_window_s)
        self._used: dict[str, tuple[datetime, int]] = {}

    def routes(self) -> list[Route]:
        return [
            self._route("/secrets/{secret}/versions", self.list_versions, "readMetadata", "GetSecretVersions"),
            self._route("/secrets/{secret}", self.get, "getSecret", "GetSecret"),
            self._route("/secrets/{secret}/", self.get, "getSecret", "GetSecret"),
            self._route("/secrets/{secret}/{version}", self.get, "getSecret", "GetSecret"),
        ]

    def get(self, call: Call) -> Reply:
        """One version, or the newest."""
        vault = self._admit(call)
        versions = _versions(vault, call)
        wanted = call.params.get("version")
        found = versions[-1] if wanted is None else next((one for one in versions if one.id == wanted), None)
        if found is None:
            raise _not_found(f"{call.params['secret']}/{wanted}")
        if not found.enabled:
            message = "Operation get is not allowed on a disabled secret."
            raise VaultError(403, "Forbidden", message, "SecretDisabled")
        return Reply(200, {"value": found.value} | _item(vault, call.params["secret"], found))

    def list_versions(self, call: Call) -> Reply:
        """All versions, disabled and expired ones too, in no promised order, without values."""
        vault = self._admit(call)
        versions = sorted(_versions(vault, call), key=lambda one: one.id)
        first = int(call.query.get("$skiptoken", "0"))
        page = min(int(call.query.get("maxresults", PAGE)), PAGE)
        shown = [_item(vault, call.params["secret"], one) for one in versions[first : first + page]]
        more = first + page < len(versions)
        query = f"api-version={call.query['api-version']}&$skiptoken={first + page}&maxresults={page}"
        return Reply(200, {"value": shown, "nextLink": f"https://{call.host}{call.path}?{query}" if more else None})

    def _route(self, template: str, handler: Any, action: str, operation: str) -> Route:
        return Route(
            method="GET",
            host=HOST,
            template=template,
            api_versions=API_VERSIONS,
            action=f"{ACTION}/{action}/action",
            data=True,
            audiences=AUDIENCES,
            arm_throttled=False,
            refusal=self._refusal,
            handler=handler,
            source=f"{SPEC} {operation}",
        )

    def _refusal(self, call: Call, error: ArmError) -> ArmError:
        """401 with the challenge that names the audience; 403 in Key Vault's words."""
        if error.status == 401:
            challenge = f'Bearer authorization="https://login.windows.net/{TENANT_ID}", resource="{AUDIENCES[0]}"'
            message = "AKV10000: Request is missing a Bearer or PoP token."
            if call.headers.get("Authorization"):
                message = f"AKV10032: the token is not accepted: {error.message}"
            challenges = self._switches["vault.revoked_token"] == "claims_challenge"
            if challenges and error.code == "ExpiredAuthenticationToken":  # continuous access evaluation
                challenge += f', error="insufficient_claims", claims="{CLAIMS}"'
            return VaultError(401, "Unauthorized", message, headers={"WWW-Authenticate": challenge})
        if error.status == 403:
            action = re.search(r"action '([^']+)'", error.message)
            message = (
                "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or "
                "role definitions were changed recently, please observe propagation time.\r\nCaller: "
                f"appid={call.principal.client_id};oid={call.principal.object_id}\r\nAction: "
                f"'{action.group(1) if action else ''}'\r\nResource: '{call.path}'\r\nAssignment: (not found)\r\n"
                f"Vault: {_vault_name(call)}\r\n"
            )
            return VaultError(403, "Forbidden", message, "ForbiddenByRbac")
        return error

    def _admit(self, call: Call) -> Vault:
        """The vault of the call's host, if it still answers in this window."""
        try:
            vault = self._estate.vault(_vault_name(call))
        except KeyError as error:  # by the assumption vault.deleted_address: else it has no address
            raise VaultError(404, "VaultNotFound", f"The vault '{_vault_name(call)}' was not found.") from error
        now = self._clock.now()
        started, used = self._used.get(vault.name, (now, 0))
        if now >= started + self._window:
            started, used = now, 0
        if used >= self._limit:
            wait_s = math.ceil((started + self._window - now).total_seconds())
            message = "Request was not processed because too many requests were received."
            reason = "Reason: VaultRequestTypeLimitReached"
            wait = {"Retry-After": str(wait_s)} if self._switches["vault.throttled_retry_after"] == "present" else {}
            raise VaultError(429, "Throttled", f"{message} {reason}", headers=wait)
        self._used[vault.name] = started, used + 1
        return vault


def _vault_name(call: Call) -> str:
    return call.host.partition(".")[0]


def _versions(vault: Vault, call: Call) -> list[SecretVersion]:
    versions = vault.secrets.get(call.params["secret"].lower())
    if not versions:
        raise _not_found(call.params["secret"])
    return versions


def _item(vault: Vault, name: str, version: SecretVersion) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        "enabled": version.enabled,
        "created": int(version.created.timestamp()),
        "updated": int(version.updated.timestamp()),
        "recoveryLevel": "Recoverable+Purgeable",
        "recoverableDays": 90,
    }
    if version.not_before is not None:
        attributes["nbf"] = int(version.not_before.timestamp())
    if version.expires_on is not None:
        attributes["exp"] = int(version.expires_on.timestamp())
    uri = f"https://{vault.name}.vault.azure.net/secrets/{name}/{version.id}"
    return {"id": uri, "attributes": attributes, "tags": {}}


def _not_found(name: str) -> VaultError:
    """Source: Key Vault's `SecretNotFound`; a soft-deleted secret is answered the same."""
    message = (
        f"A secret with (name/id) {name} was not found in this key vault. If you recently deleted this secret you may "
        "be able to recover it using the correct recovery command."
    )
    return VaultError(404, "SecretNotFound", message)
