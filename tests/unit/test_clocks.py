"""What one machine can know of another's clock."""

import pytest
from cgidhost import clocks
from cgidhost.clocks import Offset, RoundTrip
from hypothesis import given
from hypothesis import strategies as st

MS = 1_000_000


@given(
    offset_ns=st.integers(-(10**12), 10**12),
    trips=st.lists(
        st.tuples(st.integers(0, 10**12), st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=9
    ),
)
def test_the_true_offset_is_within_the_uncertainty_whatever_the_two_ways_took(
    offset_ns: int, trips: list[tuple[int, int, int]]
) -> None:
    seen = [RoundTrip(sent, sent + there + offset_ns, sent + there + back) for sent, there, back in trips]

    got = clocks.estimate(seen)

    assert abs(got.offset_ns - offset_ns) <= got.uncertainty_ns
    assert got.uncertainty_ns <= min(there + back for _, there, back in trips) / 2 + 1


def test_the_quickest_round_trip_decides() -> None:
    slow, quick = RoundTrip(0, 90 * MS, 100 * MS), RoundTrip(200 * MS, 206 * MS, 204 * MS)

    assert clocks.estimate([slow, quick]) == Offset(4 * MS, 2 * MS)


@pytest.mark.parametrize(
    ("offset_ns", "uncertainty_ns", "refused"),
    [(900 * MS, 50 * MS, False), (-900 * MS, 50 * MS, False), (3000 * MS, 5 * MS, True), (960 * MS, 50 * MS, True)],
    ids=["within", "behind, within", "three seconds", "perhaps beyond"],
)
def test_a_clock_is_refused_where_it_may_be_further_off_than_the_bound(
    offset_ns: int,
    uncertainty_ns: int,
    refused: bool,  # noqa: FBT001 -- what a case expects
) -> None:
    said = clocks.too_far("g1", Offset(offset_ns, uncertainty_ns), 1.0)

    assert bool(said) is refused
    assert not said or ("g1" in said and "max_clock_offset_s" in said)


def test_a_clock_that_was_set_during_a_trial_is_told_from_one_that_is_only_read_badly() -> None:
    before = Offset(5 * MS, 8 * MS)

    assert clocks.moved("g1", before, Offset(25 * MS, 8 * MS)) == ""
    assert "g1 moved by 500 ms" in clocks.moved("g1", before, Offset(505 * MS, 8 * MS))


def test_an_offset_between_two_readings_is_their_mean_and_as_unsure_as_their_difference_makes_it() -> None:
    assert clocks.over(Offset(10 * MS, 4 * MS), Offset(20 * MS, 6 * MS)) == Offset(15 * MS, 11 * MS)
    assert clocks.over(Offset(10 * MS, 4 * MS), None) == Offset(10 * MS, 4 * MS)


def test_a_start_is_set_later_where_messages_take_longer() -> None:
    near, far = [RoundTrip(0, 0, MS)], [RoundTrip(0, 0, MS), RoundTrip(0, 0, 400 * MS)]

    assert clocks.lead_ns(far) - clocks.lead_ns(near) >= 400 * MS
