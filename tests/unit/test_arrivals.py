"""The schedule of an open loop, as the host's helper makes it before the load begins."""

from collections import Counter
from typing import Any

import numpy as np
import pytest
from cgidhost.arrivals import Arrivals, due_us
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

WARMUP_S, WINDOW_S, SPARE_S = 1.0, 6.0, 0.2
STAGES = ((100.0, 2.0), (600.0, 1.0), (50.0, 3.0))


def asked(kind: str, **changes: Any) -> Arrivals:  # noqa: ANN401 -- fields of any type
    """Return arrivals of 300 a second, with some of them changed."""
    base = {"rate": 300.0, "burst_requests": 100, "rate_from": 100.0, "stages": STAGES, "seed": "1:1:1"}
    return Arrivals(kind=kind, **{**base, **changes})


def due(arrivals: Arrivals) -> list[int]:
    return due_us(arrivals, WARMUP_S, WINDOW_S, SPARE_S)


def within(moments: list[int], begin_s: float, end_s: float) -> int:
    return sum(begin_s * 1e6 <= at < end_s * 1e6 for at in moments)


KINDS = ("constant", "poisson", "bursts", "ramp", "stages")


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_is_in_order_and_lasts_as_long_as_the_load(kind: str) -> None:
    moments = due(asked(kind))

    assert moments == sorted(moments)
    assert moments[0] >= 0
    assert moments[-1] < (WARMUP_S + WINDOW_S + SPARE_S) * 1e6


def test_an_even_rate_is_sent_at_equal_distances() -> None:
    gaps = np.diff(due(asked("constant")))

    assert within(due(asked("constant")), WARMUP_S, WARMUP_S + WINDOW_S) == 300 * WINDOW_S
    assert gaps.min() >= 3333
    assert gaps.max() <= 3334


def test_poissons_gaps_have_their_mean_and_are_exponential() -> None:
    """Their standard deviation is their mean, so that the mean of n is right to 4 by the root of n."""
    gaps_s = np.diff(due_us(asked("poisson"), 0.0, 100.0, 0.0)) / 1e6

    assert gaps_s.mean() == pytest.approx(1 / 300, rel=4 / len(gaps_s) ** 0.5)
    assert stats.kstest(gaps_s, "expon", args=(0, 1 / 300)).pvalue > 0.01
    # and an even rate, or one that is random in another way, is found to be none
    assert stats.kstest(np.random.default_rng(1).uniform(0, 2 / 300, 30_000), "expon", args=(0, 1 / 300)).pvalue < 1e-6


def test_the_same_seed_gives_the_same_schedule_and_another_seed_another() -> None:
    assert due(asked("poisson")) == due(asked("poisson"))
    assert due(asked("poisson")) != due(asked("poisson", seed="1:2:1"))


def test_a_longer_window_does_not_change_what_came_before() -> None:
    shorter = due_us(asked("poisson"), 1.0, 2.0, 0.0)

    assert due_us(asked("poisson"), 1.0, 9.0, 0.0)[: len(shorter)] == shorter


@pytest.mark.parametrize(
    ("size", "rate", "count"), [(100, 300.0, 18), (600, 300.0, 3), (1200, 600.0, 3), (1, 50.0, 300)]
)
def test_bursts_have_the_size_that_was_asked_and_are_as_many_as_the_mean_rate_says(
    size: int, rate: float, count: int
) -> None:
    moments = due(asked("bursts", burst_requests=size, rate=rate))
    in_window = Counter(at for at in moments if WARMUP_S * 1e6 <= at < (WARMUP_S + WINDOW_S) * 1e6)

    assert set(Counter(moments).values()) == {size}
    assert len(in_window) == count
    assert within(moments, WARMUP_S, WARMUP_S + WINDOW_S) == rate * WINDOW_S
    first_s, last_s = min(in_window) / 1e6, max(in_window) / 1e6
    assert first_s - WARMUP_S == pytest.approx(size / rate / 2, abs=1e-5), "none is at an edge of the window"
    assert WARMUP_S + WINDOW_S - last_s == pytest.approx(size / rate / 2, abs=1e-5)


@given(begin=st.integers(1, 2000), end=st.integers(1, 2000))
def test_a_ramp_sends_the_mean_of_its_rates_and_more_where_it_is_steeper(begin: int, end: int) -> None:
    moments = due(asked("ramp", rate_from=float(begin), rate=float(end)))
    first, second = (within(moments, WARMUP_S + a, WARMUP_S + b) for a, b in ((0, 3), (3, 6)))

    assert first + second == pytest.approx((begin + end) / 2 * WINDOW_S, abs=1)
    assert first == pytest.approx((3 * begin + end) / 4 * 3, abs=1)
    assert within(moments, 0, WARMUP_S) == pytest.approx(begin * WARMUP_S, abs=1)


def test_each_stage_has_its_rate() -> None:
    moments = due(asked("stages"))
    begins_s = [WARMUP_S, WARMUP_S + 2, WARMUP_S + 3]

    counts = [within(moments, at, at + length_s) for at, (_, length_s) in zip(begins_s, STAGES, strict=True)]

    assert counts == [200, 600, 150]
    assert within(moments, 0, WARMUP_S) == 100


@pytest.mark.parametrize("kind", KINDS)
def test_several_machines_send_together_what_one_would(kind: str) -> None:
    """Their load lasts longer than the server's window, by the same at both ends."""
    alone = due(asked(kind))
    parts = [due_us(asked(kind, part=n, parts=3), WARMUP_S, WINDOW_S, SPARE_S) for n in range(3)]
    apart = due_us(asked(kind, margin_s=0.3), WARMUP_S - 0.3, WINDOW_S + 0.6, SPARE_S - 0.3 + 0.1)

    assert sorted(at for part in parts for at in part) == alone
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    if kind != "poisson":  # its rate is the same at all times, and nothing has to be aligned with the window
        assert within(apart, WARMUP_S, WARMUP_S + WINDOW_S) == within(alone, WARMUP_S, WARMUP_S + WINDOW_S)
