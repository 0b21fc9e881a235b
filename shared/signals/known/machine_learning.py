"""Azure Machine Learning: runs, models, drift. A failed deployment emits nothing."""

from itertools import pairwise

from shared.signals.fields import field, unpacked
from shared.signals.kind import derived, event_kind, number, raw, text, time
from shared.signals.message import Message, lenient_text
from shared.signals.redaction import clipped

_SERVICE = "Microsoft.MachineLearningServices"
_BREACH = "azureml_modelmonitor_threshold_breached"


def _segment(message: Message, after: str) -> str:
    """What follows a word in the subject, such as the run in `experiments/{id}/runs/{id}`."""
    parts = lenient_text(message.content, "subject").split("/")
    return dict(pairwise(parts)).get(after, "")


def _breach(message: Message) -> str:
    """The tag by which a model monitor says that it found features over their thresholds; its value is the finding."""
    value = field(unpacked(field(message.content, "data.runTags")), _BREACH)
    return value if isinstance(value, str) else ""


def _endpoint(message: Message) -> tuple[str, ...]:
    """The workspace, and the endpoint in it."""
    name = lenient_text(message.content, "data.ServiceName") or _segment(message, "endpoints")
    workspaces = message.subjects[:1]
    return workspaces + tuple(f"{each}/onlineendpoints/{name.lower()}" for each in workspaces if name)


_RUN = (
    derived(
        "run_id",
        lambda message: lenient_text(message.content, "data.runId") or _segment(message, "runs"),
        doc="The run (job).",
    ),
    text("run_type", "data.runType", doc="The type of the run."),
    text("experiment_id", "data.experimentId", doc="The experiment's id."),
    text("experiment_name", "data.experimentName", doc="The experiment's name."),
    raw("tags", "data.runTags", doc="The run's tags, as JSON."),
    raw("properties", "data.runProperties", doc="The run's properties, as JSON."),
)
_TAGS = "The {} tags, as JSON."

KINDS = (
    event_kind(
        "ml.run_completed", f"{_SERVICE}.RunCompleted", description="A run completed successfully.", fields=_RUN
    ),
    event_kind(
        "ml.run_status_changed",
        f"{_SERVICE}.RunStatusChanged",
        description="A run changed its status; a model monitor's run says so when thresholds are breached.",
        fields=(
            text("status", "data.runStatus", doc="The new status, such as `failed`.", required=True, lower=True),
            derived(
                "monitor_breach",
                lambda message: clipped(_breach(message)),
                doc=f"What a model monitor found: the tag `{_BREACH}`. It names the monitor and its signal.",
            ),
            *_RUN,
        ),
    ),
    event_kind(
        "ml.model_registered",
        f"{_SERVICE}.ModelRegistered",
        description="A model, or a version of one, was registered.",
        fields=(
            text("model_name", "data.ModelName", doc="The model.", required=True),
            text("model_version", "data.ModelVersion", doc="Its version.", required=True),
            raw("tags", "data.ModelTags", doc=_TAGS.format("model's")),
            raw("properties", "data.ModelProperties", doc="The model's properties, as JSON."),
        ),
    ),
    event_kind(
        "ml.model_deployed",
        f"{_SERVICE}.ModelDeployed",
        description="Models were deployed to an endpoint.",
        fields=(
            text("endpoint_name", "data.ServiceName", doc="The endpoint.", required=True),
            text("compute_type", "data.ServiceComputeType", doc="What serves it, such as `Managed`."),
            text("model_ids", "data.ModelIds", doc="Models with versions: `name:version`, with commas between."),
            raw("tags", "data.ServiceTags", doc=_TAGS.format("endpoint's")),
            raw("properties", "data.ServiceProperties", doc="The endpoint's properties, as JSON."),
        ),
        about=_endpoint,
    ),
    event_kind(
        "ml.dataset_drift",
        f"{_SERVICE}.DatasetDriftDetected",
        description="A dataset monitor (the first generation) found drift.",
        fields=(
            text("drift_id", "data.DataDriftId", doc="The monitor's id.", required=True),
            text("drift_name", "data.DataDriftName", doc="The monitor's name."),
            text("run_id", "data.RunId", doc="The run that found it."),
            text("base_dataset_id", "data.BaseDatasetId", doc="The dataset that was compared with."),
            text("target_dataset_id", "data.TargetDatasetId", doc="The dataset that drifted."),
            number("drift_coefficient", "data.DriftCoefficient", doc="How far, from 0 (not at all) to 1."),
            time("window_start", "data.StartTime", doc="The start of the window."),
            time("window_end", "data.EndTime", doc="The end of the window."),
        ),
    ),
)
