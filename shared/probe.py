"""Settle assumptions of the register on a real subscription, by reading alone.

    python -m shared.probe --subscription ID [--queue ARM_ID ...] [--deployment ARM_ID ...]

Signs in as the developer does (`az login`) or as the managed identity, needs the rights of `infra/roles.json`, and
makes no change. Prints each assumption that reading can settle (those of the register with a `probe`), what it is here,
and what that means if it is not the default. Exit code 0 if all were settled, 1 if not.

Requests: GET of the queues until one is empty, and of the list of the first one's namespace; two metrics batches;
Resource Graph queries; GET of a deployment, and of the usages and vmSizes of its region.
"""

import argparse
import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.assumptions import BY_NAME, REGISTER, Assumption
from shared.domain import DeploymentId, InvalidResourceId, Missing, QueueId
from shared.estate import api, deployments
from shared.estate.arm import Arm
from shared.estate.deployments import DeploymentView
from shared.estate.failures import ArmFailure
from shared.estate.identity import make_credential
from shared.estate.metrics import ACTIVE, MOST_ACTIVE, Metrics, newest_complete
from shared.estate.queues import QueueReader, carries_counts
from shared.estate.quota import QuotaReader, dedicated_family_key

Now = Callable[[], datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one assumption is here: `value` is one of its values, None if it was not settled; `because` says why."""

    assumption: Assumption
    value: str | None
    because: str

    @property
    def line(self) -> str:
        if self.value is None:
            return f"{self.assumption.name}: not settled, because {self.because}"
        if self.value == self.assumption.default:
            return f"{self.assumption.name}: {self.value}, as by default ({self.because})"
        differs = f"the default is {self.assumption.default}; if wrong: {self.assumption.breaks_if_wrong}"
        return f"{self.assumption.name}: {self.value} ({self.because}). DIFFERS: {differs}"


class Unsettled(Exception):
    """A check came to no result; the message says why, and what would help."""


class Probe:
    """The checks, against what was named on the command line and what Resource Graph adds."""

    def __init__(
        self,
        subscription: str,
        queues: Sequence[QueueId],
        named: Sequence[DeploymentId],
        *,
        arm: Arm,
        metrics: Metrics,
        now: Now,
    ) -> None:
        self._subscription, self._queues, self._named = subscription, queues, named
        self._arm, self._metrics, self._now = arm, metrics, now
        self._checks: dict[str, Callable[[], Awaitable[tuple[str, str]]]] = {
            "servicebus.list_carries_counts": self._list_carries_counts,
            "servicebus.queue_location": self._queue_location,
            "monitor.delay_s": self._monitor_delay,
            "monitor.idle_queue_series": self._idle_queue_series,
            "graph.lists_deployments": self._graph_lists_deployments,
            "quota.family_names_join": self._family_names_join,
        }

    async def run(self) -> list[Finding]:
        """One finding for each assumption that has a probe, in the register's order."""
        return [await self._find(assumption) for assumption in REGISTER if assumption.probe]

    async def _find(self, assumption: Assumption) -> Finding:
        check = self._checks.get(assumption.name)
        if check is None:
            return Finding(
                assumption=assumption, value=None, because=f"no check is written; by hand: {assumption.probe}"
            )
        try:
            value, because = await check()
        except (ArmFailure, Unsettled) as failure:
            return Finding(assumption=assumption, value=None, because=str(failure))
        return Finding(assumption=assumption, value=value, because=because)

    async def _list_carries_counts(self) -> tuple[str, str]:
        namespace = self._first_queue().namespace_id
        reply = await self._arm.get(f"{namespace}/queues", api.SERVICE_BUS)
        rows = reply.body.get("value") or ()
        if not rows:
            raise Unsettled(f"{namespace} lists no queue")
        carrying = sum(carries_counts(row) for row in rows)
        return "yes" if carrying else "no", f"{carrying} of {len(rows)} listed queues carry countDetails"

    async def _queue_location(self) -> tuple[str, str]:
        queue = self._first_queue()
        region = (await QueueReader(self._arm, self._now).read(queue)).region
        return ("yes", f"{queue.queue!r} is in {region}") if region else ("no", f"{queue.queue!r} has no location")

    async def _monitor_delay(self) -> tuple[str, str]:
        queue = self._first_queue()
        _, region = await self._depth_and_region(queue)
        newest = (await self._metrics.queue_rates({queue: region}))[queue.key].arrivals_per_s
        if isinstance(newest, Missing):
            raise Unsettled(f"{newest.reason}; send some messages to {queue.queue!r} for five minutes and try again")
        age_s = (self._now() - newest.at).total_seconds()
        because = f"the newest minute of IncomingMessages ended {age_s:.0f} s ago"
        # Seen at a random moment, a minute that appears after d seconds has an age of d to d + 60.
        for value in sorted(map(int, BY_NAME["monitor.delay_s"].values)):
            if age_s < value + 60:
                return str(value), because
        raise Unsettled(f"{because}, later than any value of the register; send messages for a while and try again")

    async def _idle_queue_series(self) -> tuple[str, str]:
        self._first_queue()
        for queue in self._queues:
            depth, region = await self._depth_and_region(queue)
            if depth:
                continue
            answer = (await self._metrics.query(MOST_ACTIVE, {queue.namespace_id: region}))[queue.namespace_id.lower()]
            if isinstance(answer, str):
                raise Unsettled(answer)
            own = [
                point
                for point in answer.get(ACTIVE, ())
                if point.dimensions.get("entityname", "").lower() == queue.queue.lower()
            ]
            newest = newest_complete(own, self._now())
            if not newest:
                return "absent", f"{queue.queue!r} is empty and has no {ACTIVE}"
            if not any(point.value for point in newest):
                return "zero", f"{queue.queue!r} is empty and its {ACTIVE} are 0"
        raise Unsettled("no queue that was named has been empty for some minutes; name an idle one with --queue")

    async def _graph_lists_deployments(self) -> tuple[str, str]:
        listed = await deployments.list_by_graph(self._arm, [self._subscription], self._now())
        with_capacity = [view for view in listed.values() if view.capacity is not None and view.provisioning_state]
        counted = f"{len(listed)} deployments listed, {len(with_capacity)} with capacity and provisioning state"
        if listed:
            return "yes" if len(with_capacity) == len(listed) else "no", counted
        for named in self._named:
            await deployments.read(self._arm, named, self._now())
            return "no", f"{named} exists and is not listed"
        raise Unsettled("Resource Graph lists no deployment; name one that exists with --deployment")

    async def _family_names_join(self) -> tuple[str, str]:
        view = await self._any_deployment()
        quota = QuotaReader(self._arm, self._now)
        families = {size.family for size in (await quota.sizes(view.id.subscription, view.region)).values()}
        known = (await quota.usages(view.id.subscription, view.region)).families
        lost = sorted(family for family in families if dedicated_family_key(family) not in known)
        if not families:
            raise Unsettled(f"{view.region} lists no VM size")
        joined = f"{len(families) - len(lost)} of {len(families)} families of {view.region} have a usage row"
        return ("no", f"{joined}; without one: {', '.join(lost)}") if lost else ("yes", joined)

    def _first_queue(self) -> QueueId:
        if not self._queues:
            raise Unsettled("no queue was named; name one with --queue")
        return self._queues[0]

    async def _depth_and_region(self, queue: QueueId) -> tuple[int, str]:
        counts = await QueueReader(self._arm, self._now).read(queue)
        return counts.active, counts.region or (await self._any_deployment()).region

    async def _any_deployment(self) -> DeploymentView:
        for named in self._named:
            return await deployments.read(self._arm, named, self._now())
        listed = await deployments.list_by_graph(self._arm, [self._subscription], self._now())
        for view in listed.values():
            return view
        raise Unsettled("no deployment is known; name one with --deployment")


def _utc_now() -> datetime:
    return datetime.now(UTC)


async def run(subscription: str, queues: Sequence[QueueId], named: Sequence[DeploymentId], now: Now) -> list[Finding]:
    """All findings, with clients of their own."""
    async with make_credential(identity_endpoint="", client_id="") as credential, Arm(credential) as arm:
        metrics = Metrics(credential, now)
        try:
            return await Probe(subscription, queues, named, arm=arm, metrics=metrics, now=now).run()
        finally:
            await metrics.close()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m shared.probe", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--subscription", required=True, metavar="ID")
    parser.add_argument(
        "--queue", action="append", default=[], metavar="ARM_ID", help="a queue that has traffic; and one that is idle"
    )
    parser.add_argument("--deployment", action="append", default=[], metavar="ARM_ID")
    given = parser.parse_args(arguments)
    try:
        queues = [QueueId.parse(text) for text in given.queue]
        named = [DeploymentId.parse(text) for text in given.deployment]
    except InvalidResourceId as error:
        parser.error(str(error))
    findings = asyncio.run(run(given.subscription, queues, named, _utc_now))
    for finding in findings:
        print(finding.line)
    return 0 if all(finding.value is not None for finding in findings) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
