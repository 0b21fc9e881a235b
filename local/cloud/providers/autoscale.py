"""Microsoft.Insights autoscale settings: another writer of the same capacity, for production code to find and respect.

Source: azure-rest-api-specs, monitor 2022-10-01, autoscalesettings by subscription and by resource group;
facts/limits.md.
"""

from local.cloud.estate import Estate
from local.cloud.paging import paged
from local.cloud.routing import Call, Reply, Route

API_VERSIONS = ("2022-10-01",)
PAGE = 100


class Autoscale:
    def __init__(self, estate: Estate) -> None:
        self._estate = estate

    def routes(self) -> list[Route]:
        kinds = "/providers/Microsoft.Insights/autoscaleSettings"
        return [
            Route(
                method="GET",
                template="/subscriptions/{subscription}" + scope + kinds,
                api_versions=API_VERSIONS,
                action="Microsoft.Insights/autoscaleSettings/read",
                handler=self.list_settings,
                source=f"azure-rest-api-specs monitor 2022-10-01 {operation}",
            )
            for scope, operation in (
                ("", "AutoscaleSettings_ListBySubscription"),
                ("/resourceGroups/{group}", "AutoscaleSettings_ListByResourceGroup"),
            )
        ]

    def list_settings(self, call: Call) -> Reply:
        subscription = call.params["subscription"].lower()
        group = call.params.get("group", "").lower()
        found = [
            setting.body
            for setting in self._estate.autoscale_settings()
            if setting.subscription.lower() == subscription and group in ("", setting.group.lower())
        ]
        return Reply(200, paged(call, found, PAGE))
