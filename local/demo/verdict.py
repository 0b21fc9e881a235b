"""Whether what was promised happened: read off the ledger, the simulated Azure and the queue, not off the decisions."""

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.demo.story import DISTINCT_SIGNALS, DUPLICATES, Story
from local.demo.timeline import Timeline
from local.world import WORK_QUEUE


@dataclass(frozen=True, slots=True)
class Check:
    """One promise, and what was seen of it."""

    kept: bool
    promise: str
    seen: str


def checks(timeline: Timeline, least_instances: int) -> Iterator[Check]:
    """The promises of a run that is over."""
    world, sent = timeline.world, timeline.player.sent
    completed = world.dispatcher.counts.completed
    dead = world.broker.queue(WORK_QUEUE).counts().dead_letter
    yield Check(
        completed == sent and world.depth() == 0 and dead == 0,
        "every message is served, once",
        f"{sent} sent, {completed} served, {world.depth()} waiting, {dead} dead letters",
    )
    decisions, outcomes = _of(timeline, "decision"), _of(timeline, "outcome")
    grown = [entry for entry in decisions if _change(entry) > 0]
    yield Check(bool(grown), "the surge is met with more instances", f"{len(grown)} decisions to grow")
    ready, pending = world.instances()
    yield Check(
        (ready, pending) == (least_instances, 0),
        "capacity comes back",
        f"{ready} ready, {pending} starting; the policy's minimum is {least_instances}",
    )
    accepted = [record for record in world.cloud.mutations() if record.accepted and "/deployments/" in record.path]
    verified = [entry for entry in outcomes if "(verified)" in entry["summary"]]
    yield Check(
        len(decisions) == len(outcomes) and len(verified) == len(accepted),
        "each decision has one end, each accepted change was read back",
        f"{len(decisions)} decisions, {len(outcomes)} outcomes; {len(accepted)} changes, {len(verified)} verified",
    )


async def story_checks(timeline: Timeline, story: Story) -> AsyncIterator[Check]:
    """The promises of the story: what the app wrote down of it, and what Azure saw."""
    approvals = [entry["summary"] for entry in _of(timeline, "approval")]
    yield Check(
        "approval" in story.chapters and sum("used" in words or "carried out" in words for words in approvals) >= 1,
        "growth waited for a person, and the approved plan ran once",
        f"{len(approvals)} entries about approvals",
    )
    yield Check("host killed" in story.chapters, "a killed host comes back and ends what it began", "as above")
    recorded, malformed = await timeline.signals(), await timeline.quarantined()
    yield Check(
        (recorded, malformed) == (DISTINCT_SIGNALS, 1),
        "each distinct signal is recorded once, what cannot be read is kept",
        f"{DISTINCT_SIGNALS + DUPLICATES} delivered, {recorded} recorded, {malformed} in the quarantine",
    )
    yield Check(
        story.frozen_refusals >= 1 and story.patches_while_frozen == 0,
        "nothing is changed in a freeze window",
        f"{story.frozen_refusals} refused, {story.patches_while_frozen} made",
    )


def _of(timeline: Timeline, kind: str) -> list[Mapping[str, Any]]:
    return [entry for entry in timeline.entries.values() if entry["kind"] == kind]


def _change(entry: Mapping[str, Any]) -> int:
    """By how many instances a decision's summary ("2 -> 5 (...): ...") changes capacity."""
    current, _, rest = entry["summary"].partition(" -> ")
    return int(rest.split(" ", 1)[0]) - int(current)
