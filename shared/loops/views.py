"""What operators see of targets and of the ledger, as plain JSON values."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.domain import Act, Action, Decision, Fresh, Measurement, Missing, Mode, TargetRecord
from shared.loops.looks import Look, is_pending
from shared.loops.reckoning import reckoned
from shared.policy import Policy, Target
from shared.records.chain import StoredEntry
from shared.records.codec import to_plain
from shared.records.controls import Controls, Pause
from shared.records.state import EndpointState
from shared.safety.gates import GateState

Plain = dict[str, Any]


def target_view(policy: Policy, target: Target, mode: Mode, controls: Controls, state: EndpointState) -> Plain:
    """A target with what is stored of it: mode, pause, known capacity, order, action, standing intents."""
    key = target.deployment_id.key
    record = state.targets.get(key)
    desired, action = _value(state.desired.get((key, "capacity"))), _value(state.actions.get((key, "capacity")))
    return {
        **_named(target, mode, controls),
        "capacity": record.value.known_capacity if record else None,
        "holds_counted": record.value.holds if record else 0,
        "last_look": None if record is None else _last_look(record.value),
        "order": _order_view(desired, action),
        "last_action": None if action is None else to_plain(action),
        "standing_intents": [to_plain(row.value) for row in state.intents if row.value.target == key],
        "scaling": target.scaling.model_dump(mode="json"),
        "policy": policy.version_hash,
    }


def unread_target_view(target: Target, mode: Mode, controls: Controls, error: Exception) -> Plain:
    """A target of which what is stored could not be read, and why."""
    return {**_named(target, mode, controls), "problem": f"What is stored of it could not be read: {error}"}


def _named(target: Target, mode: Mode, controls: Controls) -> Plain:
    place = target.place("scaling")
    pause = controls.pause_for(place)
    return {
        "name": target.name,
        "deployment": target.deployment,
        "queue": target.queue,
        "load": None if target.load is None else target.load.model_dump(mode="json"),
        "owner": target.owner,
        "mode": mode,
        "paused": None if pause is None else pause_view(pause),
        "kill_switch": controls.kill_for(place) is not None,
    }


def pause_view(pause: Pause) -> Plain:
    """Who holds what, why and until when (None: until it is resumed)."""
    return {
        "scope": pause.scope,
        "reason": pause.reason,
        "by": pause.by,
        "at": pause.at.isoformat(),
        "expires_at": None if pause.expires_at is None else pause.expires_at.isoformat(),
    }


def _last_look(record: TargetRecord) -> Plain:
    since = record.last_rule_since
    return {
        "rule": record.last_rule,
        "reason": record.last_reason,
        "since": None if since is None else since.isoformat(),
    }


def _order_view(desired: Decision | None, action: Action | None) -> Plain | None:
    if desired is None or not is_pending(desired, action):
        return None
    sent = action is not None and action.key == desired.id
    return {
        "decision": desired.id,
        "from": desired.current,
        "to": desired.to,
        "state": action.state if action is not None and sent else "waiting",
        "reason": desired.reason,
    }


def preview_view(look: Look, decision: Decision | None) -> Plain:
    """What would be decided now and why, with the numbers."""
    intent = look.intents[0]
    reason = intent.reason if decision is None else decision.reason
    return {
        "target": look.target.name,
        "sentence": f"{look.target.name}: {_verdict(decision)} {reason}",
        "decision": None if decision is None else to_plain(decision),
        "numbers": dict(intent.numbers),
        "reckoned": reckoned(
            look.snapshot, look.decided_on.scaling, look.target.rules, decision, look.snapshot.taken_at
        ),
        "measured": measurements(look),
        "intents": [to_plain(i) for i in look.intents],
    }


def gates_view(gates: Mapping[Act, Sequence[GateState]]) -> dict[str, list[Plain]]:
    """Every gate by the kind of change that it would let through or not, with its reason and remedy if it is shut."""
    return {act: [_gate_view(state) for state in states] for act, states in gates.items()}


def _gate_view(state: GateState) -> Plain:
    if state.shut is None:
        return {"gate": state.name, "open": True}
    return {
        "gate": state.name,
        "open": False,
        "code": state.shut.code,
        "reason": state.shut.reason,
        "remedy": state.shut.remedy,
    }


def _verdict(decision: Decision | None) -> str:
    if decision is None:
        return "nothing can be decided."
    if not decision.changes:
        return f"stays at {decision.current} ({decision.rule})."
    return f"{decision.current} -> {decision.to} ({decision.rule})."


def measurements(look: Look) -> dict[str, str]:
    """Every measurement of a snapshot with its age and source, in words."""
    seen = look.snapshot
    named: Mapping[str, Measurement] = {
        "depth": seen.depth,
        "dead_letters": seen.dead_letters,
        "arrivals_per_s": seen.arrivals_per_s,
        "completions_per_s": seen.completions_per_s,
        "capacity": seen.capacity,
        "ready": seen.ready,
        "quota_headroom": seen.quota_headroom,
    }
    optional = {
        "service_rate_per_s": seen.service_rate_per_s,
        "latency_p95_s": seen.latency_p95_s,
        "utilization_pct": seen.utilization_pct,
    }
    known = {name: m for name, m in optional.items() if m is not None}
    return {name: _measured(m, look) for name, m in {**named, **known}.items()}


def _measured(measurement: Measurement, look: Look) -> str:
    if isinstance(measurement, Missing):
        return f"missing: {measurement.reason} ({measurement.source})"
    age_s = (look.snapshot.taken_at - measurement.at).total_seconds()
    word = "fresh" if isinstance(measurement, Fresh) else "stale"
    return f"{measurement.value:g}, {word}, {max(0.0, age_s):.0f} s old ({measurement.source})"


def entry_view(entry: StoredEntry) -> Plain:
    """A ledger entry for a list: who, when, what, in words."""
    return {
        "id": entry.id,
        "at": entry.at.isoformat(),
        "kind": entry.kind,
        "target": entry.target,
        "loop": entry.loop,
        "summary": entry.summary,
        "row_hash": entry.row_hash,
    }


def _value(row: Any) -> Any:
    return row.value if row else None
