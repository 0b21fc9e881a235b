"""Real SDK clients for the tests: an azure-mgmt-core pipeline with a managed identity, as production code has."""

from types import TracebackType
from typing import Any, Self

from azure.core.pipeline import policies
from azure.core.rest import AsyncHttpResponse, HttpRequest
from azure.identity.aio import ManagedIdentityCredential
from azure.mgmt.core import AsyncARMPipelineClient
from azure.mgmt.core.policies import AsyncARMChallengeAuthenticationPolicy

ML_API = "2024-10-01"
BASE = "https://management.azure.com"


class ArmClient:
    """Sends requests to Resource Manager with a real credential and without any retry."""

    def __init__(self, credential: ManagedIdentityCredential | None = None) -> None:
        self.credential = credential or ManagedIdentityCredential()
        pipeline = [
            policies.RequestIdPolicy(),
            policies.ContentDecodePolicy(),
            AsyncARMChallengeAuthenticationPolicy(self.credential, f"{BASE}/.default"),
        ]
        self._client: AsyncARMPipelineClient[HttpRequest, AsyncHttpResponse] = AsyncARMPipelineClient(
            base_url=BASE, policies=pipeline
        )

    async def send(self, method: str, path: str, body: Any = None, *, api: str | None = ML_API) -> AsyncHttpResponse:
        """`path` may be a whole URL, as in a Location header."""
        params = {} if api is None or "api-version=" in path else {"api-version": api}
        url = path if path.startswith("https://") else BASE + path
        return await self._client.send_request(HttpRequest(method, url, params=params, json=body))

    async def get(self, path: str, *, api: str | None = ML_API) -> Any:
        """The JSON of a GET that must answer 200."""
        response = await self.send("GET", path, api=api)
        assert response.status_code == 200, response.text()
        return response.json()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()
        await self.credential.close()
