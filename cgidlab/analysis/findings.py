"""What an analysis finds: the values that verdict, report and summary are made from. No computation."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from cgidlab.analysis.intervals import MIN_BLOCKS, Interval
from cgidlab.analysis.reload_cost import ReloadCost
from cgidlab.figures import OF_A_BLOCK
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
    REAL_NEAR = "real_near"  # differs for certain, by about as much as matters
    INCONCLUSIVE = "inconclusive"
    DESCRIBED = "described"  # the rule has no smallest effect for this response

    @property
    def decided(self) -> bool:
        """Say whether the question is answered."""
        return self not in {Answer.INCONCLUSIVE, Answer.DESCRIBED}

    @classmethod
    def _missing_(cls, value: object) -> "Answer | None":
        """Return what older runs call by another name."""
        return cls.EQUIVALENT if value == "costs_less" else None


@dataclass(frozen=True, slots=True)
class Effect:
    """A response at a level against the same response at the reference level, within blocks.

    `estimate` and the intervals are ratios when `scale` is "ratio", and
    differences in the response's unit when it is "difference" (a response that
    can be 0). `interval` holds with 95 % and `equivalence_interval` with 90 % for this comparison over all planned
    looks; `family_interval` with 95 % for all comparisons of the rule together. All
    are None below six complete blocks.
    """

    response: str
    factor: str
    level: str
    reference: str
    at: Combination  # levels of the other factors; empty when pooled or when there are none
    pooled: bool  # the common effect over all combinations of the other factors
    scale: str  # ratio or difference
    smallest: float | None  # share; None: the rule has none
    blocks: int  # complete pairs: of blocks, or of passes where a block has several
    estimate: float | None
    block_sd: float | None  # of the within-block log ratios (or differences), winsorised where they are trimmed
    interval: Interval | None
    family_interval: Interval | None
    sign_interval: Interval | None  # check: 95 %, of the median
    bootstrap_interval: Interval | None  # check: 95 %
    wilcoxon_p: float | None  # check
    mde: float | None  # share that so many blocks with this spread show with a chance of 80 %
    answer: Answer
    more_blocks: int | None  # that would decide it with a chance of 80 %; None: decided, or not to be told
    note: str = ""
    equivalence_interval: Interval | None = None
    trimmed: int = 0  # blocks left out of the estimate at either end
    mean: float | None = None  # of all blocks; beside a trimmed estimate
    mean_apart: bool = False  # they differ by more than their error: single pairs make the mean
    sharing: str = ""  # where the spread comes from: own, shared, place, moderated
    df: float | None = None  # degrees of freedom of the spread
    interaction_p: float | None = None  # of "equal at every combination"; a pooled effect's
    interaction: bool = False  # shown: the cells are what counts, and not the pooled effect

    @property
    def differs(self) -> bool:
        """Say whether some difference is shown, however small, all comparisons together."""
        none = 1.0 if self.scale == "ratio" else 0.0
        return self.family_interval is not None and not self.family_interval.holds(none)

    @property
    def half_width(self) -> float | None:
        """Return to what share either way the ratio is known with 95 %; None where it has no interval."""
        if self.interval is None or self.scale != "ratio" or self.interval.low <= 0:
            return None
        return math.sqrt(self.interval.high / self.interval.low) - 1


def unanswered(found: Sequence[Effect]) -> tuple[Effect, ...]:
    """Return the comparisons that are open: not decided by themselves, nor by a common effect that holds for them.

    A common effect holds where no interaction is shown, and a small one only for a cell whose own estimate is small.
    """
    common = {(e.response, e.level): e for e in found if e.pooled and e.answer.decided and not e.interaction}
    open_ = (e for e in found if not e.pooled and e.answer is Answer.INCONCLUSIVE)
    return tuple(e for e in open_ if not _holds_for(common.get((e.response, e.level)), e))


def _holds_for(common: Effect | None, cell: Effect) -> bool:
    if common is None or not cell.estimate or cell.smallest is None or cell.interval is None:
        return False
    low, high = band(cell.smallest)
    return common.answer is not Answer.EQUIVALENT or low < math.log(cell.estimate) < high


class Side(StrEnum):
    """On which side of a value that is not to be passed a response is."""

    KEPT = "kept"
    PASSED = "passed"
    OPEN = "open"


@dataclass(frozen=True, slots=True)
class BoundAnswer:
    """A response at one level beside the value that it is not to pass."""

    response: str
    bound: float  # in the response's unit
    factor: str
    level: str
    at: Combination  # levels of the other factors
    blocks: int
    value: float | None  # geometric mean over blocks
    interval: Interval | None  # 95 % for all levels and bounds together; None below six blocks
    side: Side


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
    """Between which paces the host moved over the run: throughput of the reference level, each cell by its own median.

    A range and no trend: noise whose slow parts are the strongest looks like a trend in a fifth of all runs.
    """

    low: float  # share, of the slowest block: -0.10 is 10 % slower than the median
    high: float  # of the fastest
    hours: float
    trials: int
    smallest: float
    flagged: bool  # farther from lowest to highest than the smallest effect either way

    @property
    def range(self) -> float:
        """Return by what share the fastest block was faster than the slowest."""
        return (1 + self.high) / (1 + self.low) - 1


@dataclass(frozen=True, slots=True)
class HostSpeed:
    """Between which speeds a host did fixed work over the run, block by block, by the sentinel's probe."""

    low: float  # share, of the slowest block: -0.10 is 10 % slower than the median
    high: float  # of the fastest
    blocks: int

    @property
    def range(self) -> float:
        """Return by what share the fastest block was faster than the slowest."""
        return (1 + self.high) / (1 + self.low) - 1


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
class ObserverEffect:
    """What watching does to a response: the watched passes against the unwatched ones next to them, over all cells."""

    response: str
    passes: int  # watched ones with such a neighbour: the sample
    ratio: float  # watched to unwatched
    interval: Interval | None  # 95 %; None below three passes
    smallest: float | None

    @property
    def matters(self) -> bool:
        """Say whether it is shown, and larger than the smallest effect that matters."""
        if self.interval is None or self.interval.holds(1.0) or self.smallest is None:
            return False
        low, high = band(self.smallest)
        return not low < math.log(self.ratio) < high


@dataclass(frozen=True, slots=True)
class PerBlock:
    """What a block brings to a comparison, on average over the run."""

    passes: int  # of a block
    answering_passes: float  # of those, from which responses are taken
    answering_blocks: float  # share of blocks with such a pass
    unwatched: bool = False  # they are passes in which nothing watched

    def units(self, response: str) -> float:
        """Return how many units of a response a block brings."""
        return self.answering_blocks if response in OF_A_BLOCK else self.answering_passes


@dataclass(frozen=True, slots=True)
class ProbeSeen:
    """One trial of a search."""

    level: float
    block: int
    missed: bool  # a goal
    short: bool  # its window is shorter than that of the question


@dataclass(frozen=True, slots=True)
class FoundLimit:
    """What a search knows of its limit at one combination of the other factors. Levels are labels."""

    factor: str
    at: Combination
    rising: bool  # the most is asked for, else the least
    keeps: str | None  # the farthest level that is shown to keep the goals (95 % with `misses`); None: none is
    misses: str | None  # the nearest level that is shown to miss one; None: none is
    known: bool  # as well as was asked, and confirmed on both sides
    blocks: int
    kept_there: tuple[int, int]  # of the trials at `keeps`, with the whole window, those that kept the goals, and all
    missed_there: tuple[int, int]
    first: str  # candidate, the easiest
    last: str  # the hardest
    probes: tuple[ProbeSeen, ...]


@dataclass(frozen=True, slots=True)
class Remedy:
    """One way to serve under one load, against what is there under the same."""

    changes: Combination  # factors and labels that differ from what is there
    handler: str
    at: Combination  # the load
    effects: tuple[Effect, ...]  # one a response that is known
    failed_share: float | None  # of its requests, in the middle trial
    failed_as_it_is: float | None


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
    block_s: float | None = None  # from one block's begin to the next one's; None: one block, or times are not known
    per_block: PerBlock | None = None  # None: no response was measured
    lost: tuple[Combination, ...] = ()  # planned cells without a complete trial
    observer: tuple[ObserverEffect, ...] = ()  # by response of the rule; empty: all passes are watched
    limits_found: tuple[FoundLimit, ...] = ()  # of a search, by combination of the other factors
    pace: HostSpeed | None = None  # None: one block, or no probe
    bounds: tuple[BoundAnswer, ...] = ()  # by response, combination and level; empty: no value was named
    reloads: tuple[ReloadCost, ...] = ()  # by cell; empty: httpd was not reloaded
    remedies: tuple[Remedy, ...] = ()  # by what changes and by load; empty: the handler is no factor
    compares: bool = True  # False: the rule's factor has one value, so that there is nothing to compare

    @property
    def seen(self) -> tuple[CellSummary, ...]:
        """Return the cells that have a complete trial."""
        return tuple(c for c in self.cells if c.n)

    def more_minutes(self, effect: Effect) -> float | None:
        """Return in how many minutes a comparison would probably be decided; None where that cannot be told."""
        if effect.more_blocks is None or self.block_s is None or effect.blocks < MIN_BLOCKS:
            return None
        per_block = self.per_block or PerBlock(1, 1.0, 1.0)
        return effect.more_blocks * self.block_s / per_block.units(effect.response) / 60


@dataclass(frozen=True, slots=True)
class Precision:
    """How well a response's comparisons are known after some blocks."""

    response: str
    comparisons: int
    answered: int  # at this moment; a run stops for it at planned looks alone
    together: int  # of those, only by what all combinations of the other factors have in common
    half_width: float | None  # of the widest one; None where one has no interval yet


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do after a block."""

    stop: bool
    reason: str  # a sentence for the progress display and the log
    blocks_done: int
    next_look: int | None  # after how many blocks; None when stopped
    blocks_needed: int | None  # in all, to decide every comparison with a chance of 80 %; None: unknown or too many
    undecided: tuple[Effect, ...]  # at this look; empty between looks
    precision: tuple[Precision, ...] = ()  # by response of the rule
