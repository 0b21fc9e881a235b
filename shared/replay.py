"""Decides recorded decisions again, offline: what the ledger kept must lead to the same intents and decision.

`python -m shared.replay FILE.jsonl` reads lines as the ledger exports them and says of each decision whether it comes
out bit for bit as recorded, and whether the line is still as it was written. The exit code is 1 if any does not.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, cast

from pydantic import JsonValue, ValidationError

from shared.decisions.arbitration import Subject, arbitrate
from shared.domain import Decision, Fresh, Intent, ScalingSnapshot, TargetRecord
from shared.loops.base import Loop
from shared.loops.engine import discover_loops
from shared.policy import Target
from shared.records.chain import LINK, LedgerEntry, hash_text
from shared.records.codec import canonical_json, from_plain, to_plain
from shared.records.errors import CorruptRow, SchemaTooNew
from shared.records.exported import lines_of

if TYPE_CHECKING:
    from shared.estate.reader import EstateReader

_FIELDS = ("decision", "intents", "snapshot", "record", "target")


@dataclass(frozen=True, slots=True)
class Replay:
    """Whether a decision comes out as recorded; else `differences` are sentences that say where not, or why unknown."""

    matches: bool
    differences: tuple[str, ...] = ()


class NotReplayable(ValueError):
    """The entry cannot be decided again; the message says why and what to do."""


class _NothingToRead:
    """A replay has only what was recorded: a decision that looks at the estate is no pure function."""

    def __getattr__(self, name: str) -> NoReturn:
        raise NotReplayable(f"the decision tried to read the estate ({name}): it does not rest on its snapshot alone")


def replay(body: Mapping[str, JsonValue], loop_name: str = "scaling") -> Replay:
    """Decide again what the ledger entry of a decision rests on. Never raises on the content of an entry."""
    try:
        return _compare(body, _loop(loop_name))
    except SchemaTooNew as error:
        return Replay(False, (f"A newer release wrote it: {error}.",))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(str(step) for step in first["loc"])
        return Replay(False, (f"Its target is none that this release knows: {path}: {first['msg']}.",))
    except (CorruptRow, NotReplayable) as error:
        return Replay(False, (f"It cannot be decided again: {error}.",))


def _compare(body: Mapping[str, JsonValue], loop: Loop) -> Replay:
    missing = [name for name in _FIELDS if name not in body]
    if missing:
        raise NotReplayable(f"the entry lacks {', '.join(missing)}")
    recorded = from_plain(Decision, body["decision"])
    snapshot = from_plain(ScalingSnapshot, body["snapshot"])
    record = from_plain(TargetRecord, body["record"])
    target = Target.model_validate(body["target"])
    plain_intents = body["intents"]
    if not isinstance(plain_intents, list):
        raise NotReplayable("its intents are no list")
    intents = [from_plain(Intent, plain) for plain in plain_intents]
    own, _ = loop.decide(snapshot, record, target, recorded.at)
    others = [intent for intent in intents if intent.source != loop.name]
    decision = _decide(recorded, snapshot, record, [*others, *own])
    differences = [
        *_intent_differences([intent for intent in intents if intent.source == loop.name], own),
        *_differences("decision", to_plain(recorded), to_plain(decision)),
    ]
    if body.get("plan") != decision.plan_hash:
        differences.append(f"The plan is recorded as {body.get('plan')}, now it is {decision.plan_hash}.")
    return Replay(not differences, tuple(differences))


def _decide(recorded: Decision, snapshot: ScalingSnapshot, record: TargetRecord, intents: Sequence[Intent]) -> Decision:
    """The arbitration; the policy's version is the recorded one, because the whole policy is not in the entry."""
    if not isinstance(snapshot.capacity, Fresh):
        raise NotReplayable("its snapshot has no fresh capacity, and so nothing could have been decided on it")
    subject = Subject(
        current=int(snapshot.capacity.value), policy_version=recorded.policy_version, decisions=record.decisions
    )
    endpoint = recorded.target.rsplit("/deployments/", 1)[0]
    return arbitrate({recorded.target: subject}, intents, recorded.at, endpoint)[recorded.target]


def _intent_differences(recorded: Sequence[Intent], again: Sequence[Intent]) -> Iterator[str]:
    if len(recorded) != len(again):
        yield f"The loop's intents are recorded as {len(recorded)}, now they are {len(again)}."
    for before, after in zip(recorded, again, strict=False):
        yield from _differences(f"intent {before.rule}", to_plain(before), to_plain(after))


def _differences(name: str, recorded: JsonValue, again: JsonValue) -> Iterator[str]:
    """A sentence for each innermost place in which two JSON values differ."""
    if isinstance(recorded, dict) and isinstance(again, dict):
        for key in sorted(recorded.keys() | again.keys()):
            yield from _differences(f"{name}.{key}", recorded.get(key), again.get(key))
    elif canonical_json(recorded) != canonical_json(again):
        yield f"{name} is recorded as {canonical_json(recorded)}, now it is {canonical_json(again)}."


def _loop(name: str) -> Loop:
    loops = {loop.name: loop for loop in discover_loops(cast("EstateReader", _NothingToRead()))}
    if name not in loops:
        raise NotReplayable(f"this release has no loop {name!r}, only {', '.join(sorted(loops))}")
    return loops[name]


def replay_line(line: str) -> tuple[LedgerEntry, Replay | None]:
    """The entry of an exported line, and its replay; None for entries that are no decisions.

    Raises:
        SchemaTooNew, CorruptRow: it is no line of the ledger that this release can read.
    """
    try:
        plain = json.loads(line)
    except ValueError as error:
        raise CorruptRow(f"not JSON: {error}") from error
    if not isinstance(plain, dict):
        raise CorruptRow("not a JSON object")
    row_hash = plain.pop("row_hash", None)
    entry = LINK.from_plain(plain).entry
    if entry.kind != "decision":
        return entry, None
    again = replay(entry.body, entry.loop)
    if hash_text(canonical_json(plain)) != row_hash:
        changed = "The line is not what the ledger wrote: its hash differs."
        return entry, Replay(False, (changed, *again.differences))
    return entry, again


def main(arguments: Sequence[str] | None = None) -> int:
    """Replays files; the exit code is 1 if a decision does not replay or a line cannot be read."""
    parser = argparse.ArgumentParser(prog="python -m shared.replay", description=__doc__)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="lines as the ledger exports them")
    return max(_replay_file(file) for file in parser.parse_args(arguments).files)


def _replay_file(file: Path) -> int:
    decisions = failures = 0
    try:
        lines = lines_of(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        print(f"{file}: cannot be read: {error}")
        return 1
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            entry, outcome = replay_line(line)
        except (SchemaTooNew, CorruptRow) as error:
            failures += 1
            print(f"{file}:{number}: {error}")
            continue
        decisions += outcome is not None
        for difference in outcome.differences if outcome else ():
            print(f"{file}:{number}: {entry.target} {entry.id}: {difference}")
        failures += outcome is not None and not outcome.matches
    print(f"{file}: {decisions} decision{'' if decisions == 1 else 's'} decided again, {failures or 'no'} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
