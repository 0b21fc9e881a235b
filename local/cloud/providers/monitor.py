"""Azure Monitor metrics in batches: `POST https://{region}.metrics.monitor.azure.com/subscriptions/{s}/metrics:getBatch`.

Source: azure-rest-api-specs, monitor data plane Insights 2024-02-01, metricBatch.json and MetricBatchExample.json
(points without a value carry only their timeStamp; namespace and dimension names come back in lower case);
azure-monitor-querymetrics.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from local.clock import Clock
from local.cloud.arm_errors import ArmError, bad_request
from local.cloud.bodies import ResourceIds, parsed
from local.cloud.estate import Estate
from local.cloud.estate.resources import stamp
from local.cloud.metric_catalogue import CATALOGUE, MetricDefinition
from local.cloud.metric_filter import MetricFilter, parse_filter
from local.cloud.metrics import Cell, MetricStore, Series, floored
from local.cloud.routing import Call, Reply, Route
from local.cloud.switches import Switches

DEFAULT_SPAN = timedelta(hours=1)
DEFAULT_TOP = 10
MINUTE_S = 60
FULL = "FULL"
INTERVALS_S = {
    "PT1M": 60,
    "PT5M": 300,
    "PT15M": 900,
    "PT30M": 1800,
    "PT1H": 3600,
    "PT6H": 21600,
    "PT12H": 43200,
    "P1D": 86400,
}
AGGREGATES = ("average", "minimum", "maximum", "total", "count")


@dataclass(frozen=True, slots=True)
class _Question:
    """A query as it was understood; `interval` is what the answer says, `times` are the starts of its intervals."""

    namespace: str
    metrics: tuple[MetricDefinition, ...]
    aggregations: tuple[str, ...]
    start: datetime
    end: datetime
    interval: str
    times: tuple[datetime, ...]
    wanted: MetricFilter
    rolled_up: frozenset[str]
    top: int
    order_by: tuple[str, bool] | None


class Monitor:
    def __init__(self, estate: Estate, metrics: MetricStore, switches: Switches, clock: Clock) -> None:
        self._estate = estate
        self._metrics = metrics
        self._switches = switches
        self._clock = clock

    def routes(self) -> list[Route]:
        return [
            Route(
                method="POST",
                host="*.metrics.monitor.azure.com",
                template="/subscriptions/{subscription}/metrics:getBatch",
                api_versions=("2024-02-01",),
                action="Microsoft.Insights/metrics/read",
                audiences=("https://metrics.monitor.azure.com",),
                arm_throttled=False,
                handler=self.get_batch,
                source="azure-rest-api-specs monitor data plane 2024-02-01 MetricsBatch_Batch",
            )
        ]

    def get_batch(self, call: Call) -> Reply:
        """Up to 50 resources of one type and region; those that do not exist are met by `monitor.unknown_resource`."""
        resource_ids = parsed(ResourceIds, call.json()).resourceids
        if self._switches["monitor.unknown_resource"] == "left_out":
            resource_ids = [each for each in resource_ids if self._estate.get(each) is not None]
        question = self._question(call)
        region = call.host.split(".")[0]
        for resource_id in resource_ids:
            self._check_resource(resource_id, region, call.params["subscription"], question.namespace)
        return Reply(200, {"values": [self._answer(question, resource_id, region) for resource_id in resource_ids]})

    def _question(self, call: Call) -> _Question:
        namespace = call.query.get("metricnamespace", "").lower()
        known = CATALOGUE.get(namespace)
        if known is None:
            raise bad_request(f"Metric namespace '{namespace}' is unknown; known: {', '.join(CATALOGUE)}.")
        metrics = tuple(_metric(known, name) for name in call.query.get("metricnames", "").split(","))
        wanted = self._filter(call.query.get("filter", ""), metrics)
        start, end = self._timespan(call.query)
        interval, times = self._intervals(call.query.get("interval", "PT1M"), start, end)
        rolled_up = frozenset(
            name.strip().lower() for name in call.query.get("rollupby", "").split(",") if name.strip()
        )
        return _Question(
            namespace,
            metrics,
            _aggregations(call.query.get("aggregation", ""), metrics),
            start,
            end,
            interval,
            times,
            wanted,
            rolled_up,
            _top(call.query.get("top")),
            _order(call.query.get("orderby", "")),
        )

    @staticmethod
    def _filter(text: str, metrics: tuple[MetricDefinition, ...]) -> MetricFilter:
        try:
            wanted = parse_filter(text)
        except ValueError as error:
            raise bad_request(f"Invalid filter: {error}") from error
        for metric in metrics:
            unknown = set(wanted.values) - {name.lower() for name in metric.dimensions}
            if unknown:
                known = ", ".join(metric.dimensions) or "none"
                raise bad_request(
                    f"Metric '{metric.name}' has no dimension {', '.join(sorted(unknown))}; it has: {known}."
                )
        return wanted

    def _timespan(self, query: Mapping[str, str]) -> tuple[datetime, datetime]:
        now = self._clock.now()
        end = _time(query["endtime"]) if "endtime" in query else now
        if "endtime" in query and "starttime" not in query:
            raise bad_request("starttime is required where endtime is given.")
        start = _time(query["starttime"]) if "starttime" in query else end - DEFAULT_SPAN
        if start >= end:
            raise bad_request("starttime must be before endtime.")
        return start, end

    def _intervals(self, asked: str, start: datetime, end: datetime) -> tuple[str, tuple[datetime, ...]]:
        """The interval of the answer and where its intervals start, none of them in the future.

        Where the store's grain is finer than a minute, that is the interval, whatever was asked.
        """
        if asked.upper() == FULL:
            return FULL, (start,)
        if asked not in INTERVALS_S:
            raise bad_request(f"Invalid interval '{asked}'; supported: {', '.join(INTERVALS_S)}, {FULL}.")
        grain_s = self._metrics.grain_s
        name, length_s = (asked, INTERVALS_S[asked]) if grain_s == MINUTE_S else (f"PT{grain_s:g}S", grain_s)
        first = floored(start, length_s)
        number = math.ceil((min(end, self._clock.now()) - first).total_seconds() / length_s)
        return name, tuple(first + timedelta(seconds=n * length_s) for n in range(number))

    def _check_resource(self, resource_id: str, region: str, subscription: str, namespace: str) -> None:
        found = self._estate.get(resource_id)
        if found is None:
            raise ArmError(404, "ResourceNotFound", f"The resource '{resource_id}' was not found.")
        if found.type.lower() != namespace:
            raise bad_request(
                f"All resources of a batch must be of type '{namespace}'; '{resource_id}' is a {found.type}."
            )
        if found.region != region or found.subscription.lower() != subscription.lower():
            message = (
                f"'{resource_id}' is not in the subscription and region of the request, as all of a batch must be."
            )
            raise bad_request(message)

    def _answer(self, question: _Question, resource_id: str, region: str) -> dict[str, Any]:
        return {
            "starttime": stamp(question.start),
            "endtime": stamp(question.end),
            "interval": question.interval,
            "namespace": question.namespace,
            "resourceregion": region,
            "resourceid": resource_id,
            "value": [self._metric_answer(question, resource_id, metric) for metric in question.metrics],
        }

    def _metric_answer(self, question: _Question, resource_id: str, metric: MetricDefinition) -> dict[str, Any]:
        return {
            "id": f"{resource_id}/providers/Microsoft.Insights/metrics/{metric.name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": metric.name, "localizedValue": metric.name},
            "displayDescription": metric.name,
            "unit": metric.unit,
            "timeseries": [
                self._series_answer(question, series) for series in self._series(question, resource_id, metric)
            ],
            "errorCode": "Success",
        }

    def _series(self, question: _Question, resource_id: str, metric: MetricDefinition) -> list[Series]:
        """At most `top` series, where a filter was given (getBatch: default 10)."""
        args = (question.times, question.end, question.wanted, question.rolled_up)
        found = self._metrics.query(resource_id, metric.name, *args)
        if question.order_by is not None:
            aggregate, descending = question.order_by
            found.sort(
                key=lambda series: sum(_value(cell, aggregate) for cell in series.cells.values()), reverse=descending
            )
        return found[: question.top] if question.wanted.values else found

    def _series_answer(self, question: _Question, series: Series) -> dict[str, Any]:
        labels = [
            {"name": {"value": name, "localizedValue": name}, "value": text} for name, text in series.dimensions.items()
        ]
        return {
            "metadatavalues": labels,
            "data": [self._point(question, at, series.cells.get(at)) for at in question.times],
        }

    @staticmethod
    def _point(question: _Question, at: datetime, cell: Cell | None) -> dict[str, Any]:
        """A point without a value has only its time: missing is not zero."""
        point: dict[str, Any] = {"timeStamp": stamp(at)}
        if cell is not None:
            point |= {aggregate: _value(cell, aggregate) for aggregate in question.aggregations}
        return point


def _metric(known: Mapping[str, MetricDefinition], name: str) -> MetricDefinition:
    if name.lower() not in known:
        valid = ",".join(metric.name for metric in known.values())
        raise bad_request(f"Failed to find metric configuration for metric: {name}. Valid metrics: {valid}")
    return known[name.lower()]


def _aggregations(text: str, metrics: tuple[MetricDefinition, ...]) -> tuple[str, ...]:
    """Those asked for; without any, the first that the metric has."""
    asked = tuple(name.strip().lower() for name in text.split(",") if name.strip())
    for metric in metrics:
        supported = {name.lower() for name in metric.aggregations}
        if not set(asked) <= supported:
            raise bad_request(
                f"Metric '{metric.name}' supports the aggregations {', '.join(metric.aggregations)}, not {text}."
            )
    return asked or (metrics[0].aggregations[0].lower(),)


def _value(cell: Cell, aggregate: str) -> float:
    return float(getattr(cell, aggregate))


def _top(text: str | None) -> int:
    if text is None:
        return DEFAULT_TOP
    if not text.isdigit() or int(text) == 0:
        raise bad_request("top must be a whole number above 0.")
    return int(text)


def _order(text: str) -> tuple[str, bool] | None:
    if not text:
        return None
    aggregate, _, direction = text.lower().partition(" ")
    if aggregate not in AGGREGATES or direction not in ("asc", "desc", ""):
        raise bad_request(f"orderby must be like 'average desc', not '{text}'.")
    return aggregate, direction == "desc"


def _time(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise bad_request(f"'{text}' is not a time in ISO 8601.") from error
    if at.tzinfo is None:
        raise bad_request(f"'{text}' has no time zone.")
    return at
