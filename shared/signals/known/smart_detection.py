"""Smart detection of Application Insights: something is unlike it usually is."""

from shared.signals.kind import alert_kind, text, time

KINDS = (
    alert_kind(
        "alert.smart_detection",
        description="Smart detection found an anomaly in an application.",
        from_="monitoring service `SmartDetector`; the alert as Alerts Management's resource",
        recognises=lambda message: message.type in ("smartdetector", "smartdetection"),
        fields=(
            text("detector_id", "context.SmartDetectorId", doc="The detector."),
            text("detector", "context.SmartDetectorName", doc="Its name."),
            text("summary", "context.DetectionSummary", doc="What it found."),
            text("detected_value", "context.DetectedValue", "context.DetectedFailureRate", doc="How it is."),
            text("normal_value", "context.NormalValue", "context.NormalFailureRate", doc="How it usually is."),
            time("occurred_at", "context.FormattedOccurrenceTime", "context.FormattedOccurenceTime", doc="When."),
        ),
    ),
)
