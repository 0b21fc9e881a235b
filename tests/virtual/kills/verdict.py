"""What must hold after a crash once things have come to rest: no double effect, nothing lost, nothing half done."""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from shared.domain import Decision, Notice, Outcome, act_of
from shared.records.chain import StoredEntry
from shared.records.codec import from_plain
from shared.records.errors import CorruptRow
from shared.records.signals import SIGNAL
from shared.safety.blast_radius import budget_name
from shared.upkeep.ledger_archive import archive_of
from tests.virtual.kills.course import Course
from tests.virtual.kills.scenarios import Scenario, bad
from tests.virtual.test_dead_letters import dead

DAY = timedelta(days=1)


@dataclass(slots=True)
class Facts:
    """What a run came to, comparable between runs: no ids, no times."""

    changes: list[tuple[str, str, Any]] = field(default_factory=list)
    capacity: int = 0
    signals: Counter[tuple[str, str]] = field(default_factory=Counter)
    decisions: Counter[tuple[int, int]] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    approvals: Counter[str] = field(default_factory=Counter)
    quarantine: Counter[tuple[str, tuple[str, ...]]] = field(default_factory=Counter)
    controls: set[str] = field(default_factory=set)
    standing: set[str] = field(default_factory=set)
    told: set[tuple[str, str, str]] = field(default_factory=set)
    reached: set[tuple[str, str, str]] = field(default_factory=set)
    removed: set[int] = field(default_factory=set)
    buried: int = 0


async def all_entries(course: Course) -> list[StoredEntry]:
    """Every entry that the ledger still has, oldest first."""
    arena = course.arena
    since, until = arena.opened_at - DAY, course.death.now() + DAY
    page = await arena.made.stores.ledger.query(since, until, limit=500)
    assert page.next_cursor is None
    return list(reversed(page.entries))


async def facts_of(course: Course) -> Facts:
    """What this run came to."""
    arena, made = course.arena, course.arena.made
    facts = Facts(capacity=arena.capacity())
    unseen = await _never_arrived(course)
    facts.changes = [(one.method, one.path.rsplit("/", 1)[-1], (one.body or {}).get("sku")) for one in arena.patches()]
    for entry in await all_entries(course):
        if entry.kind == "signal":
            signal = SIGNAL.from_plain(entry.body["signal"])
            facts.signals[signal.source, signal.id] += 1
        elif entry.kind == "decision" and entry.id not in unseen:
            decision = from_plain(Decision, entry.body["decision"])
            facts.decisions[decision.current, decision.to] += 1
        elif entry.kind == "outcome":
            outcome = from_plain(Outcome, entry.body["outcome"])
            if outcome.action_key in unseen:
                continue
            # Why Azure failed is at the operation's URL, which a death may take along; that it failed is read back.
            facts.outcomes[outcome.kind, "" if outcome.kind == "failed" else outcome.code] += 1
        elif entry.kind == "control":
            facts.controls.add(_timeless(entry.summary))
        elif entry.kind == "approval":
            facts.approvals[entry.summary.partition(":")[0].partition(" (")[0]] += 1
    for one in (await made.intake.quarantine.query(limit=500)).entries:
        facts.quarantine[one.state, tuple(closing.how for closing in one.closings)] += 1
    controls = await made.stores.controls.load(course.death.now())
    facts.standing = {f"pause {scope}" for scope in controls.pauses}
    facts.standing |= {f"kill {scope}" for scope in controls.kill_switches}
    facts.standing |= {f"exempt {one.scope}" for one in (await made.stores.gates.load()).exemptions.stored}
    for posted in await _notices(course):
        notice = posted.notice
        facts.told.add((notice.kind, _timeless(notice.subject), posted.state))
    facts.reached = {(one.way, one.address, _timeless(_subject(one.body))) for one in arena.world.cloud.inbox}
    facts.buried = len(dead(arena))
    catalogue = await archive_of(made).catalogue()
    facts.removed = {one.entries for one in catalogue.values() if one.removed_at is not None}
    return facts


async def _never_arrived(course: Course) -> set[str]:
    """Decisions whose request, or Azure's refusal of it, died with the process, and that are decided again later.

    On a deployment that was failed before, that the request did not arrive cannot be told from that it failed: it
    counts as failed. On another it is read back that nothing came of it, and what is decided next replaces it.
    """
    arrived = {one.client_request_id for one in course.arena.patches()}
    entries = [one for one in await all_entries(course) if one.kind == "outcome"]
    ends = [(from_plain(Outcome, one.body["outcome"]), one.body.get("action")) for one in entries]
    return {
        outcome.action_key
        for outcome, action in ends
        if (outcome.code == "operation_failed" or (outcome.code == "newer_decision" and outcome.sends > 0))
        and isinstance(action, Mapping)
        and action["request_id"] not in arrived
    }


def _timeless(words: str) -> str:
    """Without times and ports: after a crash everything is later, and every world has its own. An id may be in it. An
    operator who got no answer asks again, and may be told that it is done already.
    """
    words = re.sub(r", (which was not \w+|where it was not on)", "", words)
    return re.sub(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?|:\d{4,5}\b|\b[0-9a-f]{32}\b", "*", words)


def _subject(body: Any) -> str:
    if isinstance(body, Mapping):
        content = body.get("content")
        return str(content.get("subject", "")) if isinstance(content, Mapping) else ""
    return ""


async def _notices(course: Course) -> list[Any]:
    arena = course.arena
    since, until = arena.opened_at - DAY, course.death.now() + DAY
    page = await arena.made.stores.outbox.query(since=since, until=until, limit=500)
    return list(page.notices)


async def problems_of(course: Course, scenario: Scenario, expected: Facts | None) -> list[str]:
    """Everything that is wrong now, a sentence each; `expected` is what the run came to that nobody killed."""
    problems = []
    for check in (_ends, _approvals, _claims, _bodies, _outbox, _archive, _places, _turns, _chains, _orchestrations):
        problems += await check(course, scenario)
    if expected is not None:
        facts = await facts_of(course)
        for name in Facts.__slots__:
            got, wanted = getattr(facts, name), getattr(expected, name)
            if got != wanted:
                problems.append(f"{name}: {_difference(got, wanted)}")
    return problems


def _difference(got: Any, wanted: Any) -> str:
    if isinstance(got, Counter):
        return f"too many {dict(got - wanted)}, missing {dict(wanted - got)}"
    if isinstance(got, set):
        return f"too many {sorted(got - wanted)}, missing {sorted(wanted - got)}"
    return f"{got}, not {wanted}"


async def _ends(course: Course, _: Scenario) -> list[str]:
    """Every decision that was to be carried out has exactly one end; what was sent is recorded."""
    entries = await all_entries(course)
    ends = Counter(from_plain(Outcome, one.body["outcome"]).action_key for one in entries if one.kind == "outcome")
    problems = []
    for entry in entries:
        if entry.kind == "decision" and entry.body.get("mode") == "enforce" and ends[entry.id] != 1:
            problems.append(f"decision {entry.id} has {ends[entry.id]} ends")
    problems += [f"{key} has {count} ends" for key, count in ends.items() if count > 1]
    async for state in course.arena.made.stores.state.load_all(course.death.now()):
        for (target, dimension), row in state.actions.items():
            if not row.value.is_over or not row.value.recorded:
                problems.append(f"the action on {dimension} of {target} is {row.value.state}")
    return problems


async def _approvals(course: Course, _: Scenario) -> list[str]:
    store = course.arena.made.stores.approvals.store
    problems = [f"approval {one} is still marked as open" for one in await store.open_marks()]
    now = course.death.now()
    page = await store.query(course.arena.opened_at - DAY, now + DAY, limit=500)
    used = [one.id for one in page.requests if one.state == "used"]
    sent = {one.client_request_id for one in course.arena.patches()}
    if page.requests and len(sent) > len(used):
        problems.append(f"{len(sent)} changes were sent with {len(used)} approvals")
    entries = Counter(one.summary for one in await all_entries(course) if one.kind == "approval")
    problems += [f"{count} times in the ledger: {words}" for words, count in entries.items() if count > 1]
    for one in page.requests:
        if len({answer.who for answer in one.answers}) != len(one.answers):
            problems.append(f"approval {one.id} counts an answer twice")
    return problems


async def _claims(course: Course, _: Scenario) -> list[str]:
    """Each signal is in the ledger once, and nobody is at one any more."""
    ids = Counter(one.id for one in await all_entries(course) if one.kind == "signal")
    problems = [f"signal {one} is in the ledger {count} times" for one, count in ids.items() if count > 1]
    claims = course.arena.made.intake._claims
    left = [row.value.signal.id async for row in claims.left(course.death.now() + DAY)]
    return problems + [f"the claim of signal {one} was left in the middle" for one in left]


async def _bodies(course: Course, scenario: Scenario) -> list[str]:
    """What could not be read is kept, byte for byte."""
    problems = []
    quarantine = course.arena.made.intake.quarantine
    for body in (bad(course.arena, number) for number in range(scenario.malformed)):
        entry_id = hashlib.sha256(body).hexdigest()[:32]
        try:
            kept = await quarantine.body(entry_id) if await quarantine.get(entry_id) is not None else b""
        except CorruptRow:
            kept = b""
        if kept != body:
            problems.append(f"the malformed body {body!r} was lost")
    return problems


async def _archive(course: Course, _: Scenario) -> list[str]:
    """What was exported of a day is all that the ledger has of it."""
    kept = Counter(one.day for one in await all_entries(course))
    catalogue = await archive_of(course.arena.made).catalogue()
    exported = {day: one.entries for day, one in catalogue.items() if one.removed_at is None}
    return [
        f"{count} entries of {day} were exported, the ledger has {kept[day]}"
        for day, count in exported.items()
        if count != kept[day]
    ]


async def _outbox(course: Course, _: Scenario) -> list[str]:
    """Every notice has its end and its receipt, no mark is left, and what came twice came under one id."""
    arena = course.arena
    outbox = arena.made.stores.outbox
    work = await outbox.work()
    problems = [f"notice {one} has not ended" for one in work.open]
    problems += [f"{channel} still waits for {len(waits)}" for channel, waits in work.waiting.items()]
    receipts = Counter(str(one.body["told"]) for one in await all_entries(course) if one.body.get("told"))
    for posted in await _notices(course):
        notice: Notice = posted.notice
        ways = [row.value for row in await outbox.deliveries(notice.id)]
        if ways and receipts[notice.id] != 1 and await _is_kept(course, notice):
            problems.append(f"notice {notice.id} has {receipts[notice.id]} receipts in the ledger")
        if (posted.state == "nobody") != (not ways):
            problems.append(f"notice {notice.id} is {posted.state} and has {len(ways)} deliveries")
    mails = Counter((one.address, _subject(one.body), str(one.body)) for one in arena.world.cloud.inbox.of("mail"))
    problems += [f"{who} was reached twice by {subject!r}" for (who, subject, _), count in mails.items() if count > 1]
    for way in ("teams", "slack", "webhook"):
        strange = {one.id for one in arena.world.cloud.inbox.of(way)} - {p.notice.id for p in await _notices(course)}
        problems += [f"{way} was told {one}, which no notice is" for one in strange]
    return problems


async def _is_kept(course: Course, notice: Notice) -> bool:
    return (await archive_of(course.arena.made).catalogue()).get(notice.at.date()) is None


async def _places(course: Course, _: Scenario) -> list[str]:
    """Whatever was sent within the hour has its place in the budget of the blast radius."""
    made = course.arena.made
    records = await made.stores.gates.load()
    now, problems = course.death.now(), []
    for one in await all_entries(course):
        if one.kind != "outcome":
            continue
        outcome = from_plain(Outcome, one.body["outcome"])
        if outcome.sends == 0 or now - outcome.at > timedelta(minutes=40):
            continue
        decision = next((e for e in await all_entries(course) if e.id == outcome.action_key), None)
        if decision is None:
            continue
        planned = from_plain(Decision, decision.body["decision"])
        act = act_of(planned.dimension, planned.current, planned.to)
        counted = records.made.get(budget_name(act))
        if counted is None or outcome.action_key not in [change.key for change in counted.changes]:
            problems.append(f"the change of {outcome.action_key} has no place in its budget")
    return problems


async def _turns(course: Course, _: Scenario) -> list[str]:
    """No chore waits for a dead process, and none fails."""
    known = await course.arena.made.stores.progress.all()
    problems = [f"the turn of {name} was not taken over" for name, one in known.items() if one.is_running]
    return problems + [f"{name} fails: {one.said}" for name, one in known.items() if one.failures]


async def _chains(course: Course, _: Scenario) -> list[str]:
    made, arena = course.arena.made, course.arena
    problems = []
    day, last = arena.opened_at.date(), course.death.now().date()
    while day <= last:
        for endpoint in await made.stores.ledger.heads(day):
            problems += await made.stores.ledger.verify(day, endpoint)
        day += DAY
    catalogue = await archive_of(made).catalogue()
    for exported in catalogue:
        problems += await archive_of(made).verify_file(exported)
    return problems


async def _orchestrations(course: Course, _: Scenario) -> list[str]:
    states = await course.arena.app.host.client.get_all_orchestration_states()
    return [
        f"orchestration {one.instance_id} is {one.runtime_status.name}"
        for one in states
        if one.runtime_status.name != "COMPLETED"
    ]
