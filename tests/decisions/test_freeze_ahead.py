"""For how long a size must suffice: a cold start, or all of a freeze that is ahead."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from shared.decisions.scaling.freezes import horizon_s
from shared.decisions.scaling.schedule import lead_s
from tests.decisions.builders import NOW, snapshot

cold_starts = st.floats(0, 3600)


@given(cold_starts, st.floats(-86_400, 86_400), st.floats(1, 86_400))
def test_until_its_end_and_a_cold_start_if_it_begins_before_a_second_order_could_help(
    cold_start_s: float, begins_in_s: float, lasts_s: float
) -> None:
    begins = NOW + timedelta(seconds=begins_in_s)
    ends = begins + timedelta(seconds=lasts_s)
    horizon = horizon_s(snapshot(freeze_begins_at=begins, freeze_ends_at=ends), NOW, cold_start_s)
    rest_s = (ends - NOW).total_seconds()
    if rest_s <= 0 or (begins - NOW).total_seconds() > lead_s(cold_start_s):
        assert horizon == cold_start_s
    else:
        assert horizon == rest_s + cold_start_s
    assert horizon >= cold_start_s


@given(cold_starts)
def test_without_a_freeze_a_cold_start(cold_start_s: float) -> None:
    assert horizon_s(snapshot(), NOW, cold_start_s) == cold_start_s
