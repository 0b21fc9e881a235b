"""Azure Resource Manager: what was done to resources. Of the claims only who asked is kept."""

from shared.signals.fields import field, unpacked
from shared.signals.kind import derived, event_kind, raw, text
from shared.signals.message import Message, lenient_text

_SERVICE = "Microsoft.Resources.Resource"
_NOTIFIED = "Microsoft.ResourceNotifications.Resources"
_CLAIMS = "http://schemas.microsoft.com/identity/claims/"


def _of_request(name: str, message: Message) -> str:
    """A field of the request, which is sent as an object or as a text with one in it."""
    return lenient_text(unpacked(field(message.content, "data.httpRequest")), name)


def _claim(message: Message, *names: str) -> str:
    claims = unpacked(field(message.content, "data.claims"))
    # not by path: these names have dots
    found = {key.strip().lower(): value for key, value in claims.items()} if isinstance(claims, dict) else {}
    values = (found.get(name.lower()) for name in names)
    return next((value for value in values if isinstance(value, str)), "")


_FIELDS = (
    text("operation", "data.operationName", doc="The operation, such as `Microsoft.Storage/storageAccounts/write`."),
    text("status", "data.status", doc="How it ended, such as `Succeeded`."),
    text("provider", "data.resourceProvider", doc="The resource provider."),
    text("resource_type", "data.resourceInfo.type", doc="The type of the resource, in Resource Notifications."),
    text("location", "data.resourceInfo.location", doc="Its region, in Resource Notifications."),
    raw("tags", "data.resourceInfo.tags", doc="Its tags as JSON, in Resource Notifications."),
    text("correlation_id", "data.correlationId", doc="The id that all operations of one deployment share."),
    derived(
        "client_request_id",
        lambda message: _of_request("clientRequestId", message),
        doc="The caller's id of the request: our own changes carry one.",
    ),
    derived("method", lambda message: _of_request("method", message), doc="The HTTP method."),
    derived(
        "caller_object_id",
        lambda message: _claim(message, f"{_CLAIMS}objectidentifier", "oid"),
        doc="The Entra object id of who asked.",
    ),
    derived("caller_app_id", lambda message: _claim(message, "appid", "azp"), doc="The application that asked."),
    text("subscription_id", "data.subscriptionId", doc="The subscription."),
    text("tenant_id", "data.tenantId", doc="The tenant."),
)

KINDS = (
    event_kind(
        "resource.written",
        f"{_SERVICE}WriteSuccess",
        f"{_NOTIFIED}.CreatedOrUpdated",
        description="A resource was created or changed.",
        fields=_FIELDS,
    ),
    event_kind(
        "resource.deleted",
        f"{_SERVICE}DeleteSuccess",
        f"{_NOTIFIED}.Deleted",
        description="A resource was deleted.",
        fields=_FIELDS,
    ),
    event_kind(
        "resource.acted_on",
        f"{_SERVICE}ActionSuccess",
        description="An action on a resource succeeded, such as a restart.",
        fields=_FIELDS,
    ),
    *(
        event_kind(
            f"resource.{word}_{outcome}",
            f"{_SERVICE}{title}{ending}",
            description=f"{words} {'failed' if outcome == 'failed' else 'was cancelled'}.",
            fields=_FIELDS,
        )
        for word, title, words in (
            ("write", "Write", "Creating or changing a resource"),
            ("delete", "Delete", "Deleting a resource"),
            ("action", "Action", "An action on a resource"),
        )
        for outcome, ending in (("failed", "Failure"), ("cancelled", "Cancel"))
    ),
)
