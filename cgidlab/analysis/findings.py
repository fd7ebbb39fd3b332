"""What an analysis finds: the values that verdict, report and summary are made from. No computation."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.analysis.intervals import Interval
from cgidlab.model import Repetitions, Status, VerdictRule

Combination = tuple[tuple[str, str], ...]  # factors and labels


def band(smallest: float) -> tuple[float, float]:
    """Return the log ratios between which a change does not matter: 5 % is 0.95 to 1.05."""
    return (math.log1p(-smallest) if smallest < 1 else -math.inf), math.log1p(smallest)


class Answer(StrEnum):
    """What an effect says about the smallest effect that matters."""

    COSTS_AT_LEAST = "costs_at_least"  # worse by at least that much
    EQUIVALENT = "equivalent"  # shown to change by less than that, either way
    GAINS_AT_LEAST = "gains_at_least"  # better by at least that much
    INCONCLUSIVE = "inconclusive"
    DESCRIBED = "described"  # the rule has no smallest effect for this response

    @classmethod
    def _missing_(cls, value: object) -> "Answer | None":
        """Return what older runs call by another name."""
        return cls.EQUIVALENT if value == "costs_less" else None


@dataclass(frozen=True, slots=True)
class Effect:
    """A response at a level against the same response at the reference level, within blocks.

    `estimate` and the intervals are ratios when `scale` is "ratio", and
    differences in the response's unit when it is "difference" (a response that
    can be 0). `interval` holds with 95 % for this comparison over all planned
    looks; `family_interval` with 95 % for all comparisons of the rule together. Both
    are None below six complete blocks.
    """

    response: str
    factor: str
    level: str
    reference: str
    at: Combination  # levels of the other factors; empty when pooled or when there are none
    pooled: bool  # averaged over all combinations of the other factors
    scale: str  # ratio or difference
    smallest: float | None  # share; None: the rule has none
    blocks: int  # complete pairs
    estimate: float | None
    block_sd: float | None  # of the within-block log ratios (or differences)
    interval: Interval | None
    family_interval: Interval | None
    sign_interval: Interval | None  # check: 95 %, of the median
    bootstrap_interval: Interval | None  # check: 95 %
    wilcoxon_p: float | None  # check
    mde: float | None  # share that so many blocks with this spread show with a chance of 80 %
    answer: Answer
    more_blocks: int | None  # that would probably decide it; None: decided, or not within reason
    note: str = ""

    @property
    def differs(self) -> bool:
        """Say whether some difference is shown, however small, all comparisons together."""
        none = 1.0 if self.scale == "ratio" else 0.0
        return self.family_interval is not None and not self.family_interval.holds(none)

    @property
    def checks_agree(self) -> bool:
        """Say whether the estimate lies in the intervals of the checks."""
        checks = [c for c in (self.sign_interval, self.bootstrap_interval) if c is not None]
        return self.estimate is None or all(c.holds(self.estimate) for c in checks)


@dataclass(frozen=True, slots=True)
class NoiseFloor:
    """The difference found between two labels of one value: what this host makes of nothing."""

    response: str
    factor: str
    labels: tuple[str, str]  # ratio is the second to the first
    at: Combination
    pooled: bool
    blocks: int
    ratio: float
    interval: Interval | None  # 95 %; None below six blocks
    block_sd: float | None  # of the within-block log ratios
    smallest: float | None

    @property
    def too_high(self) -> bool:
        """Say whether nothing looks like an effect that matters."""
        if self.smallest is None:
            return False
        low, high = band(self.smallest)
        return not low < math.log(self.ratio) < high


@dataclass(frozen=True, slots=True)
class Drift:
    """How the reference level's throughput moved over the run, each cell against its own median."""

    change: float  # share, from the first trial to the last: 0.10 is 10 % faster at the end
    interval: Interval  # 95 %, share
    hours: float
    trials: int
    smallest: float
    flagged: bool  # larger than the smallest effect, and not by chance alone


@dataclass(frozen=True, slots=True)
class SeriesCheck:
    """What the per-second series within windows say."""

    trials: int
    autocorrelation: float | None  # median of lag 1: near 1 a second repeats the one before
    start_ratio: float | None  # first quarter of a window to the rest
    start_interval: Interval | None  # 95 %, over blocks
    warm_up_short: bool  # the start differs by the smallest effect or more, with confidence


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over a cell's complete trials."""

    n: int
    median: float
    quartiles: Interval  # 25 % and 75 %
    range: Interval  # smallest and largest


@dataclass(frozen=True, slots=True)
class CellSummary:
    """One cell's complete trials. A figure that no trial has is not in `figures`."""

    levels: Combination
    n: int  # complete trials
    planned: int  # trials of this cell that the run has, complete or not
    figures: Mapping[str, Spread]  # column of trials.csv to its spread

    def median(self, figure: str) -> float | None:
        """Return the median of a figure; None when no trial has it."""
        spread = self.figures.get(figure)
        return None if spread is None else spread.median

    def largest(self, figure: str) -> float | None:
        """Return the largest value of a figure; None when no trial has it."""
        spread = self.figures.get(figure)
        return None if spread is None else spread.range.high


@dataclass(frozen=True, slots=True)
class HostEffect:
    """One comparison on one host alone."""

    host: str
    blocks: int  # complete pairs
    estimate: float | None  # ratio or difference, as `HostsApart.scale` says; None without a pair
    interval: Interval | None  # 95 %; None below six blocks


@dataclass(frozen=True, slots=True)
class HostLevel:
    """A response at the reference level on one host: what the machines make of the same settings."""

    host: str
    trials: int
    median: float | None


@dataclass(frozen=True, slots=True)
class HostsApart:
    """One comparison host by host, and whether the hosts agree."""

    response: str
    level: str
    reference: str
    at: Combination
    scale: str  # ratio or difference
    effects: tuple[HostEffect, ...]
    levels: tuple[HostLevel, ...]
    p: float | None  # of "all hosts have the same effect"; None: too few blocks to ask
    differ: bool  # more than chance explains, all comparisons together


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything that verdict and report take from the trials."""

    rule: VerdictRule
    repetitions: Repetitions
    looks: tuple[int, ...]  # after how many blocks the run looks
    trials: Mapping[Status, int]  # every status, 0 included
    reasons: tuple[tuple[str, int], ...]  # why trials are not complete, the most frequent first
    blocks: int  # with at least one complete trial
    cells: tuple[CellSummary, ...]
    effects: tuple[Effect, ...]
    noise_floor: tuple[NoiseFloor, ...]
    drift: Drift | None
    series: SeriesCheck | None
    hosts: tuple[HostsApart, ...] = ()  # empty: one host


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after a block."""

    stop: bool
    reason: str  # a sentence for the progress display and the log
    blocks_done: int
    next_look: int | None  # after how many blocks; None when stopped
    blocks_needed: int | None  # in all, to decide every comparison with a chance of 80 %; None: unknown or too many
    undecided: tuple[Effect, ...]  # at this look; empty between looks
