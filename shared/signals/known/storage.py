"""Blob Storage and Data Lake Storage Gen2: blobs and directories.

With a hierarchical namespace or SFTP a blob is created twice: empty when it is opened (`CreateFile`, `SftpCreate`) and
complete when it is closed (`FlushWithClose`, `SftpCommit`); a copy is announced when it begins. `complete` says which.
Two events of one blob are ordered by `sequencer`, compared as text, never by time.
"""

import re
from urllib.parse import unquote, urlsplit

from shared.signals.kind import Field, derived, event_kind, number, text
from shared.signals.message import Message, lenient_text

_SUBJECT = re.compile(r"/blobServices/[^/]+/containers/([^/]+)(?:/blobs/(.*))?", re.IGNORECASE | re.DOTALL)
_SERVICE = "Microsoft.Storage"


def _place(message: Message) -> tuple[str, str]:
    """Container and path, as the subject names them, else the URL."""
    found = _SUBJECT.fullmatch(lenient_text(message.content, "subject"))
    if found:
        return found[1], found[2] or ""
    url = lenient_text(message.content, "data.url") or lenient_text(message.content, "data.destinationUrl")
    try:
        container, _, path = unquote(urlsplit(url).path).lstrip("/").partition("/")
    except ValueError:
        return "", ""
    return container, path


def _complete(message: Message) -> str:
    if message.says("data.api", "createfile", "sftpcreate"):
        return "false"
    return "unknown" if message.says("data.api", "copyblob") else "true"


_PLACE = (
    derived("container", lambda message: _place(message)[0], doc="The container (file system)."),
    derived("blob", lambda message: _place(message)[1], doc="The path in the container."),
    text("api", "data.api", doc="The operation, such as `PutBlob`."),
    text("sequencer", "data.sequencer", doc="Orders the events of one blob, compared as text of equal length."),
    text("client_request_id", "data.clientRequestId", doc="The caller's id of the request."),
    text("identity", "data.identity", doc="The local user, with SFTP."),
)
_URL = text("url", "data.url", doc="The URL, without its query.")
_CONTENT = (
    _URL,
    text("content_type", "data.contentType", doc="The media type."),
    number("content_length_bytes", "data.contentLength", doc="The size in bytes."),
    text("blob_type", "data.blobType", doc="`BlockBlob`, `PageBlob` or `AppendBlob`."),
    text("etag", "data.eTag", doc="The blob's ETag."),
    text("access_tier", "data.accessTier", doc="The tier that it has now, where it is told."),
)
_RENAMED = (
    text("url", "data.destinationUrl", doc="The new URL.", required=True),
    text("source_url", "data.sourceUrl", doc="The URL before."),
)
_COMPLETE = Field(
    name="complete",
    doc="`true`; `false` while the content is still to come; `unknown` of a copy, announced when it ends or begins.",
    read=lambda message: {"complete": _complete(message)},
)
_RECURSIVE = text("recursive", "data.recursive", doc="Whether all in it was deleted with it.")
_RULE = text("rule", "data.ruleName", doc="The rule.")

KINDS = (
    event_kind(
        "blob.created",
        f"{_SERVICE}.BlobCreated",
        description="A blob was created or replaced; see `complete`.",
        fields=(*_PLACE, *_CONTENT, _COMPLETE),
    ),
    event_kind(
        "blob.deleted", f"{_SERVICE}.BlobDeleted", description="A blob was deleted.", fields=(*_PLACE, *_CONTENT)
    ),
    event_kind(
        "blob.renamed", f"{_SERVICE}.BlobRenamed", description="A blob was renamed.", fields=(*_PLACE, *_RENAMED)
    ),
    event_kind(
        "blob.tier_changed",
        f"{_SERVICE}.BlobTierChanged",
        description="A blob's access tier was changed.",
        fields=(
            *_PLACE,
            *_CONTENT,
            text("previous_tier", "data.previousTier", doc="The tier before, where it is told."),
        ),
    ),
    event_kind(
        "blob.move_started",
        f"{_SERVICE}.AsyncOperationInitiated",
        description="A blob is being brought back from the archive.",
        fields=(*_PLACE, *_CONTENT),
    ),
    event_kind(
        "directory.created",
        f"{_SERVICE}.DirectoryCreated",
        description="A directory was created.",
        fields=(*_PLACE, _URL),
    ),
    event_kind(
        "directory.renamed",
        f"{_SERVICE}.DirectoryRenamed",
        description="A directory was renamed.",
        fields=(*_PLACE, *_RENAMED),
    ),
    event_kind(
        "directory.deleted",
        f"{_SERVICE}.DirectoryDeleted",
        description="A directory was deleted.",
        fields=(*_PLACE, _URL, _RECURSIVE),
    ),
    event_kind(
        "blob.inventory_completed",
        f"{_SERVICE}.BlobInventoryPolicyCompleted",
        description="An inventory of blobs ended, well or not.",
        fields=(
            _RULE,
            text("status", "data.policyRunStatus", doc="How it ended, such as `Succeeded`."),
            text("message", "data.policyRunStatusMessage", doc="What is said of it."),
            text("manifest_url", "data.manifestBlobUrl", doc="The URL of its manifest, without its query."),
        ),
    ),
    event_kind(
        "blob.lifecycle_completed",
        f"{_SERVICE}.LifecyclePolicyCompleted",
        description="The rules of a lifecycle policy were carried out.",
    ),
)
