"""Figures in the order of time: memory and start-up within a window."""

from collections.abc import Sequence

import numpy as np

MIN_SERIES_POINTS = 4


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
