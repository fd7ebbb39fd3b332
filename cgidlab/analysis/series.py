"""Figures in the order of time: trend over a run, memory and start-up within a window."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats  # type: ignore[import-untyped]  # scipy ships no types

from cgidlab.analysis.intervals import Interval

MIN_TREND_POINTS = 5
MIN_SERIES_POINTS = 4


@dataclass(frozen=True, slots=True)
class Trend:
    """A straight line through points in time."""

    change: float  # from the first point to the last, in units of the values
    interval: Interval  # 95 %, of the change
    span: float  # from the first point to the last, in units of the times


def trend(times: Sequence[float], values: Sequence[float]) -> Trend | None:
    """Return the Theil-Sen line's change over the span; None below MIN_TREND_POINTS or without a span.

    Sen 1968, Journal of the American Statistical Association 63. The interval
    takes the points for independent: it is a warning light, not a test.
    """
    if len(times) < MIN_TREND_POINTS or min(times) == max(times):
        return None
    span = max(times) - min(times)
    found = stats.theilslopes(values, times, alpha=0.95)
    low, high = sorted((float(found.low_slope) * span, float(found.high_slope) * span))
    return Trend(float(found.slope) * span, Interval(low, high), span)


def autocorrelation(series: Sequence[float], lag: int = 1) -> float | None:
    """Return the correlation of a series with itself `lag` points later; None where it is not defined.

    The usual estimate (Box and Jenkins), biased towards 0 in short series.
    """
    x = np.asarray(series, dtype=float)
    if x.size <= lag + 1 or np.ptp(x) == 0:
        return None
    x = x - x.mean()
    return float((x[:-lag] * x[lag:]).sum() / (x * x).sum())


def start_log_ratio(series: Sequence[float]) -> float | None:
    """Return log(mean of the first quarter / mean of the rest); None for short series or without values.

    About 0 where the warm-up before the window was long enough.
    """
    if len(series) < MIN_SERIES_POINTS:
        return None
    cut = max(1, len(series) // 4)
    first, rest = float(np.mean(series[:cut])), float(np.mean(series[cut:]))
    return float(np.log(first / rest)) if first > 0 and rest > 0 else None
