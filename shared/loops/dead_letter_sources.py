"""Where dead letters are looked after, how many wait there, and why a place cannot be read.

The signals' queue, what the policy's `dead_letters` names, and the queue of every target. A target's queue is counted
first, by the reads that scaling lives on, and its messages are looked at only where some wait: there are thousands of
such queues. Nothing of it is read before Resource Manager has answered for its whole id, because messages go by names
alone: who writes another namespace's name beside his own resource group must not see what waits there.
"""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain import Missing, QueueId
from shared.estate.dead_letter_failures import BrokerUnreachable, DeadLetterFailure
from shared.estate.dead_letters import DeadLetters, Entity, Overview
from shared.estate.queues import QueueReader
from shared.policy import Policy, Target
from shared.policy.dead_letters import DEFAULT_OLDER_THAN_S, SIGNALS, WatchedDeadLetters

if TYPE_CHECKING:
    from shared.settings import Settings

JUST_NOW, LATELY = timedelta(minutes=2), timedelta(minutes=15)
"""How old a count may be: for people who look, and for what goes over all targets now and then."""

# Each entity that is looked at for the first time opens a connection, and one that does not answer takes half a minute.
_AT_ONCE = 16
_DOMAIN = "servicebus.windows.net"
_FORMS = ("{0.queue}", "{0.queue}@{0.namespace}", "{0.queue}@{0.namespace}@{0.resource_group}@{0.subscription}")
_EMULATOR = "usedevelopmentemulator=true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """An entity whose dead letters are looked after. `owner` and `project` are "" where there is none.

    `target_queue`: it is looked after because targets name it; None: the app or the policy names it for itself.
    """

    entity: Entity
    owner: str = ""
    project: str = ""
    older_than: timedelta = timedelta(seconds=DEFAULT_OLDER_THAN_S)
    target_queue: QueueId | None = None

    @property
    def name(self) -> str:
        return self.entity.name


class NotCounted(DeadLetterFailure):
    """Resource Manager does not say how many dead letters a target's queue has."""


class NotCountedYet(NotCounted):
    """Nobody has asked: there was no read to spare."""


type Counts = Mapping[str, int | NotCounted]
"""Dead letters of targets' queues, by the names of the `Watched`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What a look at one entity found; `counted`: how many Resource Manager says there are, None where it is not asked
    or does not say.
    """

    watched: Watched
    found: Overview | DeadLetterFailure
    counted: int | None = None


def watched(policy: Policy | None, settings: "Settings") -> tuple[Watched, ...]:
    """All that is looked after. Without a policy (None) the queue of the signals alone."""
    found = []
    if settings.signals_queue:
        entity = Entity(name=SIGNALS, queue=settings.signals_queue, namespace=settings.signals_namespace)
        found.append(Watched(entity=entity))
    if policy is None:
        return tuple(found)
    found += [_named(entry, settings.signals_namespace) for entry in policy.dead_letters]
    return (*found, *_of_targets(policy.targets, found, settings))


def _named(entry: WatchedDeadLetters, namespace: str) -> Watched:
    entity = Entity(
        name=entry.name,
        queue=entry.queue or "",
        topic=entry.topic or "",
        subscription=entry.subscription or "",
        namespace=entry.namespace or namespace,
    )
    older_than = timedelta(seconds=entry.older_than_s)
    return Watched(entity=entity, owner=entry.owner or "", project=entry.project, older_than=older_than)


def _of_targets(targets: Sequence[Target], named: Sequence[Watched], settings: "Settings") -> list[Watched]:
    """The queues of targets that are not named already: each once, unless all its targets leave it out."""
    known = {_place(one.entity) for one in named}
    found: dict[str, Watched] = {}
    for target in targets:
        queue = target.queue_id
        if queue is None or not target.dead_letters:
            continue
        entity = _entity_of(queue, settings)
        if _place(entity) not in known:
            new = Watched(entity=entity, project=target.project or "", target_queue=queue)
            one = found.setdefault(queue.key, new)
            found[queue.key] = replace(one, owner=one.owner or target.owner or "")
    queues = [one.target_queue for one in found.values() if one.target_queue]
    names = _names(queues, {one.name.lower() for one in named})
    return [replace(one, entity=replace(one.entity, name=names[key])) for key, one in found.items()]


def _names(queues: Sequence[QueueId], taken: Collection[str]) -> dict[str, str]:
    """By key, a name that no other has: the queue's, else with its namespace's (@ is in no name), else the whole id."""
    found: dict[str, str] = {}
    for form in _FORMS:
        written = {queue.key: form.format(queue) for queue in queues if queue.key not in found}
        times = Counter(name.lower() for name in written.values())
        found |= {key: name for key, name in written.items() if times[name.lower()] == 1 and name.lower() not in taken}
    return found


def _entity_of(queue: QueueId, settings: "Settings") -> Entity:
    """In Resource Manager's ids ~ stands for the / in a queue's name. The emulator has every namespace's queues."""
    emulated = _EMULATOR in settings.signals_namespace.lower()
    namespace = settings.signals_namespace if emulated else f"{queue.namespace.lower()}.{_DOMAIN}"
    return Entity(name=queue.queue, queue=queue.queue.replace("~", "/"), namespace=namespace)


def _place(entity: Entity) -> tuple[str, str]:
    """What is the same for two spellings of one entity."""
    return entity.host.lower(), entity.path.lower()


async def count(queues: QueueReader, ones: Sequence[Watched], within: timedelta) -> Counts:
    """How many dead letters the targets' queues among them have; those of the others are not counted."""
    wanted = {one.name: one.target_queue for one in ones if one.target_queue}
    counts = await queues.counts(list(wanted.values()), within)

    def of(queue: QueueId) -> int | NotCounted:
        known = counts.get(queue.key)
        if known is None:
            return NotCountedYet(f"{queue.queue} of {queue.namespace} is not counted yet. To do: ask again in a minute")
        if isinstance(known, Missing):
            return NotCounted(
                f"{queue.queue} of {queue.namespace} cannot be counted, and is not looked at before: {known.reason}"
            )
        return known.dead_letter

    return {name: of(queue) for name, queue in wanted.items()}


async def confirm(queues: QueueReader, one: Watched) -> None:
    """Let nobody touch the messages of a target's queue before Resource Manager has answered for its id.

    Raises:
        NotCounted: it has not.
    """
    counted = (await count(queues, [one], LATELY)).get(one.name)
    if isinstance(counted, NotCounted):
        raise counted


def may_hold_some(one: Watched, counts: Counts) -> bool:
    """Whether dead letters may wait there: some do, or nobody knows."""
    return counts.get(one.name) != 0


async def look(dead_letters: DeadLetters, ones: Sequence[Watched], counts: Counts) -> list[Looked]:
    """What each holds; one that cannot be read says so and hides no other."""
    slots = asyncio.Semaphore(_AT_ONCE)
    silent: dict[str, DeadLetterFailure] = {}

    async def at(one: Watched) -> Looked:
        counted = counts.get(one.name)
        if isinstance(counted, NotCounted):
            return Looked(watched=one, found=counted)
        if counted == 0:
            return Looked(watched=one, found=Overview(count=0, complete=True, oldest_at=None, reasons={}), counted=0)
        async with slots:
            return Looked(watched=one, found=await messages_of(one), counted=counted)

    async def messages_of(one: Watched) -> Overview | DeadLetterFailure:
        host = one.entity.host
        if one.target_queue and host in silent:  # hundreds of half minutes would be hours
            return BrokerUnreachable(f"{one.entity} was not asked, because its namespace is silent: {silent[host]}")
        try:
            return await dead_letters.look(one.entity)
        except DeadLetterFailure as failure:
            if isinstance(failure, BrokerUnreachable):
                silent[host] = failure
            return failure

    return list(await asyncio.gather(*(at(one) for one in ones)))
