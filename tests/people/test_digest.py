"""Floods: few messages, in order, none lost, the urgent ones at once."""

from datetime import timedelta
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain import ChannelState, Notice, NoticeKind, Severity
from shared.people.digest import Waiting, comes_singly, digest_of, plan
from shared.policy.notices import Digest
from tests.people.builders import NOW, delivery, notice

SETTINGS = Digest(window_s=300, limit=3)
arrivals = st.lists(
    st.tuples(
        st.integers(0, 3000),
        st.sampled_from(get_args(Severity)),
        st.sampled_from([kind for kind in get_args(NoticeKind) if kind != "digest"]),
    ),
    max_size=60,
)


def waiting(number: int, severity: Severity = "warning", kind: NoticeKind = "manual_change") -> Waiting:
    told = notice(number, severity=severity, kind=kind)
    return Waiting(told, delivery(told))


@given(arrivals, st.booleans())
@settings(max_examples=200, deadline=None)
def test_over_any_day_nothing_is_lost_and_little_is_sent(
    coming: list[tuple[int, Severity, NoticeKind]], quiet: bool
) -> None:
    """A run each 15 seconds, until a window after the last arrival."""
    queue: list[Waiting] = []
    sent: list[tuple[int, str]] = []
    digests: list[int] = []
    lane = ChannelState(name="oncall")
    for second in range(0, 3000 + 4 * 300, 15):
        now = NOW + timedelta(seconds=second)
        queue += [waiting(n, of, kind) for n, (at, of, kind) in enumerate(coming) if second - 15 < at <= second]
        todo = plan(queue, lane, SETTINGS, now, quiet=quiet)
        lane = ChannelState(name="oncall", window_started_at=todo.window_started_at, sent=todo.sent)
        gone = {one.notice.id for one in (*todo.single, *todo.digest)}
        sent += [(second, one.notice.id) for one in todo.single]
        digests += [second] if todo.digest else []
        assert not todo.digest or len(todo.digest) > 1
        assert all(comes_singly(one.notice) is False for one in todo.digest)
        assert all(not comes_singly(one.notice) or one.notice.id in gone for one in queue), "the urgent at once"
        queue = [one for one in queue if one.notice.id not in gone]
    assert queue == []
    ordinary = [second for second, name in sent if not comes_singly(_by_id(coming, name))]
    for start in (*ordinary, *digests):
        within = [second for second in (*ordinary, *digests) if start <= second < start + 300]
        assert len(within) <= 2 * (SETTINGS.limit + 1), "two windows may meet in any 300 seconds"


def _by_id(coming: list[tuple[int, Severity, NoticeKind]], name: str) -> Notice:
    number = int(name[9:15])
    _, severity, kind = coming[number]
    return notice(number, severity=severity, kind=kind)


def test_a_single_one_that_had_to_wait_is_no_digest() -> None:
    lane = ChannelState(name="x", window_started_at=NOW, sent=3)
    held = plan([waiting(1)], lane, SETTINGS, NOW + timedelta(seconds=299), quiet=False)
    assert (held.single, held.digest) == ((), ())
    later = plan([waiting(1)], lane, SETTINGS, NOW + timedelta(seconds=300), quiet=False)
    assert [one.notice.id for one in later.single] == [waiting(1).notice.id]


def test_a_digest_says_how_many_of_what_and_names_the_newest() -> None:
    members = [notice(n, subject=f"number {n}", at=NOW + timedelta(seconds=n)) for n in range(20)]
    told = digest_of(members, "oncall", 600, NOW)
    assert told.subject == "20 notices in 600 seconds: 20 x manual change"
    assert next(iter(told.facts.values())) == "number 19"
    assert len(told.facts) == 8
    assert told.id == digest_of(members, "oncall", 600, NOW + timedelta(minutes=1)).id
    assert told.id != digest_of(members, "mail ada@example.com", 600, NOW).id
