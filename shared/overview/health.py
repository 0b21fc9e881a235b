"""Whether Watchkeeper itself is well: its policy, its timers and chores, its secrets, and what it does not watch."""

from datetime import datetime
from typing import TYPE_CHECKING

from shared.loops.secret_expiry import USED_WITHIN
from shared.overview.parts import MOST, Plain, Shown, text
from shared.policy.unwatched import unwatched_of
from shared.records.heartbeats import WATCHED, silent

if TYPE_CHECKING:
    from shared.services import Services


async def policy(made: "Services", _now: datetime) -> Shown:
    """Every document's version in force, and which are refused."""
    current = await made.policies.current()
    documents = made.policies.documents
    refused = [state.source for state in documents if state.refused is not None]
    views = [
        {
            "document": state.source,
            "version": state.etag,
            "since": text(state.since),
            "refused": state.refused is not None,
        }
        for state in documents
    ]
    words = [f"A new version of {source} is refused: GET /api/policy" for source in refused]
    if made.policies.list_refused is not None:
        words.append("The projects' documents cannot be listed: GET /api/policy")
    view: Plain = {"version": current.version_hash, "targets": len(current.targets), "documents": views}
    return Shown(view | {"refused": refused}, tuple(words))


async def unwatched(made: "Services", _now: datetime) -> Shown:
    from shared.upkeep.unwatched import look

    found = unwatched_of(await look(made))
    words = (f"Workspaces that nobody watches: {len(found)} (GET /api/policy/unwatched)",) if found else ()
    return Shown({"count": len(found), "workspaces": list(found[:MOST])}, words)


async def timers(made: "Services", now: datetime) -> Shown:
    """The last signs of life of both timers, and the chores that fail."""
    known = await made.stores.progress.all()
    stopped = silent(known, now)
    beats = {timer: known.get(row) for timer, row in WATCHED.items()}
    failing = {name: known[name] for name in sorted(known) if known[name].failures}
    view = {
        **{timer: None if beat is None else text(beat.began_at) for timer, beat in beats.items()},
        "stopped": sorted(stopped),
        "chores_failing": [
            {"chore": name, "failures_in_a_row": one.failures, "said": one.said} for name, one in failing.items()
        ],
    }
    words = [f"The {timer} timer has stopped: no sign of life since {since}" for timer, since in stopped.items()]
    words += [f"The chore {name} fails: {one.said}" for name, one in failing.items()]
    return Shown(view, tuple(words))


async def secrets(made: "Services", now: datetime) -> Shown:
    """The secrets in use, as any user of them would find them now; never a value."""
    from shared.estate.secrets import SecretFailure

    reader = made.secrets
    uses = await reader.uses.since(reader.vault_name, now - USED_WITHIN)
    names = sorted({use.name for use in uses} | {state.name for state in reader.states()})
    unusable: Plain = {}
    for name in names:
        try:
            await reader.peek(name)
        except SecretFailure as failure:
            unusable[name] = str(failure)
    words = tuple(f"The secret {name} cannot be used: {why}" for name, why in unusable.items())
    return Shown({"vault": made.settings.vault_url or None, "in_use": len(names), "unusable": unusable}, words)
